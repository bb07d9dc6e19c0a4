/* A command with places for an item. */
#include "client/fut/template.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum place { PLACE_NONE, PLACE_ITEM, PLACE_BARE, PLACE_LAST, PLACE_DIRECTORY, PLACE_LAST_BARE, PLACE_NUMBER };

/* The place that begins here, and its length. */
static enum place
place_at(const char *s, size_t *len)
{
	static const struct {
		const char *text;
		enum place place;
	} places[] = { { "{}", PLACE_ITEM }, { "{.}", PLACE_BARE }, { "{/}", PLACE_LAST }, { "{//}", PLACE_DIRECTORY },
		{ "{/.}", PLACE_LAST_BARE }, { "{#}", PLACE_NUMBER } };

	for (size_t i = 0; *s == '{' && i < sizeof places / sizeof places[0]; i++) {
		*len = strlen(places[i].text);
		if (strncmp(s, places[i].text, *len) == 0)
			return places[i].place;
	}
	return PLACE_NONE;
}

static bool
has_place(const char *s)
{
	size_t len;

	for (; (s = strchr(s, '{')) != NULL; s++)
		if (place_at(s, &len) != PLACE_NONE)
			return true;
	return false;
}

/* The part of a path that a place stands for. */
static void
part(enum place place, const char *item, const char **begin, size_t *len)
{
	const char *slash = strrchr(item, '/'), *last = slash != NULL ? slash + 1 : item, *dot = strrchr(last, '.');

	*begin = item;
	*len = strlen(item);
	if (place == PLACE_LAST || place == PLACE_LAST_BARE) {
		*begin = last;
		*len = strlen(last);
	}
	if ((place == PLACE_BARE || place == PLACE_LAST_BARE) && dot != NULL && dot > last)
		*len = (size_t)(dot - *begin);
	if (place == PLACE_DIRECTORY) {
		if (slash == NULL)
			*begin = ".";
		*len = slash == NULL || slash == item ? 1 : (size_t)(slash - item);
	}
}

static void
put(FILE *out, const char *s, size_t len, bool quote)
{
	if (!quote) {
		fwrite(s, 1, len, out);
		return;
	}
	fputc('\'', out);
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\'')
			fputs("'\\''", out);
		else
			fputc(s[i], out);
	fputc('\'', out);
}

static char *
expand(const char *s, const char *item, uint64_t number, bool quote)
{
	char *text = NULL;
	size_t size, len;
	FILE *out = need(open_memstream(&text, &size));

	while (*s != '\0') {
		enum place place = place_at(s, &len);
		const char *begin;
		size_t n;

		if (place == PLACE_NONE) {
			fputc(*s++, out);
			continue;
		}
		s += len;
		if (place == PLACE_NUMBER) {
			fprintf(out, "%" PRIu64, number);
			continue;
		}
		part(place, item, &begin, &n);
		put(out, begin, n, quote);
	}
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

/* The words of --shell as one line; the item goes to its end where it has no place. */
static char *
joined(char **words, int count)
{
	char *text = NULL;
	size_t size;
	FILE *out = need(open_memstream(&text, &size));
	bool place = false;

	for (int i = 0; i < count; i++) {
		fprintf(out, "%s%s", i > 0 ? " " : "", words[i]);
		place |= has_place(words[i]);
	}
	if (!place)
		fputs(" {}", out);
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

void
template_init(struct template *t, char **words, int count, bool shell)
{
	memset(t, 0, sizeof *t);
	t->words = words;
	t->count = count;
	for (int i = 0; i < count; i++)
		t->has_place |= has_place(words[i]);
	if (shell)
		t->line = joined(words, count);
	else
		t->varies = has_place(words[0]);
}

void
template_free(struct template *t)
{
	free(t->line);
}

char *
template_program(const struct template *t, const char *item, uint64_t number)
{
	return t->line != NULL ? need(strdup("/bin/sh")) : expand(t->words[0], item, number, false);
}

static void
pack_owned(struct futured_pack *args, char *text)
{
	futured_pack_text(args, text, strlen(text));
	free(text);
}

void
template_args(const struct template *t, const char *item, size_t len, uint64_t number, struct futured_pack *args)
{
	if (t->line != NULL) {
		futured_pack_array(args, 2);
		futured_pack_str(args, "-c");
		pack_owned(args, expand(t->line, item, number, true));
		return;
	}
	futured_pack_array(args, (size_t)t->count - 1 + !t->has_place);
	for (int i = 1; i < t->count; i++)
		if (strchr(t->words[i], '{') != NULL)
			pack_owned(args, expand(t->words[i], item, number, false));
		else
			futured_pack_text(args, t->words[i], strlen(t->words[i]));
	if (!t->has_place)
		futured_pack_text(args, item, len);
}

/* A command with places for an item. */
#include "client/fut/template.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/text.h"

enum part { PART_ALL, PART_BARE, PART_LAST, PART_DIRECTORY, PART_LAST_BARE, PART_NUMBER, PART_SLOT };

struct place {
	enum part part;
	int field; /* from 1, or from -1 backwards; 0: all */
	size_t len;
};

/* The place that begins here. */
static bool
place_at(const char *s, struct place *p)
{
	static const struct {
		const char *text;
		enum part part;
	} parts[] = { { "}", PART_ALL }, { ".}", PART_BARE }, { "/}", PART_LAST }, { "//}", PART_DIRECTORY }, { "/.}", PART_LAST_BARE },
		{ "#}", PART_NUMBER }, { "%}", PART_SLOT } };
	const char *at = s + 1;
	int sign = 1;

	if (*s != '{')
		return false;
	p->field = 0;
	if (*at == '-' && isdigit((unsigned char)at[1])) {
		sign = -1;
		at++;
	}
	while (isdigit((unsigned char)*at) && p->field < 10000)
		p->field = p->field * 10 + (*at++ - '0');
	if (at > s + 1 && p->field == 0)
		return false;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (strncmp(at, parts[i].text, strlen(parts[i].text)) == 0 && (p->field == 0 || parts[i].part < PART_NUMBER)) {
			p->field *= sign;
			p->part = parts[i].part;
			p->len = (size_t)(at - s) + strlen(parts[i].text);
			return true;
		}
	return false;
}

static bool
has_place(struct template *t, const char *s)
{
	struct place p;
	bool has = false;

	for (; (s = strchr(s, '{')) != NULL; s++)
		if (place_at(s, &p)) {
			has = true;
			if (t->most > 0 && abs(p.field) > t->most)
				t->beyond = p.field;
			t->slots |= p.part == PART_SLOT;
		}
	return has;
}

/* The part of a path that a place stands for. */
static struct field
part_of(enum part part, struct field f)
{
	const char *slash = memrchr(f.s, '/', f.len), *end = f.s + f.len, *last = slash != NULL ? slash + 1 : f.s;
	const char *dot = memrchr(last, '.', (size_t)(end - last));

	if (part == PART_DIRECTORY)
		return slash == NULL ? (struct field){ ".", 1 } : (struct field){ f.s, slash == f.s ? 1 : (size_t)(slash - f.s) };
	if ((part == PART_BARE || part == PART_LAST_BARE) && dot != NULL && dot > last)
		end = dot;
	if (part == PART_LAST || part == PART_LAST_BARE)
		return (struct field){ last, (size_t)(end - last) };
	return (struct field){ f.s, (size_t)(end - f.s) };
}

static void
put(FILE *out, struct field f, bool quote)
{
	if (quote)
		text_shell_quoted(out, f.s, f.len);
	else
		fwrite(f.s, 1, f.len, out);
}

static void
put_place(FILE *out, const struct place *p, const struct filling *item, bool quote)
{
	int only = p->field < 0 ? item->count + p->field : p->field - 1;

	if (p->part == PART_NUMBER || p->part == PART_SLOT)
		fprintf(out, "%" PRIu64, p->part == PART_NUMBER ? item->number : item->slot);
	else if (p->field == 0)
		for (int i = 0; i < item->count; i++) {
			fputs(i > 0 ? " " : "", out);
			put(out, part_of(p->part, item->fields[i]), quote);
		}
	else if (only >= 0 && only < item->count)
		put(out, part_of(p->part, item->fields[only]), quote);
	else
		put(out, (struct field){ "", 0 }, quote);
}

static char *
expand(const char *s, const struct filling *item, bool quote, size_t *len)
{
	char *text = NULL;
	struct place p;
	FILE *out = need(open_memstream(&text, len));

	while (*s != '\0')
		if (place_at(s, &p)) {
			put_place(out, &p, item, quote);
			s += p.len;
		} else
			fputc(*s++, out);
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

/* The words of --shell as one line; the item goes to its end where it has no place. */
static char *
joined(struct template *t)
{
	char *text = NULL;
	size_t size;
	FILE *out = need(open_memstream(&text, &size));

	for (int i = 0; i < t->count; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", t->words[i]);
	if (!t->has_place)
		fputs(" {}", out);
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

void
template_init(struct template *t, char **words, int count, bool shell, int most)
{
	memset(t, 0, sizeof *t);
	t->words = words;
	t->count = count;
	t->most = most;
	for (int i = 0; i < count; i++)
		t->has_place |= has_place(t, words[i]);
	if (shell)
		t->line = joined(t);
	else
		t->varies = has_place(t, words[0]);
}

void
template_free(struct template *t)
{
	free(t->line);
}

char *
template_program(const struct template *t, const struct filling *item)
{
	size_t len;

	return t->line != NULL ? need(strdup("/bin/sh")) : expand(t->words[0], item, false, &len);
}

/* ---- arguments, one by one ---- */

typedef void each_arg(void *data, const char *s, size_t len);

static void
each_expanded(const char *word, const struct filling *item, bool quote, each_arg *each, void *data)
{
	size_t len;
	char *text = expand(word, item, quote, &len);

	each(data, text, len);
	free(text);
}

/* How many arguments a word becomes: each field one where the word is nothing but a place for all. */
static int
spread(const char *word, const struct filling *item, struct place *p)
{
	bool alone = place_at(word, p) && word[p->len] == '\0' && p->field == 0 && p->part < PART_NUMBER;

	return alone ? item->count : 1;
}

static void
each_word(const char *word, const struct filling *item, each_arg *each, void *data)
{
	struct place p;
	int n = spread(word, item, &p);

	if (strchr(word, '{') == NULL)
		each(data, word, strlen(word));
	else if (n == 1)
		each_expanded(word, item, false, each, data);
	for (int i = 0; i < n && n > 1; i++) {
		struct field f = part_of(p.part, item->fields[i]);

		each(data, f.s, f.len);
	}
}

static void
each_of(const struct template *t, const struct filling *item, each_arg *each, void *data)
{
	if (t->line != NULL) {
		each(data, "-c", 2);
		each_expanded(t->line, item, true, each, data);
		return;
	}
	for (int i = 1; i < t->count; i++)
		each_word(t->words[i], item, each, data);
	for (int i = 0; i < item->count && !t->has_place; i++)
		each(data, item->fields[i].s, item->fields[i].len);
}

static void
pack_arg(void *data, const char *s, size_t len)
{
	futured_pack_text(data, s, len);
}

void
template_args(const struct template *t, const struct filling *item, struct futured_pack *args)
{
	size_t n = t->line != NULL ? 2 : 0;
	struct place p;

	for (int i = 1; i < t->count && t->line == NULL; i++)
		n += strchr(t->words[i], '{') == NULL ? 1 : (size_t)spread(t->words[i], item, &p);
	if (t->line == NULL && !t->has_place)
		n += (size_t)item->count;
	futured_pack_array(args, n);
	each_of(t, item, pack_arg, args);
}

static void
quote_arg(void *data, const char *s, size_t len)
{
	fputc(' ', data);
	text_shell_word(data, s, len);
}

char *
template_command(const struct template *t, const struct filling *item)
{
	char *text = NULL, *program;
	size_t size;
	FILE *out;

	if (t->line != NULL)
		return expand(t->line, item, true, &size);
	out = need(open_memstream(&text, &size));
	program = template_program(t, item);
	quote_arg(out, program, strlen(program));
	free(program);
	each_of(t, item, quote_arg, out);
	if (fclose(out) != 0)
		need(NULL);
	memmove(text, text + 1, size); /* the blank before the first */
	return need(text);
}

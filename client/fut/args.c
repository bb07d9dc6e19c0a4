/* The arguments of a verb, and help made from the same tables. */
#include "client/fut/args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/common.h"
#include "client/fut/guess.h"

static void
add_rows(struct args *a, const struct option_row *row, size_t *longs, size_t *shorts)
{
	for (; row != NULL && row->key != 0; row++) {
		if (row->name != NULL && *longs < sizeof a->longs / sizeof a->longs[0] - 1)
			a->longs[(*longs)++] = (struct option){ row->name, row->value != NULL, NULL, row->key };
		if (row->key < OPTION_LONG && *shorts < sizeof a->shorts - 3) {
			a->shorts[(*shorts)++] = (char)row->key;
			if (row->value != NULL)
				a->shorts[(*shorts)++] = ':';
		}
	}
}

void
args_init(struct args *a, struct fut *f, int argc, char **argv, bool in_order)
{
	size_t longs = 0, shorts = 0;

	memset(a, 0, sizeof *a);
	a->fut = f;
	a->argc = argc;
	a->argv = argv;
	if (in_order)
		a->shorts[shorts++] = '+';
	a->shorts[shorts++] = ':'; /* a value that is missing has a sign of its own */
	if (f->verb != NULL)
		add_rows(a, f->verb->options, &longs, &shorts);
	add_rows(a, common_options, &longs, &shorts);
	opterr = 0;
	optind = 0;
}

/* The word is this long option, not an abbreviation of it. */
static bool
is_whole(const struct option *o, const char *word)
{
	size_t len = strlen(o->name);

	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, o->name, len) == 0 && (word[2 + len] == '\0' || word[2 + len] == '=');
}

static const struct option *
find_long(const struct args *a, const char *word)
{
	for (const struct option *o = a->longs; o->name != NULL; o++)
		if (is_whole(o, word))
			return o;
	return NULL;
}

static bool
is_key(const struct args *a, int key)
{
	const struct option *o = a->longs;

	while (o->name != NULL && o->val != key)
		o++;
	return o->name != NULL;
}

/* What to say of a word that other programs have; "" if there is nothing. */
static const char *
hint_for(const struct args *a, const char *word)
{
	const struct option_hint *h = a->fut->verb != NULL ? a->fut->verb->hints : NULL;
	size_t len = strcspn(word, "=");

	for (; h != NULL && h->word != NULL; h++)
		if (strlen(h->word) == len && strncmp(h->word, word, len) == 0)
			return h->text;
	return "";
}

static void
unknown_option(struct args *a, const char *word)
{
	const char *names[sizeof a->longs / sizeof a->longs[0]] = { NULL }, *hint = hint_for(a, word), *meant;
	char bare[64], near[96] = "";

	for (size_t i = 0; a->longs[i].name != NULL; i++)
		names[i] = a->longs[i].name;
	snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
	if (*hint == '\0' && strncmp(word, "--", 2) == 0 && (meant = guess_word(bare + 2, names)) != NULL)
		snprintf(near, sizeof near, "; did you mean '--%s'?", meant);
	args_wrong(a->fut, "there is no option '%s'%s%s%s", bare, near, *hint != '\0' ? ": " : "", hint);
}

/* getopt has met something that it does not take, `key` says what. */
static void
say_wrong(struct args *a, int key)
{
	const char *word = a->argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (key == '?' && optopt != 0 && !is_key(a, optopt))
		unknown_option(a, letter);
	else if (strncmp(word, "--", 2) == 0 && find_long(a, word) == NULL)
		unknown_option(a, word);
	else if (key == ':')
		args_wrong(a->fut, "%s: expected a value behind it", word);
	else
		args_wrong(a->fut, "'%s': it takes no value", word);
}

int
args_next(struct args *a)
{
	int at = -1, key = getopt_long(a->argc, a->argv, a->shorts, a->longs, &at), taken;
	const struct verb *verb;
	bool apart = key != -1 && optarg != NULL && optarg == a->argv[optind - 1]; /* the value is a word of its own */

	if (key == -1) {
		a->operands = a->argv + optind;
		a->count = a->argc - optind;
		return ARGS_END;
	}
	a->word = a->argv[optind - 1 - apart];
	if (key != '?' && key != ':' && at >= 0 && !is_whole(&a->longs[at], a->word)) {
		unknown_option(a, a->word);
		a->status = fut_usage(a->fut);
		return ARGS_STOP;
	}
	if (key == '?' || key == ':') {
		say_wrong(a, key);
		a->status = fut_usage(a->fut);
		return ARGS_STOP;
	}
	if (key == 'h') {
		verb = a->fut->verb != NULL ? a->fut->verb : optind < a->argc ? verb_find(a->argv[optind]) : NULL;
		if (verb == NULL)
			help_overview(stdout);
		else
			help_verb(verb, stdout);
		a->status = EXIT_OK;
		return ARGS_STOP;
	}
	a->value = optarg;
	taken = common_take(a->fut, key, optarg);
	if (taken > 0)
		return args_next(a);
	if (taken < 0) {
		a->status = fut_usage(a->fut);
		return ARGS_STOP;
	}
	return key;
}

bool
args_is_option(const struct args *a, const char *word)
{
	return find_long(a, word) != NULL;
}

int
args_wrong(struct fut *f, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (f->verb != NULL)
		fut_say(f, "%s: %s\nTry 'fut %s -h'.", f->verb->name, text, f->verb->name);
	else
		fut_say(f, "%s\nTry 'fut -h'.", text);
	return fut_usage(f);
}

void
args_no_verb(struct fut *f, const char *word)
{
	char *hint = guess_text(guess_verb(word), "; `fut help` lists them");

	fut_say(f, "there is no verb '%s'%s", word, hint);
	free(hint);
}

bool
args_expect(struct args *a, int least, int most)
{
	const struct verb *v = a->fut->verb;

	if (a->count >= least && (most < 0 || a->count <= most))
		return true;
	if (a->count < least)
		a->status = args_wrong(a->fut, "expected %s", v->operands);
	else
		a->status = args_wrong(a->fut, "'%s' is one too many: expected %s", a->operands[most], *v->operands ? v->operands : "nothing");
	return false;
}

/* ---- values ---- */

bool
args_number(struct fut *f, const char *what, const char *text, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || !isfinite(v)) {
		args_wrong(f, "%s: expected a number, got '%s'", what, text);
		return false;
	}
	*out = v;
	return true;
}

bool
args_int(struct fut *f, const char *what, const char *text, int64_t least, int64_t most, int64_t *out)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (*text == '\0' || *end != '\0' || errno != 0 || v < least || v > most) {
		args_wrong(f, "%s: expected an integer from %lld to %lld, got '%s'", what, (long long)least, (long long)most, text);
		return false;
	}
	*out = v;
	return true;
}

struct unit {
	const char *name;
	double factor;
};

/* A number with one of the units; `none` where there is no unit. */
static bool
with_unit(const char *text, const struct unit *unit, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || !isfinite(v) || v < 0 || isspace((unsigned char)*text))
		return false;
	for (; unit->name != NULL; unit++)
		if (strcasecmp(end, unit->name) == 0) {
			*out = v * unit->factor;
			return true;
		}
	return false;
}

bool
args_is_duration(const char *text, double *out)
{
	static const struct unit units[] = { { "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "m", 60 }, { "min", 60 },
		{ "h", 3600 }, { "d", 86400 }, { "w", 604800 }, { NULL, 0 } };

	return with_unit(text, units, out) && *out <= 1e9;
}

bool
args_duration(struct fut *f, const char *what, const char *text, double *out)
{
	if (args_is_duration(text, out))
		return true;
	args_wrong(f, "%s: expected seconds or a duration such as 500ms, 90s, 5m, 2h, got '%s'", what, text);
	return false;
}

bool
args_bound(struct fut *f, const char *what, const char *text, double *out)
{
	if (!args_duration(f, what, text, out))
		return false;
	if (!(*out > 0))
		*out = -1;
	return true;
}

bool
args_size(struct fut *f, const char *what, const char *text, uint64_t *out)
{
	static const struct unit units[] = { { "", 1 }, { "B", 1 }, { "K", 1024 }, { "KiB", 1024 }, { "kB", 1000 }, { "M", 1048576.0 },
		{ "MiB", 1048576.0 }, { "MB", 1e6 }, { "G", 1073741824.0 }, { "GiB", 1073741824.0 }, { "GB", 1e9 },
		{ "T", 1099511627776.0 }, { "TiB", 1099511627776.0 }, { NULL, 0 } };
	double v;

	if (with_unit(text, units, &v) && v <= 9007199254740991.0) {
		*out = (uint64_t)v;
		return true;
	}
	args_wrong(f, "%s: expected bytes or a size such as 64K, 512MiB, 2G, got '%s'", what, text);
	return false;
}

static bool
read_id(const char **text, uint64_t *id)
{
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	v = strtoull(*text, &end, 10);
	if (errno != 0 || v == 0 || v > (1ULL << 53) - 1)
		return false;
	*id = v;
	*text = end;
	return true;
}

bool
args_ids(struct fut *f, const char *what, const char *text, uint64_t **ids, size_t *n)
{
	enum { MOST = 1000000 };
	const char *at = text;

	do {
		uint64_t first, last;

		at += *at == ',' && at > text;
		if (!read_id(&at, &first))
			goto wrong;
		last = first;
		if (*at == '-' && (at++, !read_id(&at, &last) || last < first))
			goto wrong;
		if (last - first >= MOST || *n + (size_t)(last - first) >= MOST) {
			args_wrong(f, "%s%s'%s': at most 1000000 ids at once", what != NULL ? what : "", what != NULL ? ": " : "", text);
			return false;
		}
		*ids = need(realloc(*ids, (*n + (size_t)(last - first) + 1) * sizeof **ids));
		for (uint64_t id = first; id <= last; id++)
			(*ids)[(*n)++] = id;
	} while (*at == ',');
	if (*at == '\0')
		return true;
wrong:
	args_wrong(f, "%s%sexpected an id such as 12, or 12-20, got '%s'", what != NULL ? what : "", what != NULL ? ": " : "", text);
	return false;
}

bool
args_all_ids(struct args *a, uint64_t **ids, size_t *n)
{
	*ids = NULL;
	*n = 0;
	a->status = fut_usage(a->fut);
	if (!args_expect(a, 1, -1))
		return false;
	for (int i = 0; i < a->count; i++)
		if (!args_ids(a->fut, NULL, a->operands[i], ids, n)) {
			free(*ids);
			return false;
		}
	return true;
}

/* JSON in: read by hand, straight into MessagePack, because integers must stay what they are: jansson's end at 2^63 - 1, and others round.
 *
 * An array or object is packed into a pack of its own first, since MessagePack says in front how many there are. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/json.h"
#include "client/fut/text.h"

enum { DEPTH_MAX = 64 };

struct json {
	const char *text, *at, *end;
	char *why;
	size_t why_size;
};

static bool __attribute__((format(printf, 2, 3)))
wrong(struct json *j, const char *fmt, ...)
{
	size_t line = 1, column = 1;
	va_list ap;
	int n;

	for (const char *p = j->text; p < j->at; p++) {
		column = *p == '\n' ? 1 : column + ((*p & 0xc0) != 0x80);
		line += *p == '\n';
	}
	n = snprintf(j->why, j->why_size, "line %zu, column %zu: ", line, column);
	va_start(ap, fmt);
	if (n > 0 && (size_t)n < j->why_size)
		vsnprintf(j->why + n, j->why_size - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static void
skip_blanks(struct json *j)
{
	while (j->at < j->end && strchr(" \t\r\n", *j->at) != NULL && *j->at != '\0')
		j->at++;
}

static bool
take(struct json *j, char c)
{
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static bool
take_word(struct json *j, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
		return false;
	j->at += len;
	return true;
}

/* ---- strings ---- */

static bool
read_hex(struct json *j, unsigned *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++, j->at++) {
		if (j->at == j->end || !isxdigit((unsigned char)*j->at))
			return wrong(j, "expected four hexadecimal digits behind \\u");
		*out = *out << 4 | (unsigned)(isdigit((unsigned char)*j->at) ? *j->at - '0' : (*j->at | 32) - 'a' + 10);
	}
	return true;
}

static void
put_utf8(FILE *out, unsigned c)
{
	if (c < 0x80) {
		fputc((int)c, out);
		return;
	}
	if (c < 0x800)
		fputc((int)(0xc0 | c >> 6), out);
	else {
		if (c < 0x10000)
			fputc((int)(0xe0 | c >> 12), out);
		else {
			fputc((int)(0xf0 | c >> 18), out);
			fputc((int)(0x80 | (c >> 12 & 63)), out);
		}
		fputc((int)(0x80 | (c >> 6 & 63)), out);
	}
	fputc((int)(0x80 | (c & 63)), out);
}

/* Behind \u. Two surrogates are one character; one alone is none. */
static bool
read_code(struct json *j, FILE *out)
{
	unsigned first, second;

	if (!read_hex(j, &first))
		return false;
	if (first >= 0xd800 && first < 0xe000) {
		if (first >= 0xdc00 || !take_word(j, "\\u"))
			return wrong(j, "\\u%04x is half a character: a surrogate needs its pair", first);
		if (!read_hex(j, &second))
			return false;
		if (second < 0xdc00 || second >= 0xe000)
			return wrong(j, "\\u%04x is half a character: a surrogate needs its pair", first);
		first = 0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00));
	}
	put_utf8(out, first);
	return true;
}

static bool
read_escape(struct json *j, FILE *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *known;

	if (take(j, 'u'))
		return read_code(j, out);
	if (j->at == j->end || *j->at == '\0' || (known = strchr(from, *j->at)) == NULL)
		return wrong(j, "expected one of \"\\/bfnrtu behind a backslash");
	fputc(to[known - from], out);
	j->at++;
	return true;
}

static bool
read_characters(struct json *j, FILE *out)
{
	while (!take(j, '"')) {
		unsigned code;
		size_t n;

		if (j->at == j->end)
			return wrong(j, "a string does not end");
		if (take(j, '\\')) {
			if (!read_escape(j, out))
				return false;
			continue;
		}
		if ((unsigned char)*j->at < 0x20)
			return wrong(j, "a control character in a string: write \\u%04x", (unsigned)(unsigned char)*j->at);
		if ((n = text_decode(j->at, (size_t)(j->end - j->at), &code)) == 0)
			return wrong(j, "a string is not UTF-8");
		fwrite(j->at, 1, n, out);
		j->at += n;
	}
	return true;
}

/* At its opening quote. *s is new. */
static bool
read_string(struct json *j, char **s, size_t *len)
{
	FILE *out;
	bool well;

	if (!take(j, '"'))
		return wrong(j, "expected a string");
	*s = NULL;
	out = need(open_memstream(s, len));
	well = read_characters(j, out);
	if (fclose(out) != 0)
		need(NULL);
	need(*s);
	if (!well)
		free(*s);
	return well;
}

static bool
pack_string(struct json *j, struct futured_pack *p)
{
	char *s;
	size_t len;

	if (!read_string(j, &s, &len))
		return false;
	futured_packf(p, "S", s, len);
	free(s);
	return true;
}

/* ---- numbers ---- */

static const char *
skip_digits(const struct json *j, const char *at)
{
	while (at < j->end && isdigit((unsigned char)*at))
		at++;
	return at;
}

/* The end of a number in JSON's grammar; NULL if it is none. */
static const char *
number_end(const struct json *j, bool *whole)
{
	const char *at = j->at + (*j->at == '-'), *next = skip_digits(j, at);

	if (next == at || (*at == '0' && next > at + 1))
		return NULL;
	*whole = true;
	if (next < j->end && *next == '.') {
		*whole = false;
		at = next + 1;
		if ((next = skip_digits(j, at)) == at)
			return NULL;
	}
	if (next < j->end && (*next == 'e' || *next == 'E')) {
		*whole = false;
		at = next + 1;
		at += at < j->end && (*at == '+' || *at == '-');
		if ((next = skip_digits(j, at)) == at)
			return NULL;
	}
	return next;
}

static bool
pack_number(struct json *j, struct futured_pack *p)
{
	bool whole = false;
	const char *end = number_end(j, &whole);
	char *text;
	double d = 0;

	if (end == NULL)
		return wrong(j, "not a number as JSON has them");
	text = need(strndup(j->at, (size_t)(end - j->at)));
	errno = 0;
	if (!whole)
		d = strtod(text, NULL);
	else if (*text == '-')
		futured_pack_int(p, strtoll(text, NULL, 10));
	else
		futured_pack_uint(p, strtoull(text, NULL, 10));
	if (whole ? errno != 0 : !isfinite(d)) {
		wrong(j, whole ? "%.60s does not fit into 64 bits; send it as a string, or rounded, with a point" : "%.60s is too large for a float", text);
		free(text);
		return false;
	}
	if (!whole)
		futured_pack_double(p, d);
	free(text);
	j->at = end;
	return true;
}

/* ---- arrays and objects ---- */

static bool pack_value(struct json *j, struct futured_pack *p, int depth);

static void
append(struct futured_pack *p, const struct futured_pack *inside)
{
	struct futured_value cursor = futured_pack_value(inside), one;

	while (futured_value_next(&cursor, &one))
		futured_pack_copy(p, one);
}

static bool
read_elements(struct json *j, struct futured_pack *inside, size_t *n, int depth)
{
	skip_blanks(j);
	if (take(j, ']'))
		return true;
	do {
		if (!pack_value(j, inside, depth))
			return false;
		++*n;
		skip_blanks(j);
	} while (take(j, ','));
	return take(j, ']') || wrong(j, "expected ',' or ']'");
}

static bool
pack_array(struct json *j, struct futured_pack *p, int depth)
{
	struct futured_pack *inside = need(futured_pack_new());
	size_t n = 0;
	bool well = read_elements(j, inside, &n, depth);

	if (well) {
		futured_pack_array(p, n);
		append(p, inside);
	}
	futured_pack_free(inside);
	return well;
}

static int
digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes into `out`, which has room for 3/4 of len; -1 if it is not base64 with its padding. */
static long
unbase64(const char *s, size_t len, unsigned char *out)
{
	size_t pad = 0, n = 0;
	unsigned v = 0;

	if (len % 4 != 0)
		return -1;
	while (pad < 2 && pad < len && s[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len - pad; i++) {
		int d = digit_of(s[i]);

		if (d < 0)
			return -1;
		v = v << 6 | (unsigned)d;
		if (i % 4 > 0)
			out[n++] = (unsigned char)(v >> (6 - 2 * (i % 4)));
	}
	return (long)n;
}

static bool
pack_base64(struct json *j, struct futured_pack *p, const char *s, size_t len)
{
	unsigned char *bytes = need(malloc(len + 1));
	long n = unbase64(s, len, bytes);

	if (n >= 0)
		futured_pack_bin(p, bytes, (size_t)n);
	free(bytes);
	return n >= 0 || wrong(j, "\"base64\" is not base64");
}

/* Objects with one key may stand for what JSON does not have. */
static bool
pack_special(struct json *j, struct futured_pack *p, const struct futured_pack *inside, bool *well)
{
	struct futured_value cursor = futured_pack_value(inside), key, value;
	const char *s;
	uint64_t id;
	size_t len;

	if (!futured_value_next(&cursor, &key) || !futured_value_next(&cursor, &value))
		return false;
	if (futured_value_is_str(key, "base64") && futured_value_str(value, &s, &len)) {
		*well = pack_base64(j, p, s, len);
		return true;
	}
	if (futured_value_is_str(key, "future") && futured_value_uint(value, &id) && id > 0) {
		futured_pack_future(p, id);
		return true;
	}
	return false;
}

struct key {
	char *s;
	size_t len;
};

static int
by_text(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : x->len < y->len ? -1 : x->len > y->len;
}

struct keys {
	struct key *key;
	size_t count;
};

static void
add_key(struct keys *keys, struct key key)
{
	if ((keys->count & (keys->count + 1)) == 0)
		keys->key = need(realloc(keys->key, (2 * keys->count + 2) * sizeof *keys->key));
	keys->key[keys->count++] = key;
}

static bool
keys_differ(struct json *j, struct keys *keys)
{
	if (keys->count > 1)
		qsort(keys->key, keys->count, sizeof *keys->key, by_text);
	for (size_t i = 1; i < keys->count; i++)
		if (by_text(&keys->key[i - 1], &keys->key[i]) == 0)
			return wrong(j, "the key \"%.100s\" is there twice", keys->key[i].s);
	return true;
}

static bool
read_members(struct json *j, struct futured_pack *inside, struct keys *keys, int depth)
{
	skip_blanks(j);
	if (take(j, '}'))
		return true;
	do {
		struct key key;

		skip_blanks(j);
		if (!read_string(j, &key.s, &key.len))
			return false;
		add_key(keys, key);
		futured_packf(inside, "S", key.s, key.len);
		skip_blanks(j);
		if (!take(j, ':'))
			return wrong(j, "expected ':'");
		if (!pack_value(j, inside, depth))
			return false;
		skip_blanks(j);
	} while (take(j, ','));
	if (!take(j, '}'))
		return wrong(j, "expected ',' or '}'");
	return keys_differ(j, keys);
}

static bool
pack_object(struct json *j, struct futured_pack *p, int depth)
{
	struct futured_pack *inside = need(futured_pack_new());
	struct keys keys = { 0 };
	bool well = read_members(j, inside, &keys, depth);

	if (well && !(keys.count == 1 && pack_special(j, p, inside, &well))) {
		futured_pack_map(p, keys.count);
		append(p, inside);
	}
	for (size_t i = 0; i < keys.count; i++)
		free(keys.key[i].s);
	free(keys.key);
	futured_pack_free(inside);
	return well;
}

static bool
pack_value(struct json *j, struct futured_pack *p, int depth)
{
	skip_blanks(j);
	if (j->at == j->end)
		return wrong(j, "expected a value, got the end");
	if (depth == DEPTH_MAX)
		return wrong(j, "nested more than %d deep", DEPTH_MAX);
	if (*j->at == '"')
		return pack_string(j, p);
	if (take(j, '['))
		return pack_array(j, p, depth + 1);
	if (take(j, '{'))
		return pack_object(j, p, depth + 1);
	if (*j->at == '-' || isdigit((unsigned char)*j->at))
		return pack_number(j, p);
	if (take_word(j, "true"))
		futured_pack_bool(p, true);
	else if (take_word(j, "false"))
		futured_pack_bool(p, false);
	else if (take_word(j, "null"))
		futured_pack_nil(p);
	else
		return wrong(j, "expected a value");
	return true;
}

bool
jsonin_read(const char *text, size_t len, struct futured_pack *p, char *why, size_t why_size)
{
	struct json j = { text, text, text + len, why, why_size };

	if (!pack_value(&j, p, 0))
		return false;
	skip_blanks(&j);
	return j.at == j.end || wrong(&j, "more text behind the value");
}

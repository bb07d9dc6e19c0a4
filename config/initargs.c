/* Encodes by hand: config includes nothing of ours, and six forms of MessagePack are less than a dependency. Recursion is
 * bounded by the tree's depth. Length headers always have their 32-bit form: these bytes are made once. */
#include "config/initargs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

struct encoder {
	uint8_t *data;
	size_t len;
	size_t cap;
	const char *path;
	struct report *report;
};

static bool
encode_bytes(struct encoder *e, const void *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t *grown = memory_grow(e->data, e->len, &e->cap, 1);

		if (!grown) {
			e->report->no_memory = true;
			return false;
		}
		e->data = grown;
		e->data[e->len++] = ((const uint8_t *)bytes)[i];
	}
	return true;
}

/* A type byte and `width` bytes of the value, big-endian. */
static bool
encode_head(struct encoder *e, uint8_t type, uint64_t value, unsigned width)
{
	uint8_t head[9] = {type};
	unsigned i;

	for (i = 0; i < width; i++)
		head[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
	return encode_bytes(e, head, 1 + width);
}

static bool
is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

enum number_form { FORM_NONE, FORM_DECIMAL, FORM_OCTAL, FORM_HEX, FORM_FLOAT };

/* [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+, [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static enum number_form
number_form(const char *s)
{
	static const char digits[] = "0123456789";
	size_t whole, part = 0;
	enum number_form form = FORM_DECIMAL;

	if (s[0] == '0' && s[1] == 'o')
		return s[2] && !s[2 + strspn(s + 2, "01234567")] ? FORM_OCTAL : FORM_NONE;
	if (s[0] == '0' && s[1] == 'x')
		return s[2] && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] ? FORM_HEX : FORM_NONE;
	s += *s == '-' || *s == '+';
	whole = strspn(s, digits);
	s += whole;
	if (*s == '.') {
		form = FORM_FLOAT;
		part = strspn(s + 1, digits);
		s += 1 + part;
	}
	if (!whole && !part)
		return FORM_NONE;
	if (*s == 'e' || *s == 'E') {
		form = FORM_FLOAT;
		s++;
		s += *s == '-' || *s == '+';
		part = strspn(s, digits);
		if (!part)
			return FORM_NONE;
		s += part;
	}
	return *s ? FORM_NONE : form;
}

static bool
encode_double(struct encoder *e, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return encode_head(e, 0xcb, bits, 8);
}

static bool
encode_out_of_range(struct encoder *e, const struct node *n)
{
	char quote[REPORT_QUOTE];

	report_add(e->report, n->line, n->col, e->path, "expected a number that fits 64 bits (or quotes around it), got %s",
		report_quote(quote, n->text, n->len));
	return false;
}

static bool
encode_integer(struct encoder *e, const struct node *n, int base)
{
	const char *digit = n->text + (base == 10 ? 0 : 2);
	bool negative = n->text[0] == '-';

	errno = 0;
	if (negative) {
		long long v = strtoll(digit, NULL, base);

		return errno ? encode_out_of_range(e, n) : encode_head(e, 0xd3, (uint64_t)v, 8);
	}
	{
		unsigned long long v = strtoull(digit, NULL, base);

		if (errno)
			return encode_out_of_range(e, n);
		return v < 128 ? encode_head(e, (uint8_t)v, 0, 0) : encode_head(e, 0xcf, v, 8);
	}
}

static bool
encode_float(struct encoder *e, const struct node *n)
{
	double v = strtod(n->text, NULL);

	return isinf(v) ? encode_out_of_range(e, n) : encode_double(e, v);
}

static bool
encode_str(struct encoder *e, const struct node *n)
{
	return encode_head(e, 0xdb, n->len, 4) && encode_bytes(e, n->text, n->len);
}

static bool
encode_scalar(struct encoder *e, const struct node *n)
{
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
	static const char *const plus[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
	static const char *const minus[] = {"-.inf", "-.Inf", "-.INF", NULL};

	if (!n->plain || memchr(n->text, '\0', n->len))
		return encode_str(e, n);
	if (node_is_null(n))
		return encode_head(e, 0xc0, 0, 0);
	if (is_one_of(n->text, yes))
		return encode_head(e, 0xc3, 0, 0);
	if (is_one_of(n->text, no))
		return encode_head(e, 0xc2, 0, 0);
	if (is_one_of(n->text, nan))
		return encode_double(e, (double)NAN);
	if (is_one_of(n->text, plus))
		return encode_double(e, (double)INFINITY);
	if (is_one_of(n->text, minus))
		return encode_double(e, -(double)INFINITY);
	switch (number_form(n->text)) {
	case FORM_DECIMAL:
		return encode_integer(e, n, 10);
	case FORM_OCTAL:
		return encode_integer(e, n, 8);
	case FORM_HEX:
		return encode_integer(e, n, 16);
	case FORM_FLOAT:
		return encode_float(e, n);
	default:
		return encode_str(e, n);
	}
}

static bool
encode(struct encoder *e, const struct node *n)
{
	size_t i;
	bool ok;

	switch (n->type) {
	case NODE_SCALAR:
		return encode_scalar(e, n);
	case NODE_LIST:
		ok = encode_head(e, 0xdd, n->count, 4);
		break;
	case NODE_MAP:
		ok = encode_head(e, 0xdf, n->count / 2, 4);
		break;
	default:
		return false;
	}
	for (i = 0; i < n->count; i++) {
		const struct node *item = &n->item[i];

		if (n->type == NODE_MAP && i % 2 == 0 && (item->type == NODE_LIST || item->type == NODE_MAP)) {
			report_add(e->report, item->line, item->col, e->path, "expected a scalar as a map's key, got %s",
				item->type == NODE_LIST ? "a list" : "a map");
			ok = false;
			continue;
		}
		ok = encode(e, item) && ok;
	}
	return ok;
}

bool
initargs_encode(const struct node *list, const char *path, struct report *report, uint8_t **bytes, size_t *len)
{
	struct encoder e = {.path = path, .report = report};

	if (!encode(&e, list)) {
		free(e.data);
		return false;
	}
	*bytes = e.data;
	*len = e.len;
	return true;
}

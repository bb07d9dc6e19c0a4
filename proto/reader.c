/* A cursor over MessagePack bytes. Everything is derived from the table in shape.h: where a value's payload begins, how
 * long it is, whether it is all there. */
#include <string.h>

#include "proto/reader.h"
#include "proto/shape.h"

enum { DEPTH_MAX = 255 };

/* The next value, when it has payload bytes and not items. */
struct scalar {
	uint8_t head;
	const uint8_t *body;
	size_t len;
};

static uint64_t
big_endian(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len-- > 0)
		v = v << 8 | *p++;
	return v;
}

static size_t
left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

/* Whether the next header is whole; *count as in shape.h. */
static bool
look_header(const struct reader *r, struct shape *shape, uint64_t *count)
{
	if (r->at == r->end)
		return false;
	*shape = shape_of[*r->at];
	if (left(r) <= shape->width)
		return false;
	*count = shape_count(*shape, r->at);
	return true;
}

static inline bool
look_scalar(const struct reader *r, struct scalar *out)
{
	struct shape shape;
	uint64_t count;

	if (r->at < r->end && shape_is_short(*r->at)) {
		out->head = *r->at;
		out->body = r->at + 1;
		out->len = shape_short_count(*r->at);
		return out->len < left(r);
	}
	if (!look_header(r, &shape, &count) || shape.per != SHAPE_BYTES)
		return false;
	if (count > left(r) - 1u - shape.width)
		return false;
	out->head = *r->at;
	out->body = r->at + 1 + shape.width;
	out->len = (size_t)count;
	return true;
}

static inline enum reader_type
type_of(uint8_t head)
{
	if (head < 0x80 || head >= 0xe0)
		return READER_INT;
	if (head < 0x90)
		return READER_MAP;
	if (head < 0xa0)
		return READER_ARRAY;
	if (head < 0xc0)
		return READER_STR;
	switch (head) {
	case 0xc0: return READER_NIL;
	case 0xc1: return READER_BAD;
	case 0xc2: case 0xc3: return READER_BOOL;
	case 0xc4: case 0xc5: case 0xc6: return READER_BIN;
	case 0xca: case 0xcb: return READER_FLOAT;
	case 0xd9: case 0xda: case 0xdb: return READER_STR;
	case 0xdc: case 0xdd: return READER_ARRAY;
	case 0xde: case 0xdf: return READER_MAP;
	default: return head >= 0xcc && head <= 0xd3 ? READER_INT : READER_EXT;
	}
}

void
reader_init(struct reader *r, const void *bytes, size_t len)
{
	r->at = bytes;
	r->end = len > 0 ? r->at + len : r->at; /* bytes may be NULL when len is 0 */
}

bool
reader_is_at_end(const struct reader *r)
{
	return r->at == r->end;
}

enum reader_type
reader_peek(const struct reader *r)
{
	enum reader_type type;
	struct shape shape;
	struct scalar v;
	uint64_t count;

	if (!look_header(r, &shape, &count))
		return READER_END;
	type = type_of(*r->at);
	if ((type == READER_INT || type == READER_FLOAT) && !look_scalar(r, &v))
		return READER_END; /* a number is all header */
	return type;
}

const char *
reader_type_name(enum reader_type type)
{
	static const char *const names[] = {
		[READER_END] = "nothing", [READER_NIL] = "nil",     [READER_BOOL] = "bool", [READER_INT] = "int",
		[READER_FLOAT] = "float", [READER_STR] = "str",     [READER_BIN] = "bin",   [READER_ARRAY] = "array",
		[READER_MAP] = "map",     [READER_EXT] = "ext",     [READER_BAD] = "an invalid byte",
	};

	return names[type];
}

bool
read_nil(struct reader *r)
{
	if (r->at == r->end || *r->at != 0xc0)
		return false;
	r->at++;
	return true;
}

bool
read_bool(struct reader *r, bool *v)
{
	if (r->at == r->end || (*r->at & 0xfe) != 0xc2)
		return false;
	*v = *r->at == 0xc3;
	r->at++;
	return true;
}

/* An integer of any encoding: its 64 bits, and whether they are to be read as negative. */
static inline bool
look_integer(const struct reader *r, struct scalar *v, uint64_t *bits, bool *negative)
{
	if (!look_scalar(r, v) || type_of(v->head) != READER_INT)
		return false;
	*negative = false;
	if (v->head < 0x80) {
		*bits = v->head;
	} else if (v->head >= 0xe0) {
		*bits = (uint64_t)(int8_t)v->head;
		*negative = true;
	} else {
		*bits = big_endian(v->body, v->len);
		if (v->head >= 0xd0 && (v->body[0] & 0x80) != 0) {
			if (v->len < sizeof *bits)
				*bits |= UINT64_MAX << (8 * v->len);
			*negative = true;
		}
	}
	return true;
}

bool
read_int(struct reader *r, int64_t *v)
{
	struct scalar s;
	uint64_t bits;
	bool negative;

	if (!look_integer(r, &s, &bits, &negative) || (!negative && bits > INT64_MAX))
		return false;
	*v = (int64_t)bits;
	r->at = s.body + s.len;
	return true;
}

bool
read_uint(struct reader *r, uint64_t *v)
{
	struct scalar s;
	uint64_t bits;
	bool negative;

	if (!look_integer(r, &s, &bits, &negative) || negative)
		return false;
	*v = bits;
	r->at = s.body + s.len;
	return true;
}

static double
float_of(const struct scalar *s)
{
	uint64_t bits = big_endian(s->body, s->len);
	uint32_t small = (uint32_t)bits;
	double d;
	float f;

	if (s->len == sizeof f) {
		memcpy(&f, &small, sizeof f);
		return (double)f;
	}
	memcpy(&d, &bits, sizeof d);
	return d;
}

bool
read_number(struct reader *r, double *v)
{
	struct scalar s;
	uint64_t bits;
	bool negative;

	if (look_integer(r, &s, &bits, &negative))
		*v = negative ? (double)(int64_t)bits : (double)bits;
	else if (look_scalar(r, &s) && type_of(s.head) == READER_FLOAT)
		*v = float_of(&s);
	else
		return false;
	r->at = s.body + s.len;
	return true;
}

static bool
read_bytes(struct reader *r, enum reader_type type, const uint8_t **bytes, size_t *len)
{
	struct scalar s;

	if (!look_scalar(r, &s) || type_of(s.head) != type)
		return false;
	*bytes = s.body;
	*len = s.len;
	r->at = s.body + s.len;
	return true;
}

bool
read_str(struct reader *r, const char **s, size_t *len)
{
	const uint8_t *bytes;

	if (!read_bytes(r, READER_STR, &bytes, len))
		return false;
	*s = (const char *)bytes;
	return true;
}

bool
read_bin(struct reader *r, const uint8_t **bytes, size_t *len)
{
	return read_bytes(r, READER_BIN, bytes, len);
}

bool
read_text(struct reader *r, const char **s, size_t *len)
{
	const uint8_t *bytes;

	if (!read_bytes(r, READER_STR, &bytes, len) && !read_bytes(r, READER_BIN, &bytes, len))
		return false;
	*s = (const char *)bytes;
	return true;
}

static bool
read_items(struct reader *r, uint8_t per, uint32_t *count)
{
	struct shape shape;
	uint64_t items;

	if (!look_header(r, &shape, &items) || shape.per != per)
		return false;
	*count = (uint32_t)items;
	r->at += 1 + shape.width;
	return true;
}

bool
read_array(struct reader *r, uint32_t *count)
{
	return read_items(r, SHAPE_ARRAY, count);
}

bool
read_map(struct reader *r, uint32_t *pairs)
{
	return read_items(r, SHAPE_MAP, pairs);
}

bool
read_ext(struct reader *r, int8_t *type, const uint8_t **bytes, size_t *len)
{
	const uint8_t *body;
	size_t body_len;

	if (!read_bytes(r, READER_EXT, &body, &body_len))
		return false;
	*type = (int8_t)body[0]; /* counted as payload by shape.h */
	*bytes = body + 1;
	*len = body_len - 1;
	return true;
}

bool
read_skip(struct reader *r)
{
	struct reader at = *r;
	uint64_t owed = 1;

	while (owed > 0) {
		struct shape shape;
		uint64_t count;

		/* each value owed is a byte at least: this also keeps the sum far from overflowing */
		if (owed > left(&at))
			return false;
		if (shape_is_short(*at.at)) {
			count = shape_short_count(*at.at);
			if (count >= left(&at))
				return false;
			at.at += 1 + count;
			owed--;
			continue;
		}
		if (!look_header(&at, &shape, &count) || shape.per == SHAPE_BAD)
			return false;
		owed--;
		at.at += 1 + shape.width;
		if (shape.per != SHAPE_BYTES) {
			owed += count * shape.per;
			continue;
		}
		if (count > left(&at))
			return false;
		at.at += count;
	}
	r->at = at.at;
	return true;
}

bool
read_raw(struct reader *r, const uint8_t **bytes, size_t *len)
{
	const uint8_t *begin = r->at;

	if (!read_skip(r))
		return false;
	*bytes = begin;
	*len = (size_t)(r->at - begin);
	return true;
}

bool
read_is_text(struct reader *r, const char *s, size_t wanted)
{
	struct reader at = *r;
	const char *text;
	size_t len;

	if (!read_str(&at, &text, &len) || len != wanted || memcmp(text, s, len) != 0)
		return false;
	r->at = at.at;
	return true;
}

unsigned
reader_depth(const struct reader *r)
{
	uint64_t owed[DEPTH_MAX];
	unsigned depth = 0, deepest = 0;
	struct reader at = *r;

	if (at.at < at.end && shape_is_short(*at.at))
		return 0;
	do {
		struct shape shape;
		uint64_t count;

		if (!look_header(&at, &shape, &count) || shape.per == SHAPE_BAD)
			break;
		if (depth > 0)
			owed[depth - 1]--;
		at.at += 1 + shape.width;
		if (shape.per != SHAPE_BYTES) {
			owed[depth++] = count * shape.per;
			if (depth > deepest)
				deepest = depth;
			if (depth == DEPTH_MAX)
				break;
		} else {
			at.at += count < left(&at) ? count : left(&at);
		}
		while (depth > 0 && owed[depth - 1] == 0)
			depth--;
	} while (depth > 0);
	return deepest;
}

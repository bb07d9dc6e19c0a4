/* A cursor over MessagePack bytes that never copies, allocates or recurses.
 *
 * Why not msgpack_unpack: the daemon passes args and results through as the bytes that came, so it needs to
 * know where a value begins and ends, which msgpack-c's object tree does not tell; and most requests need
 * five small fields, not a tree.
 *
 * Every read_* returns false, and leaves the cursor where it was, when the next value is of another type or
 * runs past the end. Pointers returned point into the bytes given to reader_init. */
#ifndef FUTURED_PROTO_READER_H
#define FUTURED_PROTO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/utf8.h" /* what is read as str may yet have to be checked */

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

enum reader_type {
	READER_END, /* nothing left, or the next value's header is cut */
	READER_NIL,
	READER_BOOL,
	READER_INT, /* any integer */
	READER_FLOAT,
	READER_STR,
	READER_BIN,
	READER_ARRAY,
	READER_MAP,
	READER_EXT,
	READER_BAD, /* byte c1 */
};

void reader_init(struct reader *r, const void *bytes, size_t len);
bool reader_is_at_end(const struct reader *r);
enum reader_type reader_peek(const struct reader *r);
/* "nil", "bool", "int", …: for error messages. */
const char *reader_type_name(enum reader_type type);

bool read_nil(struct reader *r);
bool read_bool(struct reader *r, bool *v);
bool read_int(struct reader *r, int64_t *v);   /* false too if it does not fit */
bool read_uint(struct reader *r, uint64_t *v); /* any encoding of a value >= 0 */
bool read_number(struct reader *r, double *v); /* int or float */
bool read_str(struct reader *r, const char **s, size_t *len);
bool read_bin(struct reader *r, const uint8_t **bytes, size_t *len);
bool read_text(struct reader *r, const char **s, size_t *len); /* str or bin */
bool read_array(struct reader *r, uint32_t *count);
bool read_map(struct reader *r, uint32_t *pairs);
bool read_ext(struct reader *r, int8_t *type, const uint8_t **bytes, size_t *len);
/* Skips one whole value, nested ones included (any depth, constant space). */
bool read_skip(struct reader *r);
/* Skips one whole value and tells where its bytes are. */
bool read_raw(struct reader *r, const uint8_t **bytes, size_t *len);
/* If the next value is a str equal to `s`, passes over it. Inline, so that the length of a constant is one. */
bool read_is_text(struct reader *r, const char *s, size_t len);
static inline bool
read_is(struct reader *r, const char *s)
{
	return read_is_text(r, s, strlen(s));
}
/* How deep the next value nests: 0 for a scalar, 1 for [] or [1]. Stops counting at 255. The cursor stays.
 * The value must be whole. */
unsigned reader_depth(const struct reader *r);

#endif

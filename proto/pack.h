/* MessagePack encoding into a struct buf (through msgpack-c). Failure is remembered by the buf. */
#ifndef FUTURED_PROTO_PACK_H
#define FUTURED_PROTO_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/buf.h"

void pack_nil(struct buf *b);
void pack_bool(struct buf *b, bool v);
void pack_uint(struct buf *b, uint64_t v);
void pack_int(struct buf *b, int64_t v);
void pack_double(struct buf *b, double v);
/* An int where it is one that every language has, else a float. */
void pack_number(struct buf *b, double v);
void pack_str(struct buf *b, const char *s, size_t len);
/* Inline, so that the length of a constant is one. */
static inline void
pack_cstr(struct buf *b, const char *s)
{
	pack_str(b, s, strlen(s));
}
/* Like pack_str, but bytes that are not UTF-8 are replaced by U+FFFD: what the daemon says is always valid. */
void pack_text(struct buf *b, const char *s, size_t len);
void pack_bin(struct buf *b, const void *bytes, size_t len);
void pack_bin_header(struct buf *b, size_t len); /* the caller appends len bytes */
void pack_str_header(struct buf *b, size_t len); /* the same, of UTF-8 */
void pack_array(struct buf *b, size_t count);
void pack_map(struct buf *b, size_t pairs);
void pack_ext(struct buf *b, int8_t type, const void *bytes, size_t len);
/* A value that is MessagePack already. */
void pack_raw(struct buf *b, const void *bytes, size_t len);

/* Map entries with a constant key: pack_key(b, "type"); pack_…(b, …). */
static inline void
pack_key(struct buf *b, const char *key)
{
	pack_cstr(b, key);
}

#endif

/* What each of the 256 header bytes of MessagePack promises, as one table.
 *
 * A header byte is followed by a length field of `width` bytes (big-endian). Together they give a count:
 *
 *     fixed + (byte & mask) + the length field
 *
 * which counts bytes of payload, or items if `per` is not 0: an array owes `count` values, a map twice as many. The type
 * byte of an ext is counted as payload. The scanner and the reader share this table, so that they cannot disagree. */
#ifndef FUTURED_PROTO_SHAPE_H
#define FUTURED_PROTO_SHAPE_H

#include <stddef.h>
#include <stdint.h>

enum { SHAPE_HEADER_MAX = 5 }; /* header byte and length field */

enum { SHAPE_BYTES = 0, SHAPE_ARRAY = 1, SHAPE_MAP = 2, SHAPE_BAD = 3 };

struct shape {
	uint8_t width; /* bytes of the length field: 0, 1, 2 or 4 */
	uint8_t fixed; /* payload bytes that are always there */
	uint8_t mask;  /* the bits of the header byte that count */
	uint8_t per;   /* SHAPE_…: values per item, 0 for payload bytes */
};

extern const struct shape shape_of[256];

/* The count of the header at p, of which 1 + width bytes are there. At most 2^32 + 16. */
static inline uint64_t
shape_count(struct shape shape, const uint8_t *p)
{
	uint64_t count = (uint64_t)shape.fixed + (p[0] & shape.mask);

	switch (shape.width) {
	case 0: return count;
	case 1: return count + p[1];
	case 2: return count + ((uint64_t)p[1] << 8 | p[2]);
	default: return count + ((uint64_t)p[1] << 24 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 8 | p[4]);
	}
}

/* Most values of most messages are small integers and short strs. The next two tell them, and their payload, without the
 * table: a load less in the chain from one header to the next, which is what bounds the speed of a scan. */
static inline int
shape_is_short(uint8_t head)
{
	return head < 0x80 || head >= 0xe0 || (head & 0xe0) == 0xa0;
}

static inline size_t
shape_short_count(uint8_t head)
{
	return (head & 0xe0) == 0xa0 ? head & 0x1f : 0;
}

#endif

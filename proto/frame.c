/* The scanner. What it keeps per frame is how much is owed: payload bytes of the value it is in (skip), values at each open
 * level (left), and their sum, each value being at least one byte.
 *
 * One number answers "may this still fit?" at every header: `spare`, the bytes that the limit leaves once everything owed has
 * come as single bytes. A one-byte value leaves it unchanged; a longer one, or a container, costs it what it adds. So
 * there is one comparison per header and no sum that could overflow. */
#include <string.h>

#include "proto/frame.h"
#include "proto/shape.h"

void
frame_scan_init(struct frame_scan *s, uint64_t limit)
{
	memset(s, 0, sizeof *s);
	s->limit = limit;
	s->owed = 1;
	s->error = limit > 0 ? FRAME_MORE : FRAME_TOO_LARGE;
}

/* What a header says against the frame, or FRAME_MORE if nothing. *costs: bytes promised beyond one. */
static inline enum frame_verdict
judge(struct shape shape, uint64_t count, unsigned depth, uint64_t spare, uint64_t *costs)
{
	*costs = shape.width + (shape.per == SHAPE_BYTES ? count : count * shape.per);
	if (shape.per != SHAPE_BYTES) {
		if (shape.per == SHAPE_BAD)
			return FRAME_MALFORMED;
		if (depth == FRAME_DEPTH_MAX)
			return FRAME_TOO_DEEP;
	}
	return *costs > spare ? FRAME_TOO_LARGE : FRAME_MORE;
}

/* A header cut by the end of the bytes proves already what it would with zeros behind it. */
static enum frame_verdict
judge_cut(const uint8_t *p, size_t len, unsigned depth, uint64_t spare)
{
	uint8_t header[SHAPE_HEADER_MAX] = { 0 };
	uint64_t costs;

	memcpy(header, p, len);
	return judge(shape_of[p[0]], shape_count(shape_of[p[0]], header), depth, spare, &costs);
}

/* Leaves the scanner as it shall be found next time. */
static enum frame_verdict
leave(struct frame_scan *s, enum frame_verdict v, unsigned depth, uint64_t spare)
{
	s->depth = depth;
	if (v == FRAME_MORE) {
		s->owed = s->limit - s->seen - s->skip - spare;
	} else if (v == FRAME_DONE) {
		s->seen = 0;
		s->owed = 1;
	} else {
		s->error = v;
	}
	return v;
}

enum frame_verdict
frame_scan(struct frame_scan *s, const void *bytes, size_t len, size_t *used)
{
	const uint8_t *begin = bytes, *p = begin, *end = begin + len;
	uint64_t spare = s->limit - s->seen - s->skip - s->owed;
	enum frame_verdict v = s->error;
	unsigned depth = s->depth;

	*used = 0;
	if (v != FRAME_MORE || len == 0)
		return v;
	if (s->skip > 0) {
		uint64_t step = s->skip < len ? s->skip : len;

		p += step;
		s->skip -= step;
		if (s->skip == 0 && depth == 0)
			v = FRAME_DONE;
	}
	while (p < end && v == FRAME_MORE) {
		struct shape shape = shape_of[*p];
		uint64_t count, costs;

		if ((size_t)(end - p) <= shape.width) {
			v = judge_cut(p, (size_t)(end - p), depth, spare);
			break;
		}
		count = shape_count(shape, p);
		v = judge(shape, count, depth, spare, &costs);
		if (v != FRAME_MORE)
			break;
		spare -= costs;
		p += 1 + shape.width;
		if (depth > 0)
			s->left[depth - 1]--;
		if (shape.per != SHAPE_BYTES) {
			s->left[depth++] = count * shape.per;
		} else if (count > (size_t)(end - p)) {
			s->skip = count - (size_t)(end - p);
			p = end;
		} else {
			p += count;
		}
		while (depth > 0 && s->left[depth - 1] == 0)
			depth--;
		if (depth == 0 && s->skip == 0)
			v = FRAME_DONE;
	}
	*used = (size_t)(p - begin);
	s->seen += *used;
	return leave(s, v, depth, spare);
}

uint64_t
frame_scan_needs(const struct frame_scan *s)
{
	uint64_t needs = s->skip + s->owed;

	return needs > 0 ? needs : 1;
}

const char *
frame_verdict_text(enum frame_verdict v)
{
	switch (v) {
	case FRAME_MORE: return "the frame is not whole";
	case FRAME_DONE: return "the frame is whole";
	case FRAME_MALFORMED: return "the bytes are not MessagePack";
	case FRAME_TOO_LARGE: return "the frame is larger than the limit";
	case FRAME_TOO_DEEP: return "the frame is nested deeper than 32";
	}
	return "the frame is invalid";
}

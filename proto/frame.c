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

/* The scanner's place, in registers while it runs. */
struct place {
	const uint8_t *p, *end;
	uint64_t spare;
	uint64_t here; /* values owed at the current level; at level 0 that is the frame itself */
	unsigned depth;
};

/* Passes over payload, of which the rest may not be there yet. */
static inline void
pass(struct frame_scan *s, struct place *at, uint64_t count)
{
	if (count > (size_t)(at->end - at->p)) {
		s->skip = count - (size_t)(at->end - at->p);
		at->p = at->end;
	} else {
		at->p += count;
	}
}

/* Takes the value at p, or its header if it is a container. */
static inline enum frame_verdict
take(struct frame_scan *s, struct place *at)
{
	struct shape shape = shape_of[*at->p];
	enum frame_verdict v;
	uint64_t count, costs;

	if ((size_t)(at->end - at->p) <= shape.width)
		return judge_cut(at->p, (size_t)(at->end - at->p), at->depth, at->spare);
	count = shape_count(shape, at->p);
	v = judge(shape, count, at->depth, at->spare, &costs);
	if (v != FRAME_MORE)
		return v;
	at->spare -= costs;
	at->p += 1 + shape.width;
	at->here--;
	if (shape.per == SHAPE_BYTES) {
		pass(s, at, count);
		return FRAME_MORE;
	}
	if (at->depth > 0)
		s->left[at->depth - 1] = at->here;
	at->depth++;
	at->here = count * shape.per;
	return FRAME_MORE;
}

static inline enum frame_verdict
run(struct frame_scan *s, struct place *at)
{
	while (at->p < at->end) {
		const uint8_t *header = at->p;
		size_t count = shape_short_count(*header);

		if (shape_is_short(*header) && count <= at->spare) {
			at->spare -= count;
			at->p++;
			at->here--;
			pass(s, at, count);
		} else {
			enum frame_verdict v = take(s, at);

			if (v != FRAME_MORE || at->p == header)
				return v;
		}
		while (at->here == 0 && at->depth > 0) {
			at->depth--;
			at->here = at->depth > 0 ? s->left[at->depth - 1] : 0;
		}
		if (at->here == 0 && s->skip == 0)
			return FRAME_DONE;
	}
	return FRAME_MORE;
}

/* Leaves the scanner as it shall be found next time. */
static enum frame_verdict
leave(struct frame_scan *s, const struct place *at, enum frame_verdict v)
{
	if (v == FRAME_DONE) {
		s->seen = 0;
		s->owed = 1;
		s->depth = 0;
	} else if (v != FRAME_MORE) {
		s->error = v;
	} else {
		s->owed = s->limit - s->seen - s->skip - at->spare;
		s->depth = at->depth;
		if (at->depth > 0)
			s->left[at->depth - 1] = at->here;
	}
	return v;
}

enum frame_verdict
frame_scan(struct frame_scan *s, const void *bytes, size_t len, size_t *used)
{
	enum frame_verdict v = FRAME_MORE;
	struct place at;
	uint64_t step;

	*used = 0;
	if (s->error != FRAME_MORE || len == 0)
		return s->error;
	step = s->skip < len ? s->skip : len;
	at.p = (const uint8_t *)bytes + step;
	at.end = (const uint8_t *)bytes + len;
	at.spare = s->limit - s->seen - s->skip - s->owed;
	at.depth = s->depth;
	at.here = s->depth > 0 ? s->left[s->depth - 1] : s->owed;
	s->skip -= step;
	if (s->skip == 0)
		v = at.here == 0 ? FRAME_DONE : run(s, &at);
	*used = (size_t)(at.p - (const uint8_t *)bytes);
	s->seen += *used;
	return leave(s, &at, v);
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

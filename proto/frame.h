/* Finds where a MessagePack value ends, before anything is allocated for it.
 *
 * The scanner looks at headers only: it knows how many values are still owed at each depth. It refuses from a
 * header alone what cannot fit: `dd 7f ff ff ff` claims 2^31 values, each at least one byte, so it is too large the
 * moment it is seen. It allocates nothing and resumes across reads, so each byte is scanned once.
 *
 * A header that is cut by the end of the bytes is left unused (at most 8 bytes): offer it again with more behind it. */
#ifndef FUTURED_PROTO_FRAME_H
#define FUTURED_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_DEPTH_MAX = 32 }; /* the outermost array is level 1; 32 is allowed, 33 refused */

enum frame_verdict {
	FRAME_MORE,      /* not whole yet */
	FRAME_DONE,      /* one whole value ended after *used bytes */
	FRAME_MALFORMED, /* byte c1 */
	FRAME_TOO_LARGE, /* more bytes than the limit, or it promises more */
	FRAME_TOO_DEEP,
};

struct frame_scan {
	uint64_t limit;                     /* bytes a frame may have */
	uint64_t seen;                      /* bytes of this frame used so far */
	uint64_t skip;                      /* payload bytes of a str, bin or ext still to pass over */
	uint64_t owed;                      /* values owed over all levels */
	unsigned depth;                     /* open containers */
	enum frame_verdict error;           /* FRAME_MORE, or the error it stays in */
	uint64_t left[FRAME_DEPTH_MAX];     /* values owed at each */
};

void frame_scan_init(struct frame_scan *s, uint64_t limit);

/* Looks at the next `len` bytes of the frame; *used says how many it passed over. After FRAME_DONE it is ready for
 * the next frame; after an error it stays in error. */
enum frame_verdict frame_scan(struct frame_scan *s, const void *bytes, size_t len, size_t *used);

/* Bytes that the frame certainly still needs (at least 1 while FRAME_MORE): lets a reader size its buffer. */
uint64_t frame_scan_needs(const struct frame_scan *s);

/* A sentence for a verdict, for ProtocolError messages. */
const char *frame_verdict_text(enum frame_verdict v);

#endif

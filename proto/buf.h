/* A growable run of bytes: what is being encoded, or has been read and not yet used.
 *
 * Running out of memory is remembered in `failed`, so an encoder writes a whole message and asks once
 * at the end. Not shared between threads without a lock of the caller's. */
#ifndef FUTURED_PROTO_BUF_H
#define FUTURED_PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* owned; NULL while cap is 0 */
	size_t len;    /* bytes in use */
	size_t cap;    /* bytes allocated */
	bool failed;   /* an allocation failed: the content is cut, and stays so until buf_clear */
};

void buf_init(struct buf *b);
/* Frees the bytes and makes it as after buf_init. */
void buf_clear(struct buf *b);
/* Makes room for `more` bytes behind len. At most doubles what is in use. False (and failed) without memory. */
bool buf_reserve(struct buf *b, size_t more);
bool buf_append(struct buf *b, const void *bytes, size_t len);
/* Removes the first `len` bytes (len <= b->len). */
void buf_drain(struct buf *b, size_t len);
/* Returns the bytes, which the caller now owns and frees with free(); b is as after buf_init.
 * NULL, with everything freed, if failed or empty. */
uint8_t *buf_take(struct buf *b, size_t *len);

#endif

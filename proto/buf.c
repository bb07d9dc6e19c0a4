/* A growable run of bytes. */
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"

enum { BUF_SMALLEST = 64 };

void
buf_init(struct buf *b)
{
	memset(b, 0, sizeof *b);
}

void
buf_clear(struct buf *b)
{
	free(b->data);
	buf_init(b);
}

bool
buf_reserve(struct buf *b, size_t more)
{
	size_t cap;
	uint8_t *data;

	if (b->failed)
		return false;
	if (more <= b->cap - b->len)
		return true;
	if (more > SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return false;
	}
	cap = b->len + more;
	if (cap < 2 * b->len)
		cap = 2 * b->len;
	if (cap < BUF_SMALLEST)
		cap = BUF_SMALLEST;
	data = realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

bool
buf_append(struct buf *b, const void *bytes, size_t len)
{
	if (!buf_reserve(b, len))
		return false;
	if (len > 0)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	return true;
}

void
buf_drain(struct buf *b, size_t len)
{
	b->len -= len;
	if (len > 0 && b->len > 0)
		memmove(b->data, b->data + len, b->len);
}

uint8_t *
buf_take(struct buf *b, size_t *len)
{
	uint8_t *data = b->data;

	*len = 0;
	if (b->failed || b->len == 0) {
		buf_clear(b);
		return NULL;
	}
	*len = b->len;
	buf_init(b); /* the caller has data now */
	return data;
}

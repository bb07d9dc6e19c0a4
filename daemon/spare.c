#include "daemon/spare.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/timer.h"

enum { SPARES = 8, SPARE_BYTES = 256 * 1024 * 1024 };

#define KEPT_US UINT64_C(1000000)

struct spare {
	void *data; /* NULL: none */
	size_t size;
	uint64_t since_us;
};

static struct spare spares[SPARES];
static size_t held; /* bytes */
static struct timer expiry;

static void
drop(struct spare *s)
{
	free(s->data);
	held -= s->size;
	*s = (struct spare){ .data = NULL };
}

static void
on_expiry(struct timer *t)
{
	uint64_t now = clock_now(), next = UINT64_MAX;

	for (struct spare *s = spares; s < spares + SPARES; s++) {
		if (s->data && now - s->since_us >= KEPT_US)
			drop(s);
		if (s->data && s->since_us < next)
			next = s->since_us;
	}
	if (next != UINT64_MAX)
		timer_set(t, next + KEPT_US, on_expiry);
}

static struct spare *
free_place(void)
{
	for (struct spare *s = spares; s < spares + SPARES; s++)
		if (!s->data)
			return s;
	return NULL;
}

void
spare_give(void *data)
{
	size_t size = data ? malloc_usable_size(data) : 0;
	struct spare *s = size >= SPARE_LEAST && size <= SPARE_BYTES - held ? free_place() : NULL;

	if (!s || (!timer_is_set(&expiry) && !timer_set(&expiry, clock_now() + KEPT_US, on_expiry))) {
		free(data);
		return;
	}
	*s = (struct spare){ .data = data, .size = size, .since_us = clock_now() };
	held += size;
}

bool
spare_use(struct buf *b, size_t size)
{
	struct spare *best = NULL;
	uint8_t *data;

	for (struct spare *s = spares; s < spares + SPARES; s++)
		if (s->data && s->size >= size && s->size / 2 <= size && (!best || s->size < best->size))
			best = s;
	if (!best || b->failed)
		return false;
	data = best->data;
	if (b->len)
		memcpy(data, b->data, b->len);
	free(b->data);
	b->data = data;
	b->cap = best->size;
	held -= best->size;
	*best = (struct spare){ .data = NULL };
	return true;
}

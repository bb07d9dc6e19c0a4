/* The two questions that must not both be answered "not yet" (is anything in the ring? is the daemon asleep?) are each asked after
 * the asker's own mark was made, all four steps sequentially consistent. The rest is release and acquire. */
#include "proto/ring.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct ring) == RING_SIZE, "the size is part of the worker contract");

const uint8_t ring_wake[RING_WAKE_SIZE] = { 0x91, 0xa4, 'w', 'a', 'k', 'e' };

/* ---- the host's end ---- */

void
ring_writer_init(struct ring_writer *w, struct ring *ring)
{
	*w = (struct ring_writer){ .ring = ring };
}

static bool
has_room(struct ring_writer *w, size_t len)
{
	if (w->put + len - w->taken <= RING_BYTES)
		return true;
	w->taken = atomic_load_explicit(&w->ring->taken, memory_order_acquire);
	return w->put + len - w->taken <= RING_BYTES;
}

bool
ring_write(struct ring_writer *w, const void *message, size_t len)
{
	size_t at = (size_t)(w->put % RING_BYTES), first = RING_BYTES - at < len ? RING_BYTES - at : len;

	if (w->ring == NULL || len > RING_MESSAGE_MAX || !has_room(w, len))
		return false;
	if (w->said > 0 && w->said != atomic_load_explicit(&w->ring->heard, memory_order_acquire))
		return false;
	memcpy(w->ring->bytes + at, message, first);
	memcpy(w->ring->bytes, (const uint8_t *)message + first, len - first);
	w->put += len;
	atomic_store(&w->ring->put, w->put);
	return true;
}

bool
ring_must_wake(struct ring_writer *w)
{
	return atomic_load(&w->ring->asleep) != 0 && atomic_exchange(&w->ring->asleep, 0) != 0;
}

void
ring_note_said(struct ring_writer *w)
{
	w->said++;
}

/* ---- the daemon's end ---- */

void
ring_reader_init(struct ring_reader *r, struct ring *ring)
{
	*r = (struct ring_reader){ .ring = ring };
	atomic_store(&ring->put, 0);
	atomic_store(&ring->taken, 0);
	atomic_store(&ring->heard, 0);
	atomic_store(&ring->asleep, 0);
}

bool
ring_is_empty(const struct ring_reader *r)
{
	return atomic_load(&r->ring->put) == r->taken;
}

bool
ring_read(struct ring_reader *r, uint8_t *to, size_t *len)
{
	uint64_t put = atomic_load_explicit(&r->ring->put, memory_order_acquire), there = put - r->taken;
	size_t at = (size_t)(r->taken % RING_BYTES), first;

	*len = 0;
	if (there > RING_BYTES)
		return false;
	if (there == 0)
		return true;
	first = RING_BYTES - at < there ? RING_BYTES - at : (size_t)there;
	memcpy(to, r->ring->bytes + at, first);
	memcpy(to + first, r->ring->bytes, (size_t)there - first);
	r->taken = put;
	atomic_store_explicit(&r->ring->taken, put, memory_order_release);
	*len = (size_t)there;
	return true;
}

void
ring_note_heard(struct ring_reader *r)
{
	atomic_store_explicit(&r->ring->heard, ++r->heard, memory_order_release);
}

void
ring_sleep(struct ring_reader *r)
{
	atomic_store(&r->ring->asleep, 1);
}

void
ring_awake(struct ring_reader *r)
{
	if (atomic_load_explicit(&r->ring->asleep, memory_order_relaxed))
		atomic_store_explicit(&r->ring->asleep, 0, memory_order_relaxed);
}

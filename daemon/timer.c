#include "daemon/timer.h"

#include <stdlib.h>

static struct timer **heap; /* heap[1] is due first */
static uint32_t used, size;

static void
place(struct timer *t, uint32_t i)
{
	heap[i] = t;
	t->index = i;
}

static void
sift_up(struct timer *t, uint32_t i)
{
	while (i > 1 && heap[i / 2]->due_us > t->due_us) {
		place(heap[i / 2], i);
		i /= 2;
	}
	place(t, i);
}

static void
sift_down(struct timer *t, uint32_t i)
{
	for (;;) {
		uint32_t child = 2 * i;
		if (child > used)
			break;
		if (child < used && heap[child + 1]->due_us < heap[child]->due_us)
			child++;
		if (heap[child]->due_us >= t->due_us)
			break;
		place(heap[child], i);
		i = child;
	}
	place(t, i);
}

static bool
grow(void)
{
	uint32_t wanted = size ? size * 2 : 64;
	struct timer **bigger = realloc(heap, wanted * sizeof *heap);
	if (!bigger)
		return false;
	heap = bigger;
	size = wanted;
	return true;
}

bool
timer_set(struct timer *t, uint64_t due_us, void (*fire)(struct timer *))
{
	t->fire = fire;
	if (!t->index) {
		if (used + 1 >= size && !grow())
			return false;
		t->due_us = due_us;
		sift_up(t, ++used);
		return true;
	}
	uint64_t before = t->due_us;
	t->due_us = due_us;
	if (due_us < before)
		sift_up(t, t->index);
	else
		sift_down(t, t->index);
	return true;
}

void
timer_unset(struct timer *t)
{
	if (!t->index)
		return;
	uint32_t i = t->index;
	struct timer *last = heap[used--];
	t->index = 0;
	if (last == t)
		return;
	if (i > 1 && heap[i / 2]->due_us > last->due_us)
		sift_up(last, i);
	else
		sift_down(last, i);
}

bool
timer_is_set(const struct timer *t)
{
	return t->index != 0;
}

bool
timer_run(uint64_t now_us, unsigned max)
{
	while (used && heap[1]->due_us <= now_us) {
		if (!max--)
			return true;
		struct timer *t = heap[1];
		timer_unset(t);
		t->fire(t);
	}
	return false;
}

uint64_t
timer_next(void)
{
	return used ? heap[1]->due_us : UINT64_MAX;
}

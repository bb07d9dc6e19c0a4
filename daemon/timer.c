#include "daemon/timer.h"

#include <stdlib.h>

static struct timer **heap; /* heap[1] is due first */
static uint32_t used, size;
static uint32_t number;

/* Of those that are due at the same moment the one that was set first is. */
static bool
is_before(const struct timer *a, const struct timer *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : (int32_t)(a->number - b->number) < 0;
}

static void
place(struct timer *t, uint32_t i)
{
	heap[i] = t;
	t->index = i;
}

static void
sift_up(struct timer *t, uint32_t i)
{
	while (i > 1 && is_before(t, heap[i / 2])) {
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
		if (child < used && is_before(heap[child + 1], heap[child]))
			child++;
		if (!is_before(heap[child], t))
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
		t->number = ++number;
		sift_up(t, ++used);
		return true;
	}
	uint64_t before = t->due_us;
	t->due_us = due_us;
	t->number = ++number;
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
	if (i > 1 && is_before(last, heap[i / 2]))
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

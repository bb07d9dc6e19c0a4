#include "client/warm.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WARM_LEAST = 1 << 20, WARM_MOST = 128 << 20 };

struct warm {
	atomic_uint held;
	_Atomic(void *) block; /* NULL: none */
};

struct warm *
warm_new(void)
{
	struct warm *w = malloc(sizeof *w);

	if (w == NULL)
		return NULL;
	atomic_init(&w->held, 1);
	atomic_init(&w->block, NULL);
	return w;
}

struct warm *
warm_hold(struct warm *w)
{
	atomic_fetch_add(&w->held, 1);
	return w;
}

void
warm_drop(struct warm *w)
{
	if (w == NULL || atomic_fetch_sub(&w->held, 1) != 1)
		return;
	free(atomic_load(&w->block));
	free(w);
}

/* The pages that lie wholly in it are the system's to take, until they are written again. */
static void
lend_to_system(void *data, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)data + page - 1) & ~(page - 1), end = ((uintptr_t)data + size) & ~(page - 1);

	madvise((void *)begin, end - begin, MADV_FREE);
}

void
warm_give(struct warm *w, void *data)
{
	size_t size = malloc_usable_size(data);

	if (size < WARM_LEAST || size > WARM_MOST) {
		free(data);
		return;
	}
	lend_to_system(data, size);
	free(atomic_exchange(&w->block, data));
}

bool
warm_use(struct warm *w, struct buf *b, size_t size)
{
	void *block = atomic_exchange(&w->block, NULL);
	size_t room = block != NULL ? malloc_usable_size(block) : 0;

	if (room < size || room / 2 > size + WARM_LEAST / 2 || b->failed) { /* doubling a buffer makes it a little more than twice as large */
		free(block != NULL ? atomic_exchange(&w->block, block) : NULL);
		return false;
	}
	if (b->len > 0)
		memcpy(block, b->data, b->len);
	free(b->data);
	b->data = block;
	b->cap = room;
	return true;
}

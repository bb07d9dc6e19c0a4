#include "daemon/backlog.h"

#include <stdlib.h>

static bool
grow(struct backlog *b)
{
	size_t size = b->size ? b->size * 2 : 16;
	struct backlog_run *bigger = malloc(size * sizeof *bigger);
	if (!bigger)
		return false;
	for (size_t i = 0; i < b->used; i++)
		bigger[i] = b->run[(b->head + i) % b->size];
	free(b->run);
	b->run = bigger;
	b->head = 0;
	b->size = size;
	return true;
}

bool
backlog_push(struct backlog *b, uint64_t id, bool want)
{
	if (b->used) {
		struct backlog_run *last = &b->run[(b->head + b->used - 1) % b->size];
		if (last->first + last->count == id && last->want == want && last->count < UINT32_MAX) {
			last->count++;
			return true;
		}
	}
	if (b->used == b->size && !grow(b))
		return false;
	b->run[(b->head + b->used++) % b->size] = (struct backlog_run){ .first = id, .count = 1, .want = want };
	return true;
}

bool
backlog_pop(struct backlog *b, uint64_t *id, bool *want)
{
	if (!b->used)
		return false;
	struct backlog_run *first = &b->run[b->head];
	*id = first->first++;
	*want = first->want;
	if (!--first->count) {
		b->head = (b->head + 1) % b->size;
		if (!--b->used)
			backlog_clear(b);
	}
	return true;
}

bool
backlog_is_empty(const struct backlog *b)
{
	return b->used == 0;
}

void
backlog_clear(struct backlog *b)
{
	free(b->run);
	*b = (struct backlog){ .size = 0 };
}

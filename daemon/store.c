#include "daemon/store.h"

#include <stdio.h>
#include <string.h>

static const struct store *store = &store_memory;
static struct store_counts counts;
static bool noted; /* something since the last batch */

bool
store_open(const char *name, char *why, size_t size)
{
	if (strcmp(name, store_memory.kind) == 0) {
		store = &store_memory;
		return store->replay(why, size);
	}
	snprintf(why, size, "there is no store '%s'", name);
	return false;
}

void
store_close(void)
{
	store->close();
}

const char *
store_kind(void)
{
	return store->kind;
}

struct store_counts
store_counts(void)
{
	return counts;
}

void
store_accept(struct future *first, uint64_t count)
{
	counts.accepted += count;
	noted = true;
	store->accept(first, count);
}

void
store_hand_over(struct future *f)
{
	counts.handed_over++;
	noted = true;
	store->hand_over(f);
}

void
store_finish(struct future *f)
{
	counts.finished++;
	noted = true;
	store->finish(f);
}

void
store_forget(struct future *f)
{
	counts.forgotten++;
	noted = true;
	store->forget(f);
}

void
store_commit(void (*done)(bool good))
{
	if (!noted)
		return;
	noted = false;
	counts.batches++;
	store->commit(done);
}

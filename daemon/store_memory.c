/* The memory store: the registry is all there is. Every batch is committed at once. */
#include "daemon/store.h"

static void
accept_nothing(struct future *first, uint64_t count)
{
	(void)first, (void)count;
}

static void
note_nothing(struct future *f)
{
	(void)f;
}

static void
commit_now(void (*done)(bool good))
{
	done(true);
}

static void
load_nothing(struct future *f, void (*done)(struct future *f, bool good))
{
	done(f, true);
}

static bool
replay_nothing(char *why, size_t why_size)
{
	(void)why, (void)why_size;
	return true;
}

static void
close_nothing(void)
{
}

const struct store store_memory = {
	.kind = "memory",
	.accept = accept_nothing,
	.hand_over = note_nothing,
	.finish = note_nothing,
	.forget = note_nothing,
	.commit = commit_now,
	.load = load_nothing,
	.replay = replay_nothing,
	.close = close_nothing,
};

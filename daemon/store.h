/* The store: what is to survive the daemon. An interface of a few verbs over batches; neither SQL nor "the other side is this process"
 * leaks through it.
 *
 * During a turn the verbs only note what changed; store_commit ends the batch. What the turn said to anybody leaves when the batch is committed: at once
 * with the memory store, which keeps nothing and promises nothing beyond the daemon's life. */
#ifndef FUTURED_DAEMON_STORE_H
#define FUTURED_DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct future;

struct store_counts {
	uint64_t accepted, handed_over, finished, forgotten, batches;
};

struct store {
	const char *kind; /* "memory" */
	/* A run of futures that share a spec is to be had from now on. */
	void (*accept)(struct future *first, uint64_t count);
	/* It goes to a slot: its attempt counts as begun unless the claim board says otherwise. */
	void (*hand_over)(struct future *f);
	/* It reached its final state. */
	void (*finish)(struct future *f);
	/* It is not to be had any more. */
	void (*forget)(struct future *f);
	/* Ends the batch; `done` is called when it is committed, maybe before this returns. */
	void (*commit)(void (*done)(bool good));
	/* Brings back one whose payload is not in memory; `done` likewise. */
	void (*load)(struct future *f, void (*done)(struct future *f, bool good));
	/* Tells what was there before, in order of id; for start-up. False, with a sentence. */
	bool (*replay)(char *why, size_t why_size);
	/* Everything after this is lost. */
	void (*close)(void);
};

extern const struct store store_memory;

/* Opens "memory". False, with a sentence. */
bool store_open(const char *name, char *why, size_t why_size);
void store_close(void);
const char *store_kind(void);
struct store_counts store_counts(void);

void store_accept(struct future *first, uint64_t count);
void store_hand_over(struct future *f);
void store_finish(struct future *f);
void store_forget(struct future *f);
/* Nothing happens, `done` is not called either, when nothing was noted. */
void store_commit(void (*done)(bool good));

#endif

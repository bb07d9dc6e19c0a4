/* The commit gate: nothing that a turn says leaves before the batch that it rests on is committed.
 *
 *     turn n      notes (store_accept …) and words (stream_say) gather
 *     its end     no batch is under way: the notes become one (given to the store's thread), the words are sealed with it
 *     turn n+1 …  further notes and words gather, for the batch after that: at most one is under way
 *     committed   what was sealed is released; the next batch begins
 *
 * With nothing noted and nothing under way the gate is open, and words leave in the turn that said them. With the memory store it always is.
 *
 * When a batch cannot be committed, submits that wait for it are refused with StoreError and undone, as are further ones; everything else that
 * rests on it waits until the store can be written again, which is tried twice a second. */
#ifndef FUTURED_DAEMON_COMMIT_H
#define FUTURED_DAEMON_COMMIT_H

#include <stdbool.h>

/* Something that has words to be sealed and released. Zero bytes at first, but for the two functions. */
struct commit_item {
	struct commit_item *next, *prev;
	bool listed;
	/* A batch begins: what was said so far rests on it. */
	void (*seal)(struct commit_item *item);
	/* That batch is committed: what was sealed may go. */
	void (*release)(struct commit_item *item);
};

/* A store was opened that commits later than at once: the gate is used from here on. */
void commit_use_gate(void);
bool commit_is_gated(void);
/* Whether what is said now may leave now: a socket may have room before the turn's batch was given, too. */
bool commit_is_open(void);
/* Whether something is noted that no batch was begun for: that takes a turn, which is not to sleep before. */
bool commit_is_due(void);
/* Whether the last batch could not be committed. */
bool commit_is_failing(void);
/* To be told: until delisted. Both are harmless when done twice. */
void commit_enlist(struct commit_item *item);
void commit_delist(struct commit_item *item);
/* The turn's notes become a batch, where none is under way. For turn_before_flush. */
void commit_turn(void);
/* Waits for the batch under way, and commits what was noted since; for the end. False if that could not be. */
bool commit_finish(void);

#endif

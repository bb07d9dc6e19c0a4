/* The store: what is to survive the daemon.
 *
 * During a turn the verbs only note what changed. store_give ends the batch: the engine makes it durable in its own time, and `done` is called from
 * the loop when it has; what the turn said to anybody waits for that (daemon/commit.h). The memory engine keeps nothing and promises nothing beyond
 * the daemon's life, so with it the verbs note nothing, and nothing waits.
 *
 * An engine is a few verbs over batches: neither SQL nor "the other side is this process" leaks through it. */
#ifndef FUTURED_DAEMON_STORE_H
#define FUTURED_DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/batch.h"
#include "proto/reader.h"

struct future;
struct slot;
struct pool;
struct replay;

enum store_sync { STORE_SYNC_FULL, STORE_SYNC_NORMAL, STORE_SYNC_OFF };

/* Called in the committer's thread, but for open, replay and close. Errors come as a sentence of at most 256 bytes. */
struct engine {
	const char *kind; /* "memory", "sqlite" */
	/* Opens or makes what `path` names. */
	bool (*open)(const char *path, enum store_sync sync, char *why, size_t why_size);
	/* Makes the batch durable: all of it or nothing. `again`: an earlier try failed. */
	bool (*commit)(const struct batch *b, bool again, char *why, size_t why_size);
	/* Whether the last one failed for what is in the store, which no later try mends. Asked while none is under way. */
	bool (*is_damaged)(void);
	/* Tells what there is: see daemon/replay.h. */
	bool (*replay)(struct replay *to, char *why, size_t why_size);
	/* Writes a copy into a new file, a step at a time: called until *over. */
	bool (*backup)(const char *path, bool *over, char *why, size_t why_size);
	/* Something to do while nothing is to be committed; true if there is more of it. */
	bool (*tidy)(void);
	uint64_t (*size)(void); /* bytes in use */
	void (*close)(void);
};

extern const struct engine store_sqlite;

struct store_counts {
	uint64_t accepted, handed_over, finished, forgotten, batches, failures;
	uint64_t commit_us, commit_max_us; /* the last batch's time, and the longest */
	uint64_t bytes;
	const char *failing; /* why it cannot be written; NULL: it can */
};

/* Opens "memory" or "sqlite:PATH" and starts its thread. False, with a sentence. */
bool store_open(const char *name, enum store_sync sync, char *why, size_t why_size);
/* Tells what was there before; for start-up, before anything is noted. */
bool store_replay(struct replay *to, char *why, size_t why_size);
/* What was given is made durable first. */
void store_close(void);
const char *store_kind(void);
/* Whether it outlives the daemon. */
bool store_is_durable(void);
/* Whether it was found to be such that it cannot be written again. While nothing is being committed. */
bool store_is_damaged(void);
struct store_counts store_counts(void);
/* Bytes of the records of stored futures, payloads in them: what limits.store bounds. */
uint64_t store_held(void);

/* ---- what happened; each is nothing for futures that are not stored ---- */

/* Where accepted futures come from. */
struct store_origin {
	char *gate;               /* owned; NULL: none */
	char *owner;              /* of the key; owned. NULL: there is none */
	struct bytes key;         /* owned */
	struct bytes elements;    /* a map: the argument arrays, one behind the other; borrowed */
};
/* Before they are to be had: ids that they wait for, and (NULL: none) their key. False without memory. store_origin_clear afterwards. */
bool store_origin_init(struct store_origin *o, const struct spec *spec, const uint64_t *after, size_t after_count, const char *key, size_t key_len);
void store_origin_clear(struct store_origin *o);
/* A run of futures that share a spec is to be had from now on; bound ones are not stored. */
void store_accept(struct future *first, uint64_t count, struct store_origin *from);
/* What is in the slot's hands changed. */
void store_touch(struct slot *s);
void store_slot_gone(struct slot *s);
/* After its slots. */
void store_host_gone(uint64_t number);
/* It goes to a slot. */
void store_hand_over(struct future *f);
/* Another attempt is to come. */
void store_again(struct future *f);
/* It reached its final state. */
void store_finish(struct future *f);
void store_see(struct future *f);
void store_let_go(struct future *f);
/* It is stored since an earlier daemon; it could not be stored after all. */
void store_restored(struct future *f);
void store_undo(struct future *f);
/* It runs, and somebody is told that it will be cancelled: then it will, though the daemon should end before it has. */
void store_killed(struct future *f);
/* Its stdin is being fed, and it has not begun: the next daemon cannot begin it, as it has not what was fed. */
void store_fed(struct future *f);
/* It is not to be had any more, and nobody needs it. */
void store_forget(struct future *f);
/* Its tasks wait no longer for what they were to come after. */
void store_gate_passed(struct spec *spec);
/* The last task that it was of is gone. */
void store_spec_gone(const struct spec *spec);
/* A row of what tasks wait for, which goes with no spec. */
void store_gate_gone(uint64_t row);
void store_key_gone(uint64_t first);
/* A client opened it; it is stored with what its `open_pool` said. Bound ones are not. False without memory. */
bool store_pool(struct pool *p);
/* It is being closed. */
void store_pool_changed(struct pool *p);
void store_pool_gone(uint64_t row);
/* It was paused, resumed or resized by hand, or that is forgotten. False without memory. */
bool store_by_hand(struct pool *p);
/* There is no pool of that name, of which the store knows such a thing. False without memory. */
bool store_by_hand_gone(const char *name, size_t len);
/* Ids below this may be given. */
void store_ids(uint64_t next);
/* By what clock times are stored from here on. False without memory. */
bool store_clock(void);
/* This daemon's instance, where that is another one than the store has. */
void store_instance(const char *text);
/* What there is of a future that nothing can be made of. */
void store_lost(uint64_t id);
/* No slot holds anything: what an earlier daemon had handed over has been judged. */
void store_none_sent(void);
/* Rows up to these are taken; told at start-up. */
void store_rows_taken(uint64_t specs, uint64_t gates, uint64_t pools);

/* ---- batches ---- */

bool store_has_notes(void);
/* How long a batch takes, lately, from being given until the loop has heard of it; 0 with the memory store. */
uint64_t store_latency_us(void);
/* The number of the batch that all of what was noted so far is in; and whether that is committed. Told apart while less than 2^31 others come
 * between; then it is not committed, to be on the safe side. */
uint32_t store_batch(void);
bool store_has_committed(uint32_t batch);
/* So much is noted that clients had better not be listened to. */
bool store_is_behind(void);
/* How much is noted for the next batch. */
uint64_t store_notes(void);
enum store_given { STORE_NOTHING, STORE_GIVEN, STORE_LATER };
/* Gives what was noted to the engine. LATER: there is no memory for it now. Unless it was GIVEN, `done` is not called. */
enum store_given store_give(void (*done)(bool good, const char *why));
/* After a failure: the same batch once more. */
bool store_give_again(void (*done)(bool good, const char *why));
/* After a failure: nothing that was noted was accepted. */
void store_unaccept(void);
/* Waits for the batch under way, and calls its `done`. */
void store_wait(void);
/* A copy into a new file; `done` is called from the loop. False: one is being made already. */
bool store_backup(const char *path, void (*done)(void *arg, bool good, const char *why), void *arg);

#endif

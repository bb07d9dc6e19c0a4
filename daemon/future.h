/* A future: one task's life, from PENDING to one final state.
 *
 *                     ┌────────────── retry ──────────────┐
 *                     ▼                                   │
 *     new ──► PENDING ────────► RUNNING ────────► FINISHED (value or error)
 *                │                 │
 *                │ cancel          │ kill, or ask and it gave up
 *                ▼                 ▼
 *             CANCELLED ◄──────────┘
 *     PENDING ──► FINISHED too: its deadline passed, what it waits for failed, its pool broke
 *
 * future_set_state is the only place that changes a state. Whoever waits is told by it, once.
 * While PENDING a future is in exactly one place: behind a gate (it waits for others), delayed, queued, or sent to a slot.
 * Futures are found by id in the registry and live in its pages. One thread. */
#ifndef FUTURED_DAEMON_FUTURE_H
#define FUTURED_DAEMON_FUTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/bytes.h"
#include "daemon/spec.h"
#include "daemon/timer.h"
#include "proto/status.h"

struct slot;
struct gate;
struct output;
struct input;
struct follower;
struct retention;
struct keyed;

enum future_state { FUTURE_PENDING, FUTURE_RUNNING, FUTURE_CANCELLED, FUTURE_FINISHED, FUTURE_STATES };

enum future_place { PLACE_NONE, PLACE_GATE, PLACE_DELAY, PLACE_QUEUE, PLACE_SLOT, PLACE_RETAINED };

TAILQ_HEAD(future_list, future);

/* Someone who waits for one future. wake is called once, in the order of waiting, with the future in its final state; the waiter is
 * unlinked by then. (For many futures at once: daemon/watch.h.) */
struct waiter {
	struct waiter *next, *prev;
	void (*wake)(struct waiter *w, struct future *f);
};

/* What most futures never need. */
struct future_more {
	struct future *future;
	struct timer timer;       /* the next of: not-before, deadline, run limit */
	uint64_t not_before_us;   /* PLACE_DELAY until then */
	uint64_t deadline_us;     /* 0: none */
	struct output *output;    /* NULL: printed nothing, or all of it is in the value */
	struct follower *followers;
	struct input *input;      /* stdin that is fed from outside; NULL: none */
	struct bytes rusage;      /* MessagePack map; empty: unknown */
	struct bytes filled_args; /* args with references replaced, for this attempt */
	struct bytes filled_stdin;
	struct gate *own_gate;    /* waits for, and pins, what its arguments refer to */
	struct keyed *key;        /* idempotency key, NULL: none */
};

struct future {
	uint64_t id;
	struct spec *spec;
	struct bytes args;         /* MessagePack array */
	struct bytes value;        /* FINISHED: the value, or the error map if `failed` */
	TAILQ_ENTRY(future) link;  /* in the list of its place */
	union {
		struct slot *slot;           /* PLACE_SLOT and RUNNING */
		struct gate *gate;           /* PLACE_GATE */
		struct retention *retention; /* PLACE_RETAINED */
	} at;
	struct waiter *waiters;
	struct future_more *more;  /* NULL until needed */
	uint64_t submitted_us, started_us, finished_us; /* clock_now(); 0: not yet */
	uint64_t order;            /* place in the queue, kept when it goes back */
	uint32_t pins;             /* held although released: dependents, queued notifications */
	uint16_t attempt;          /* counted from 1 once handed over */
	uint8_t state;             /* enum future_state */
	uint8_t place;             /* enum future_place */
	uint8_t sequence;          /* PLACE_SLOT: entry on the board */
	uint32_t charged;          /* bytes that count as its owner's */
	bool failed : 1;           /* FINISHED with an error */
	bool seen : 1;             /* somebody looked at the error */
	bool let_go : 1;           /* released before it was final: forgotten then */
	bool hidden : 1;           /* forgotten, only pinned: not to be had by its id */
	bool kill : 1;             /* a kill is under way: ends CANCELLED */
	bool ask : 1;              /* was asked to stop */
	bool timed_out : 1;        /* stopped for its run limit: ends TaskTimeoutError */
	bool past_deadline : 1;    /* … for its deadline */
	bool abandon : 1;          /* stopped because its pool is being terminated: BrokenPoolError */
	bool orphan : 1;           /* the connection that it was bound to has gone: not tried again */
	bool has_refs : 1;         /* args hold references to futures */
	uint8_t filed : 2;         /* 1 << enum payload_kind: what of it is a file of the store */
	bool stored : 1;           /* the store was told of it */
	bool undone : 1;           /* could not be made durable: it never was */
	uint32_t batch;            /* final: of the store, with which its outcome is committed */
};

struct future_totals {
	uint64_t states[FUTURE_STATES]; /* futures known, by state */
	uint64_t submitted, succeeded, failed, cancelled, retried, expired;
	uint64_t unseen; /* failed and not looked at */
};

/* A new PENDING future in no place, not yet to be found by its id. Shares spec; takes args. Submit time is now. */
void future_init(struct future *f, uint64_t id, struct spec *spec, struct bytes args);
/* Undoes future_init for one that was never to be had. */
void future_discard(struct future *f);
/* Where it is lazily made; NULL without memory. */
struct future_more *future_more(struct future *f);

/* The step of the life cycle. Takes `value` (value or error) for FINISHED. */
void future_set_state(struct future *f, enum future_state state);
/* Makes a new one what it was when an earlier daemon ended: final, with this outcome (taken). Nobody is told, it is not kept
 * yet, and in the totals it does not count. */
void future_restore(struct future *f, enum future_state state, bool failed, bool seen, struct bytes value);
/* To FINISHED with a value. Takes it. */
void future_succeed(struct future *f, struct bytes value);
/* An attempt failed with this error map (taken): runs again if it may, else FINISHED. */
void future_fail(struct future *f, struct bytes error);
/* The same, never retried: deadline, dependency, broken pool. */
void future_fail_finally(struct future *f, struct bytes error);
/* future_fail_finally with a simple error map. */
void future_fail_with(struct future *f, enum status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The pause after as many attempts as it has had, in microseconds. */
uint64_t future_retry_pause(const struct future *f);
/* PENDING or RUNNING to CANCELLED. The caller has made sure that it does not run. */
void future_cancelled(struct future *f);

bool future_is_final(const struct future *f);
/* Whether it is final, and what there is to tell of it rests on no commit any more. */
bool future_is_settled(const struct future *f);
const char *future_state_name(enum future_state state);
/* Reads a state's name. */
bool future_state_find(const char *name, size_t len, enum future_state *out);

void future_wait(struct future *f, struct waiter *w);
void future_unwait(struct future *f, struct waiter *w);

/* Unlinks it from whatever place it is in; PLACE_NONE afterwards. */
void future_leave_place(struct future *f);
/* Moves a PENDING future that no longer waits for others: delayed, or into its pool's queue. */
void future_make_ready(struct future *f);
/* Sets its timer for what comes next. */
void future_set_timer(struct future *f);
/* Somebody looked at its error. */
void future_see(struct future *f);

/* Forgets it: a final one at once, another when it becomes final. True if it was known until now. */
bool future_release(struct future *f);
/* It could not be made durable: whoever waits gets StoreError, and it never was. */
void future_undo(struct future *f);
void future_pin(struct future *f);
void future_unpin(struct future *f);

struct future_totals future_totals(void);
/* It is to be had from now on: told as a change too. */
void future_announce(struct future *f);
/* Told of every change of state, for events. NULL: nobody. */
void future_on_change(void (*changed)(struct future *f));

#endif

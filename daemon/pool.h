/* A pool: a queue, and the slots that empty it. The daemon treats all kinds alike; what differs is in a few questions below.
 *
 * Workers are started when there is work for them. A pool whose workers cannot start is broken: what is pending fails, submits are
 * refused, and it tries again after a pause that doubles; one host that gets ready heals it. */
#ifndef FUTURED_DAEMON_POOL_H
#define FUTURED_DAEMON_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/future.h"
#include "daemon/queue.h"
#include "daemon/tally.h"
#include "daemon/turn.h"

struct host;
struct program;
struct slot;

/* Someone who waits for something of a pool: room in the queue, or that nothing runs. */
struct pool_waiter {
	struct pool_waiter *next, *prev;
	uint64_t round; /* for room: those of lower rounds go first */
	/* Unlinked already. For room: false if it could not use the room and must wait on (it is linked again, in front). */
	bool (*wake)(struct pool_waiter *w, struct pool *p);
};

struct pool {
	uint32_t serial;            /* given to no other pool */
	uint32_t count;             /* the table of pools, unless it is absent, and every spec */
	char *name;
	const struct config_pool *config;
	uint64_t settings;          /* which these are: another number with each change, from 1 on */
	struct config_pool own;     /* an opened pool's copy; its strings belong to the pool it is like, but for the next three */
	char *initializer;          /* owned */
	struct bytes initargs;
	struct program *program;    /* what an opened pool's client said its workers are; owned, NULL: nothing */
	struct pool *like;          /* counted; NULL: from the configuration */
	uint64_t row;               /* of an opened pool in the store; 0: none */
	uint64_t bound_to;          /* connection that it goes with; 0: none */
	struct owner *owner;        /* of an opened pool; counted */
	unsigned workers;           /* wanted */
	unsigned configured;        /* how many there were to be when that was changed by hand; 0: it was not */
	bool by_hand;               /* the store knows what was done by hand */
	struct queue *queue;
	struct host *hosts;
	struct slot **slot;         /* of the hosts that are ready */
	unsigned slots, slots_size;
	unsigned starting;          /* slots of hosts that are not ready yet */
	uint64_t states[FUTURE_STATES];
	uint64_t held;              /* of the pending ones: behind gates */
	uint64_t coming;            /* futures of maps that are being made: they have their places in the queue already */
	uint64_t submitted, succeeded, failed, cancelled; /* since it was made */
	struct tally tally;
	uint32_t mean_us;           /* recent run time; UINT32_MAX: none known */
	bool paused;
	uint64_t paused_us;         /* since when */
	struct owner *paused_by;    /* counted */
	unsigned draining;          /* drains under way */
	bool closed;                /* close_pool begun: no more submits */
	bool absent;                /* nothing is known of it but its name and kind */
	bool gone;                  /* closed and empty: no longer in the table */
	struct bytes functions;     /* names, an array, as the last host said that got ready; empty: it said none */
	struct bytes broken;        /* the reason, an error map; empty: not broken */
	uint64_t broken_until_us;
	uint64_t backoff_us;
	unsigned failed_starts;     /* within the last seconds, and deaths of workers that did nothing */
	unsigned unready;           /* starts in a row of which none got ready, however long they took */
	uint64_t failed_since_us;
	struct turn_item dispatching;
	struct turn_item settling;  /* waiters are looked at */
	struct timer tick;          /* while tasks are sent ahead, or workers may be idle too long */
	struct timer healing;
	struct timer idle;
	struct pool_waiter *room;   /* blocked submits, in order */
	struct pool_waiter *quiet;  /* drains and closes: woken when nothing runs */
	struct turn_item sweeping;  /* what is PENDING is being cancelled: nothing is handed over */
	uint64_t swept;             /* … up to this id */
	bool cancelling;            /* … and what maps that were being made bring later, too */
	struct pool_waiter leaving; /* closed: goes when it is empty */
	struct pool *next, *prev;   /* in the table */
};

/* The pools in the order they were made; follow ->next. */
struct pool *pool_first(void);
/* The same and then those that were retired: wherever something may run or wait. */
struct pool *pool_first_of_all(void);
struct pool *pool_next_of_all(const struct pool *p);
struct pool *pool_find(const char *name, size_t len);
/* Makes one from the configuration, which is borrowed for good. NULL without memory. */
struct pool *pool_new(const struct config_pool *config);
/* Makes one like another, with its own workers. The name is chosen. NULL without memory. */
struct pool *pool_open(struct pool *like, unsigned workers, struct owner *owner, uint64_t bound_to);
/* One that futures of an earlier daemon name and nothing else does any more: they wait for its return, as in a pool that was retired. Not
 * counted: it goes with the last spec that names it. NULL without memory. */
struct pool *pool_absent(const char *name, enum config_kind kind);
/* Takes it out of the table; it is freed with the last spec that names it. */
void pool_remove(struct pool *p);
/* The configuration no longer names it: it starts nothing more, and its pending futures wait for its return. What broke it is forgotten. */
void pool_retire(struct pool *p);
/* One that was retired is in the table again; NULL if there is none of that name. */
struct pool *pool_return(const char *name);
/* Other settings, of the same kind and runtime; borrowed for good. They hold for tasks to come, the number of workers at once. */
void pool_configure(struct pool *p, const struct config_pool *config);
struct pool *pool_hold(struct pool *p);
void pool_drop(struct pool *p);

/* A future changed its state; FUTURE_STATES stands for not being there. Only future.c calls this. */
void pool_count(struct pool *p, enum future_state from, enum future_state to);
/* There may be something to hand over: looked at when the turn's events have been handled. */
void pool_wake(struct pool *p);
/* Learns from the boards which of the tasks sent have begun. */
void pool_look(struct pool *p);
/* Whether `count` more futures fit into the queue. */
bool pool_has_room(struct pool *p, uint64_t count);
/* Whether nothing runs or is sent. */
bool pool_is_quiet(const struct pool *p);
/* Whether no future of it is PENDING or RUNNING, nor about to be. */
bool pool_is_empty(const struct pool *p);
/* Owners take turns, and each owner's are served in order. */
void pool_wait_room(struct pool *p, struct pool_waiter *w, struct owner *o);
void pool_wait_quiet(struct pool *p, struct pool_waiter *w);
void pool_unwait_room(struct pool *p, struct pool_waiter *w);
/* Looks again at who waits for room or quiet: something changed for them. */
void pool_settle(struct pool *p);
void pool_unwait_quiet(struct pool *p, struct pool_waiter *w);

/* An opened pool's initializer. Takes both. */
void pool_set_initializer(struct pool *p, char *initializer, struct bytes initargs);
/* What was sent ahead to its slots, and has not begun, goes back into the queue. */
void pool_take_back_ahead(struct pool *p);
/* `by` whom, NULL: nobody in particular. */
void pool_pause(struct pool *p, bool paused, struct owner *by);
void pool_resize(struct pool *p, unsigned workers);
/* The same by hand: a durable store remembers it, a number of workers until the configuration has another one. False: done, and there was no
 * memory to have it remembered. */
bool pool_pause_by_hand(struct pool *p, bool paused, struct owner *by);
bool pool_resize_by_hand(struct pool *p, unsigned workers);
/* What was done to a pool by hand before the restart: paused since then (0: it was not), and so many workers when so many were configured (0: it
 * was not). False if there is no such pool. */
bool pool_restore_by_hand(const char *name, size_t len, uint64_t paused_us, struct owner *by, unsigned workers, unsigned configured);
/* Tells all its hosts to end; they are killed when they have not after grace. */
void pool_end_hosts(struct pool *p, uint64_t grace_us);
/* Slots that are running or hold a task. */
unsigned pool_busy(const struct pool *p);
/* Workers that exist, starting ones too. */
unsigned pool_alive(const struct pool *p);

/* Told by hosts. */
void pool_host_ready(struct pool *p, struct host *h);
void pool_host_gone(struct pool *p, struct host *h);
/* A host that is ready has one slot more. False without memory. */
bool pool_add_slot(struct pool *p, struct slot *s);
/* A slot is no more. */
void pool_remove_slot(struct pool *p, struct slot *s);
/* From now on slots get no tasks anywhere, or do again (shutdown). */
void pool_freeze_all(bool frozen);
bool pool_is_frozen(void);

/* What its kind can do. */
bool pool_is_command(const struct pool *p);
bool pool_can_kill(const struct pool *p);
bool pool_takes_kwargs(const struct pool *p);
const char *pool_kind_name(const struct pool *p);

#endif

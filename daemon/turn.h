/* The turn: what one pass of the event loop does, in order.
 *
 *     wait ─► events (bytes are read, handlers run, answers are encoded)
 *          ─► TURN_WORK      slices of long requests, frames left over from a busy stream
 *          ─► TURN_DISPATCH  pools hand tasks to slots
 *          ─► TURN_NOTIFY    notifications are made, where their connection has room
 *          ─► TURN_FLUSH     the store gets its batch; every stream is written once
 *          ─► TURN_FREE      what the loop might still have mentioned is freed
 *
 * An item is scheduled for a phase at most once. Scheduled while its own or a later phase runs, it waits for the next
 * turn, which then does not sleep. */
#ifndef FUTURED_DAEMON_TURN_H
#define FUTURED_DAEMON_TURN_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

enum turn_phase { TURN_WORK, TURN_DISPATCH, TURN_NOTIFY, TURN_FLUSH, TURN_FREE, TURN_PHASES };

/* Embedded in what it belongs to; zero bytes at first. Must be unscheduled before it is freed. */
struct turn_item {
	struct turn_item *next, *prev;
	void (*run)(struct turn_item *item);
	enum turn_phase phase;
	bool scheduled;
};

/* The loop's base, made on first use; NULL without memory. */
struct event_base *turn_base(void);
void turn_schedule(enum turn_phase phase, struct turn_item *item, void (*run)(struct turn_item *));
void turn_unschedule(struct turn_item *item);
/* Called in every turn, before TURN_FLUSH: what the turn changed is to be made as durable as it will be. */
void turn_before_flush(void (*commit)(void));
/* For what comes without an event: `look` is called in every turn, after the events; `may_sleep` before the loop would sleep: false
 * if something has come meanwhile. */
void turn_poll(void (*look)(void), bool (*may_sleep)(void));
/* One turn. Sleeps only when nothing is scheduled, until an event or the next timer. */
void turn_run(void);
/* Frees the base; for a clean end. */
void turn_end(void);

/* How many futures long requests may still touch in this turn; taking more than is left is allowed and ends the slice. */
unsigned turn_budget(void);
/* Says that `futures` futures were touched, `bytes` bytes encoded: kept as the largest of any turn for `stats`. */
void turn_count(unsigned futures, uint64_t bytes);

struct turn_gauges {
	uint64_t turns;
	uint64_t futures_max; /* touched in one turn */
	uint64_t bytes_max;   /* encoded in one turn */
};
struct turn_gauges turn_gauges(void);

#endif

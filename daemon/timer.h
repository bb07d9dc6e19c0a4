/* Timers: one binary heap for the whole daemon, so a million of them cost no events.
 * A struct timer is embedded in what it belongs to; zero bytes mean unset. */
#ifndef FUTURED_DAEMON_TIMER_H
#define FUTURED_DAEMON_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	uint64_t due_us;                 /* clock_now() */
	uint32_t index;                  /* place in the heap, counted from 1; 0: not set */
	uint32_t number;                 /* of its setting: whoever is set later is later among those that are due together */
	void (*fire)(struct timer *t);   /* unset already when called; may set it again */
};

/* Sets or moves it. False without memory (it is then unset). */
bool timer_set(struct timer *t, uint64_t due_us, void (*fire)(struct timer *));
void timer_unset(struct timer *t);
bool timer_is_set(const struct timer *t);
/* Fires what is due, at most `max` of them, those due at the same moment in the order of their setting; true if more are due. */
bool timer_run(uint64_t now_us, unsigned max);
/* When the next one is due; UINT64_MAX if none is set. */
uint64_t timer_next(void);

#endif

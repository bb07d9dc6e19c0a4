#include "daemon/turn.h"

#include <event2/event.h>
#include <utlist.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/timer.h"

enum { FUTURES_PER_TURN = 4000, TIMERS_PER_TURN = 2000 };

static struct event_base *base;
static struct event *wakeup; /* the timer heap's only event */
static struct turn_item *waiting[TURN_PHASES];
static unsigned futures, budget_from;
static uint64_t bytes;
static struct turn_gauges gauges;
static void (*before_flush)(void);
static void (*look)(void);
static bool (*may_sleep)(void);

/* What libevent has to say is a line like any other. */
static void
on_library_log(int severity, const char *text)
{
	log_line(severity == EVENT_LOG_ERR ? LOG_LEVEL_ERROR : severity == EVENT_LOG_WARN ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "libevent", "%s", text);
}

struct event_base *
turn_base(void)
{
	if (!base) {
		event_set_log_callback(on_library_log);
		struct event_config *cfg = event_config_new();
		if (!cfg)
			return NULL;
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(cfg);
		event_config_free(cfg);
	}
	return base;
}

void
turn_schedule(enum turn_phase phase, struct turn_item *item, void (*run)(struct turn_item *))
{
	if (item->scheduled)
		return;
	item->scheduled = true;
	item->phase = phase;
	item->run = run;
	DL_APPEND(waiting[phase], item);
}

void
turn_unschedule(struct turn_item *item)
{
	if (!item->scheduled)
		return;
	DL_DELETE(waiting[item->phase], item);
	item->scheduled = false;
}

/* Runs what was waiting when the phase began; a sentinel marks the end, so items may go while it runs. */
static void
run_phase(enum turn_phase phase)
{
	struct turn_item last = { .phase = phase, .scheduled = true };

	if (!waiting[phase])
		return;
	DL_APPEND(waiting[phase], &last);
	while (waiting[phase] != &last && (phase != TURN_WORK || turn_budget())) { /* whom the budget did not reach is first in the next turn */
		struct turn_item *item = waiting[phase];
		turn_unschedule(item);
		item->run(item);
	}
	DL_DELETE(waiting[phase], &last);
}

static bool
anything_waits(void)
{
	for (int phase = 0; phase < TURN_PHASES; phase++)
		if (waiting[phase])
			return true;
	return false;
}

static void
on_wakeup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

/* Sleeps until an event or the next timer, and handles the events. */
static void
wait_for_events(bool timers_due)
{
	uint64_t next = timer_next(), now = clock_now();

	clock_forget(); /* what the events' handlers ask must not be the time before the sleep */
	if (timers_due || anything_waits() || next <= now || (may_sleep && !may_sleep())) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* NONBLOCK alone goes on while anything is readable */
		return;
	}
	if (next != UINT64_MAX) {
		uint64_t us = next - now;
		struct timeval tv = { .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
		if (!wakeup)
			wakeup = evtimer_new(base, on_wakeup, NULL);
		if (wakeup)
			evtimer_add(wakeup, &tv);
	} else if (wakeup) {
		evtimer_del(wakeup);
	}
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
}

void
turn_before_flush(void (*commit)(void))
{
	before_flush = commit;
}

void
turn_poll(void (*looks)(void), bool (*asks)(void))
{
	look = looks;
	may_sleep = asks;
}

void
turn_run(void)
{
	static bool timers_due;

	wait_for_events(timers_due);
	if (look)
		look();
	timers_due = timer_run(clock_refresh(), TIMERS_PER_TURN);
	for (int phase = 0; phase < TURN_PHASES; phase++) {
		if (phase == TURN_WORK || phase == TURN_NOTIFY)
			budget_from = futures; /* each has its own */
		if (phase == TURN_FLUSH && before_flush)
			before_flush();
		run_phase((enum turn_phase)phase);
	}

	gauges.turns++;
	if (futures > gauges.futures_max)
		gauges.futures_max = futures;
	if (bytes > gauges.bytes_max)
		gauges.bytes_max = bytes;
	futures = budget_from = 0;
	bytes = 0;
}

void
turn_end(void)
{
	if (wakeup)
		event_free(wakeup);
	wakeup = NULL;
	if (base)
		event_base_free(base);
	base = NULL;
}

unsigned
turn_budget(void)
{
	unsigned used = futures - budget_from;
	return used < FUTURES_PER_TURN ? FUTURES_PER_TURN - used : 0;
}

void
turn_count(unsigned f, uint64_t b)
{
	futures += f;
	bytes += b;
}

struct turn_gauges
turn_gauges(void)
{
	return gauges;
}

/* The watchdog must not be fed by a loop that only half turns. So its way is the whole way round: a timer of our heap fires ─► it writes to an
 * eventfd ─► the kernel tells the loop that this is readable ─► an item is scheduled for the turn's last phase ─► which says WATCHDOG=1. */
#include "daemon/service.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/future.h"
#include "daemon/notify.h"
#include "daemon/timer.h"
#include "daemon/turn.h"

enum { FEEDS_PER_PERIOD = 3, EXTEND_S = 10 };

static struct timer feeding, telling;
static struct turn_item feed;
static struct event *fed;
static int round_trip = -1;
static bool ready, stopping;
static uint64_t told_queued = UINT64_MAX, told_running = UINT64_MAX;

bool
service_init(char *why, size_t size)
{
	return notify_open(why, size);
}

void
service_extend(uint64_t us)
{
	notify_say("EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)us);
}

/* ---- the watchdog ---- */

static void
say_alive(struct turn_item *item)
{
	(void)item;
	notify_say("WATCHDOG=1");
}

static void
on_round_trip(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;
	(void)what, (void)arg;
	if (read(fd, &n, sizeof n) == (ssize_t)sizeof n)
		turn_schedule(TURN_FREE, &feed, say_alive);
}

static void
on_feeding(struct timer *t)
{
	uint64_t one = 1;

	timer_set(t, clock_now() + notify_watchdog_us() / FEEDS_PER_PERIOD, on_feeding);
	if (write(round_trip, &one, sizeof one) < 0)
		return; /* it is full of what was not read: the loop does not turn, and so it is not said that it does */
}

static void
begin_feeding(void)
{
	if (!notify_watchdog_us() || fed)
		return;
	round_trip = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (round_trip < 0 || !(fed = event_new(turn_base(), round_trip, EV_READ | EV_PERSIST, on_round_trip, NULL)))
		return;
	event_add(fed, NULL);
	on_feeding(&feeding);
}

/* ---- how we are ---- */

static void
tell(struct timer *t)
{
	struct future_totals totals = future_totals();

	timer_set(t, clock_now() + SECOND, tell);
	if (stopping)
		service_extend(EXTEND_S * SECOND);
	else if (totals.states[FUTURE_PENDING] == told_queued && totals.states[FUTURE_RUNNING] == told_running)
		timer_unset(t); /* service_look sets it when there is news: an idle daemon sleeps */
	if (totals.states[FUTURE_PENDING] == told_queued && totals.states[FUTURE_RUNNING] == told_running)
		return;
	told_queued = totals.states[FUTURE_PENDING];
	told_running = totals.states[FUTURE_RUNNING];
	notify_say("STATUS=%s%llu queued, %llu running", stopping ? "Stopping: " : "", (unsigned long long)told_queued, (unsigned long long)told_running);
}

void
service_look(void)
{
	if (!ready || timer_is_set(&telling))
		return;
	struct future_totals totals = future_totals();
	if (totals.states[FUTURE_PENDING] != told_queued || totals.states[FUTURE_RUNNING] != told_running)
		tell(&telling);
}

void
service_ready(void)
{
	if (!notify_is_on())
		return;
	ready = true;
	notify_say("READY=1");
	begin_feeding();
	service_look();
}

void
service_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (ready && !stopping)
		notify_say("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)ts.tv_sec * SECOND + (unsigned long long)ts.tv_nsec / 1000);
}

void
service_reloaded(void)
{
	if (ready && !stopping)
		notify_say("READY=1");
}

void
service_stopping(void)
{
	if (!ready || stopping)
		return;
	stopping = true;
	told_queued = told_running = UINT64_MAX;
	notify_say("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu", (unsigned long long)(EXTEND_S * SECOND));
	tell(&telling);
}

void
service_close(void)
{
	timer_unset(&feeding);
	timer_unset(&telling);
	turn_unschedule(&feed);
	if (fed)
		event_free(fed);
	if (round_trip >= 0)
		close(round_trip);
	fed = NULL;
	round_trip = -1;
	notify_close();
}

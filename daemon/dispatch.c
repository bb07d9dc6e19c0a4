/* pool_wake ─► (the turn's events are handled) dispatch: idle slots first, then short tasks ahead, then, if the queue is dry, what waits behind a busy
 * slot goes to an idle one; workers are started for what is left. */
#include "daemon/dispatch.h"

#include "daemon/broken.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/host.h"
#include "daemon/pool.h"
#include "daemon/slot.h"
#include "daemon/workers.h"

#define TICK_US UINT64_C(5000)

static void on_tick(struct timer *t);

/* What the answers of the last batch say about the run time. */
static void
measure(struct pool *p)
{
	uint64_t each;
	for (unsigned i = 0; i < p->slots; i++) {
		if (!slot_measure(p->slot[i], &each))
			continue;
		uint32_t mean = each < UINT32_MAX - 1 ? (uint32_t)each : UINT32_MAX - 1;
		p->mean_us = p->mean_us == UINT32_MAX ? mean : (uint32_t)(((uint64_t)p->mean_us * 3 + mean) / 4);
	}
}

/* Hands one to a slot. False when the queue is empty. */
static bool
send_one(struct pool *p, struct slot *s)
{
	struct future *f = queue_pop(p->queue);
	if (f)
		slot_send(s, f);
	return f != NULL;
}

/* One task for every idle slot, the lowest first; then more for those that take them ahead. */
static void
fill_slots(struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++)
		if (!p->slot[i]->in_flight && slot_room(p->slot[i]) && !send_one(p, p->slot[i]))
			return;
	for (bool any = true; any;) {
		any = false;
		for (unsigned i = 0; i < p->slots; i++) {
			if (!slot_room(p->slot[i]))
				continue;
			if (!send_one(p, p->slot[i]))
				return;
			any = true;
		}
	}
}

static struct slot *
fullest(struct pool *p)
{
	struct slot *most = NULL;
	for (unsigned i = 0; i < p->slots; i++)
		if (p->slot[i]->in_flight > 1 && (!most || p->slot[i]->in_flight > most->in_flight))
			most = p->slot[i];
	return most;
}

/* The queue is dry: idle slots take half of what waits behind the busiest one. */
static void
share(struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++) {
		struct slot *idle = p->slot[i], *from;
		if (idle->in_flight || idle->leaving || !(from = fullest(p)))
			continue;
		unsigned taken = slot_take_back_ahead(from, from->in_flight / 2);
		while (taken-- && slot_room(idle) && send_one(p, idle))
			;
	}
}

/* Whether a slot holds tasks ahead, or one that is not known to have begun. */
static bool
anything_to_look_at(const struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++) {
		const struct future *front = TAILQ_FIRST(&p->slot[i]->sent);
		if (front && (p->slot[i]->in_flight > 1 || front->state == FUTURE_PENDING))
			return true;
	}
	return false;
}

/* Behind a task that runs long nothing waits: it goes back into the queue. */
static void
on_tick(struct timer *t)
{
	struct pool *p = container(t, struct pool, tick);
	uint64_t now = clock_now();

	for (unsigned i = 0; i < p->slots; i++) {
		struct slot *s = p->slot[i];
		struct future *front = slot_running(s);
		if (front && s->in_flight > 1 && now - front->started_us >= SLOT_LONG_US)
			slot_take_back_ahead(s, UINT32_MAX);
		if (s->host->slots == 1 && slot_is_deaf(s)) /* else others run there */
			host_kill(s->host, "it did not begin the task that it was sent");
	}
	if (anything_to_look_at(p))
		timer_set(&p->tick, now + TICK_US, on_tick);
	pool_wake(p);
}

static bool
takes_tasks(const struct pool *p)
{
	return !p->paused && !p->draining && !pool_is_frozen() && !p->gone && !p->sweeping.scheduled;
}

void
dispatch(struct turn_item *item)
{
	struct pool *p = container(item, struct pool, dispatching);

	measure(p);
	workers_retire(p);
	workers_trim(p);
	if (bytes_len(&p->broken)) {
		broken_fail_queue(p);
		if (queue_length(p->queue))
			pool_wake(p);
		return;
	}
	if (!takes_tasks(p))
		return;
	if (queue_length(p->queue)) {
		fill_slots(p);
		workers_start(p);
	}
	if (!queue_length(p->queue) && p->slots > 1) {
		share(p);
		fill_slots(p);
	}
	workers_watch_idle(p);
	if (!timer_is_set(&p->tick) && anything_to_look_at(p))
		timer_set(&p->tick, clock_now() + TICK_US, on_tick);
}

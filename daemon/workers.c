#include "daemon/workers.h"

#include <utlist.h>

#include "daemon/broken.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/host.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/slot.h"

#define FOREVER (UINT64_MAX / 4)

bool
workers_share_host(const struct pool *p)
{
	return p->config->kind == CONFIG_THREAD || p->config->kind == CONFIG_INTERPRETER;
}

/* Workers whose task waits for others. */
static unsigned
waiting(const struct pool *p)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->slots; i++)
		n += p->slot[i]->waiting && !p->slot[i]->leaving;
	return n;
}

/* How many there may be now. */
static unsigned
limit(const struct pool *p)
{
	unsigned n = waiting(p);
	if (n < p->workers || FAULT(nobody_lent))
		return p->workers;
	return n < p->workers + WORKERS_LENT ? n + 1 : p->workers + WORKERS_LENT;
}

/* ---- coming ---- */

static bool
start_host(struct pool *p, unsigned slots)
{
	char why[256];
	struct host *h = host_new(p, slots, why, sizeof why);

	if (!h) {
		log_error("pool", "%s: %s", p->name, why);
		broken_host_failed(p, error_bytes(STATUS_BROKEN_POOL, 0, "%s", why), false);
		return false;
	}
	pool_hold(p);
	DL_APPEND(p->hosts, h);
	p->starting += slots;
	return true;
}

bool
workers_try(struct pool *p)
{
	return start_host(p, workers_share_host(p) ? p->workers : 1);
}

/* More slots in the host that there is; a host that cannot grow gets a second one beside it. */
static void
grow(struct pool *p, unsigned slots)
{
	struct host *h;

	DL_FOREACH(p->hosts, h) {
		if (h->state == HOST_READY && !h->killed)
			host_grow(h, slots);
	}
	if (pool_alive(p) < slots)
		start_host(p, slots - pool_alive(p));
	else
		pool_wake(p); /* the new ones want work */
}

/* All of them wait for what is queued, and no more can be lent: the first in the queue fails, so that one may go on. */
static void
give_up_one(struct pool *p)
{
	struct future *f = queue_pop(p->queue);

	log_warn("pool", "%s: %u tasks wait for others, and no worker is left to lend", p->name, waiting(p));
	future_fail_with(f, STATUS_LIMIT, "pool %s: %u of its tasks wait for others, such as this one, and no worker is left to lend: more workers, or another pool for what they wait for",
	    p->name, waiting(p));
	pool_wake(p);
}

void
workers_start(struct pool *p)
{
	uint64_t queued = queue_length(p->queue);
	unsigned most = limit(p);

	if (!queued)
		return;
	if (waiting(p) >= p->workers + WORKERS_LENT) {
		give_up_one(p);
	} else if (workers_share_host(p)) {
		if (!p->starting && pool_alive(p) < most)
			grow(p, most);
	} else {
		while (p->starting < queued && pool_alive(p) < most)
			if (!start_host(p, 1))
				return;
	}
}

void
workers_note_wait(uint64_t task, unsigned attempt, bool waits)
{
	struct future *f = registry_find(task);

	if (!f || f->state != FUTURE_RUNNING || f->attempt != attempt)
		return;
	struct slot *s = f->at.slot;
	if (waits) {
		s->waiting++;
		slot_take_back_ahead(s, UINT32_MAX); /* it may be what the task waits for */
	} else if (s->waiting) {
		s->waiting--;
	}
	pool_wake(s->host->pool);
}

/* ---- going ---- */

/* No new tasks; what was sent ahead goes back; its host ends when all its slots leave. */
static void
let_go(struct pool *p, struct slot *s)
{
	struct host *h = s->host;

	s->leaving = true;
	slot_take_back_ahead(s, UINT32_MAX);
	pool_wake(p);
	for (unsigned i = 0; i < h->slots; i++) {
		if (!h->slot[i]->leaving) {
			slot_close_input(s); /* the host goes on without this one */
			return;
		}
	}
	host_end(h, FOREVER); /* running tasks finish */
	host_note_answer(h);  /* or there are none */
}

void
workers_trim(struct pool *p)
{
	unsigned most = limit(p);

	if (pool_alive(p) <= most)
		return;
	for (int busy_too = 0; busy_too < 2; busy_too++) {
		for (unsigned i = p->slots; i-- > 0 && pool_alive(p) > most;) {
			struct slot *s = p->slot[i];
			if (!s->leaving && (busy_too || !s->in_flight))
				let_go(p, s);
		}
	}
}

void
workers_retire(struct pool *p)
{
	const struct config_pool *c = p->config;

	if (!c->max_tasks_per_worker && !c->max_rss)
		return;
	for (unsigned i = p->slots; i-- > 0;) {
		struct slot *s = p->slot[i];
		bool full = c->max_tasks_per_worker && s->served >= c->max_tasks_per_worker && !s->in_flight;
		if (!s->leaving && (full || (c->max_rss && host_rss(s->host) > c->max_rss)))
			let_go(p, s);
	}
}

static void
on_idle(struct timer *t)
{
	struct pool *p = container(t, struct pool, idle);
	uint64_t after = p->config->idle_timeout_us, now = clock_now(), next = UINT64_MAX;

	if (!after) /* since a reload */
		return;
	for (unsigned i = p->slots; i-- > 0;) {
		struct slot *s = p->slot[i];
		uint64_t due = s->in_flight ? now + after : s->idle_since_us + after;
		if (s->leaving)
			continue;
		if (due <= now)
			let_go(p, s);
		else if (due < next)
			next = due;
	}
	if (next != UINT64_MAX)
		timer_set(&p->idle, next, on_idle);
}

void
workers_watch_idle(struct pool *p)
{
	if (!timer_is_set(&p->idle) && p->config->idle_timeout_us && p->slots)
		timer_set(&p->idle, clock_now() + p->config->idle_timeout_us, on_idle);
}

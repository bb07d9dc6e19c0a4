/* What closes a pool is part of the pool: closing must not fail for want of memory. */
#include "daemon/closing.h"

#include "daemon/container.h"
#include "daemon/fault.h"
#include "daemon/host.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/slot.h"
#include "daemon/store.h"

static bool
cancel_pending(struct future *f)
{
	if (future_is_final(f) || (f->place == PLACE_SLOT && !slot_take_back(f)))
		return false;
	future_cancelled(f);
	return true;
}

/* In slices: those in the queue first, then whoever else there is by walking the registry. */
static void
sweep(struct turn_item *item)
{
	struct pool *p = container(item, struct pool, sweeping);
	struct future *f;
	bool end = false;

	while (turn_budget() && (f = queue_peek(p->queue))) {
		turn_count(1, 0);
		cancel_pending(f);
	}
	while (turn_budget() && p->states[FUTURE_PENDING] && !end) {
		uint64_t id = registry_after(p->swept + 1);
		turn_count(1, 0);
		if ((end = !id))
			break;
		p->swept = id;
		f = registry_find(id);
		if (f->spec->pool == p)
			cancel_pending(f);
	}
	if (p->states[FUTURE_PENDING] && !end && !FAULT(swept_once)) {
		turn_schedule(TURN_WORK, &p->sweeping, sweep);
		return;
	}
	pool_wake(p);
	pool_drop(p);
}

void
closing_cancel_pending(struct pool *p)
{
	bool under_way = p->sweeping.scheduled;

	p->cancelling = true;
	pool_take_back_ahead(p);
	p->swept = 0;
	if (under_way)
		return;
	pool_hold(p);
	sweep(&p->sweeping);
}

/* A thread cannot be stopped: its host is, with all that runs in it. */
static void
end_hosts(struct pool *p, bool kill)
{
	struct host *h;

	if (!kill) {
		pool_end_hosts(p, p->config->grace_us);
		return;
	}
	for (h = p->hosts; h; h = h->next)
		host_kill(h, NULL);
}

void
closing_stop_running(struct pool *p, bool kill)
{
	for (unsigned i = p->slots; i-- > 0;) {
		struct slot *s = p->slot[i];
		slot_drain(s); /* where one behind the first has begun, the first is done */
		struct future *f = slot_running(s);
		if (!f)
			continue;
		f->abandon = true;
		slot_stop(f, pool_can_kill(p), kill ? 0 : UINT64_MAX);
	}
	if (!pool_can_kill(p))
		end_hosts(p, kill);
}

static bool
on_quiet(struct pool_waiter *w, struct pool *p)
{
	(void)w;
	if (!pool_is_empty(p))
		return false;
	pool_remove(p);
	return true;
}

void
closing_go_on(struct pool *p, bool cancel_futures)
{
	p->closed = true;
	p->cancelling = cancel_futures;
	if (cancel_futures) {
		pool_hold(p);
		turn_schedule(TURN_WORK, &p->sweeping, sweep);
	}
	p->leaving.wake = on_quiet;
	pool_wait_quiet(p, &p->leaving);
}

void
closing_begin(struct pool *p, const struct closing *how)
{
	bool first = !p->closed, cancelled = p->cancelling;

	p->closed = true;
	pool_settle(p);
	if (p->paused)
		pool_pause_by_hand(p, false, NULL); /* it must come to an end; without memory the next daemon has it paused again */
	if (how->cancel_futures || how->terminate || how->kill)
		closing_cancel_pending(p);
	if (how->terminate || how->kill)
		closing_stop_running(p, how->kill);
	if ((how->terminate || how->kill) && !pool_can_kill(p)) /* a thread cannot be ended; all of them together can */
		pool_end_hosts(p, how->kill ? 0 : p->config->grace_us);
	if (first || p->cancelling != cancelled)
		store_pool_changed(p);
	if (!first)
		return;
	p->leaving.wake = on_quiet;
	pool_wait_quiet(p, &p->leaving);
}

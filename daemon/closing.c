#include "daemon/closing.h"

#include <stdlib.h>

#include "daemon/container.h"
#include "daemon/host.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/slot.h"

/* Cancels a pool's pending futures in slices; those in the queue first, then whoever else there is by walking the registry. */
struct sweep {
	struct turn_item item;
	struct pool *pool; /* counted */
	uint64_t at;
};

/* Waits for the pool to be empty, and takes it out of the table. */
struct leaving {
	struct pool_waiter waiter;
};

static bool
cancel_pending(struct future *f)
{
	if (future_is_final(f) || (f->place == PLACE_SLOT && !slot_take_back(f)))
		return false;
	future_cancelled(f);
	return true;
}

static void
sweep(struct turn_item *item)
{
	struct sweep *s = container(item, struct sweep, item);
	struct pool *p = s->pool;
	struct future *f;

	while (turn_budget() && (f = queue_peek(p->queue))) {
		turn_count(1, 0);
		cancel_pending(f);
	}
	while (turn_budget() && p->states[FUTURE_PENDING] && (s->at = registry_after(s->at + 1))) {
		turn_count(1, 0);
		f = registry_find(s->at);
		if (f->spec->pool == p)
			cancel_pending(f);
	}
	if (p->states[FUTURE_PENDING] && s->at) {
		turn_schedule(TURN_WORK, &s->item, sweep);
		return;
	}
	pool_drop(p);
	free(s);
}

void
closing_cancel_pending(struct pool *p)
{
	struct sweep *s = calloc(1, sizeof *s);
	if (!s)
		return; /* they will run instead */
	s->pool = pool_hold(p);
	sweep(&s->item);
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
	for (unsigned i = 0; i < p->slots; i++) {
		struct future *f = slot_running(p->slot[i]);
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
	if (!pool_is_empty(p))
		return false;
	free(container(w, struct leaving, waiter));
	pool_remove(p);
	return true;
}

void
closing_begin(struct pool *p, const struct closing *how)
{
	bool first = !p->closed;

	p->closed = true;
	pool_settle(p);
	if (p->paused)
		pool_pause(p, false, NULL); /* it must come to an end */
	if (how->cancel_futures || how->terminate || how->kill)
		closing_cancel_pending(p);
	if (how->terminate || how->kill)
		closing_stop_running(p, how->kill);
	if ((how->terminate || how->kill) && !pool_can_kill(p)) /* a thread cannot be ended; all of them together can */
		pool_end_hosts(p, how->kill ? 0 : p->config->grace_us);
	if (!first)
		return;
	struct leaving *l = calloc(1, sizeof *l);
	if (!l)
		return;
	l->waiter.wake = on_quiet;
	pool_wait_quiet(p, &l->waiter);
}

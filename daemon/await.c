#include "daemon/await.h"

#include <stdlib.h>

#include "daemon/access.h"
#include "daemon/bound.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/registry.h"
#include "daemon/turn.h"
#include "proto/pack.h"

struct awaiting {
	struct pending pending;
	struct waiter waiter;
	struct timer timer;
	struct turn_item cancelling; /* when the connection is gone: the future is pinned until then */
	uint64_t id; /* stays known while it is not final */
	enum await_mode mode;
	bool release, cancel;
};

static void
answer(struct conn *c, uint32_t msgid, struct future *f, enum await_mode mode, bool release)
{
	conn_begin_settled(c, future_is_settled(f));
	if (mode == AWAIT_RESULT || f->state == FUTURE_CANCELLED) {
		answer_outcome(c, msgid, f);
	} else if (f->failed) {
		answer_bytes(c, msgid, f->value);
		if (access_may_change(c, f))
			future_see(f);
	} else {
		pack_nil(answer_result(c, msgid));
	}
	conn_end_settled(c);
	if (release)
		future_release(f);
}

static void
on_done(struct waiter *w, struct future *f)
{
	struct awaiting *a = container(w, struct awaiting, waiter);
	struct conn *c = conn_find(a->pending.conn_id);

	timer_unset(&a->timer);
	conn_unpend(&a->pending);
	answer(c, a->pending.msgid, f, a->mode, a->release);
	free(a);
}

static void
on_timeout(struct timer *t)
{
	struct awaiting *a = container(t, struct awaiting, timer);
	struct conn *c = conn_find(a->pending.conn_id);

	future_unwait(registry_find(a->id), &a->waiter);
	conn_unpend(&a->pending);
	answer_fail(c, a->pending.msgid, STATUS_TIMEOUT, a->id, "future %llu is not done; the task goes on", (unsigned long long)a->id);
	free(a);
}

static void
cancel_item(struct turn_item *item)
{
	struct awaiting *a = container(item, struct awaiting, cancelling);
	struct future *f = registry_pinned(a->id);

	if (a->release)
		future_release(f); /* nobody else knows its id */
	bound_cancel(f);
	future_unpin(f);
	free(a);
}

/* A cancel wakes whoever else waits for the future, who may be another call of this very connection, and is not abandoned yet: so later. */
static void
on_abandon(struct pending *p)
{
	struct awaiting *a = container(p, struct awaiting, pending);
	struct future *f = registry_find(a->id);

	timer_unset(&a->timer);
	future_unwait(f, &a->waiter);
	if (!a->cancel) {
		free(a);
		return;
	}
	future_pin(f);
	turn_schedule(TURN_WORK, &a->cancelling, cancel_item);
}

bool
await_future(struct request *r, struct future *f, const struct await *how)
{
	if (future_is_final(f)) {
		answer(r->conn, r->msgid, f, how->mode, how->release);
		return true;
	}
	if (how->timeout_us == 0) {
		request_fail(r, STATUS_TIMEOUT, f->id, "future %llu is not done; the task goes on", (unsigned long long)f->id);
		return false;
	}
	struct awaiting *a = calloc(1, sizeof *a);
	if (!a) {
		request_no_memory(r);
		return false;
	}
	if (!request_pend(r, &a->pending, on_abandon)) {
		free(a);
		return false;
	}
	a->waiter.wake = on_done;
	a->id = f->id;
	a->mode = how->mode;
	a->release = how->release;
	a->cancel = how->cancel;
	future_wait(f, &a->waiter);
	if (how->timeout_us != UINT64_MAX)
		timer_set(&a->timer, clock_now() + how->timeout_us, on_timeout);
	return true;
}

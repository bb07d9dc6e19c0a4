#include "daemon/quota.h"

#include <utlist.h>

#include "daemon/container.h"
#include "daemon/fault.h"
#include "daemon/pool.h"
#include "daemon/retention.h"
#include "daemon/turn.h"

enum { EVICT_AT_ONCE = 1000, SETTLED_PER_TURN = 1000 };

static uint64_t max_pending = UINT64_MAX, max_bytes = UINT64_MAX, max_connections = UINT64_MAX;
static unsigned waiting; /* submits, of all owners */

void
quota_configure(const struct config *c)
{
	max_pending = c->limit_user_pending;
	max_bytes = c->limit_user_bytes;
	max_connections = c->limit_user_connections;
	for (struct owner *o = owner_first(); o; o = o->next)
		if (o->room)
			quota_settle(o);
}

uint64_t
quota_pending(void)
{
	return max_pending;
}

uint64_t
quota_bytes(void)
{
	return max_bytes;
}

uint64_t
quota_connections(void)
{
	return max_connections;
}

/* What was sent to slots and has begun is not pending; the boards know. */
static void
look_at_pools(void)
{
	for (struct pool *p = pool_first(); p; p = p->next)
		pool_look(p);
}

static bool
fits(uint64_t held, uint64_t more, uint64_t bound)
{
	return held <= bound && more <= bound - held;
}

bool
quota_has_room(const struct owner *o, uint64_t futures)
{
	if (!fits(o->totals.states[FUTURE_PENDING] + o->coming, futures, max_pending))
		look_at_pools();
	return fits(o->totals.states[FUTURE_PENDING] + o->coming, futures, max_pending) || FAULT(quota_ignored);
}

bool
quota_has_bytes(const struct owner *o, uint64_t bytes)
{
	return fits(o->bytes, bytes, max_bytes) || FAULT(quota_ignored);
}

void
quota_make_bytes(const struct owner *o, uint64_t bytes)
{
	unsigned n = 1;

	while (n && !quota_has_bytes(o, bytes) && turn_budget()) {
		n = retention_evict(EVICT_AT_ONCE, o);
		turn_count(n, 0);
	}
}

unsigned
quota_evict(unsigned max)
{
	struct owner *o = owner_first(), *next;
	unsigned n = 0;

	for (; o && n < max; o = next) {
		owner_hold(o);
		while (n < max && o->role != ROLE_ADMIN && o->bytes > max_bytes && retention_evict(1, o))
			n++;
		next = o->next;
		owner_drop(o);
	}
	return n;
}

bool
quota_is_crowded(const struct owner *o)
{
	return o->connections > max_connections && !FAULT(quota_ignored);
}

/* ---- who waits ---- */

/* Lets in, in order, those whom there is room for. */
static void
settle(struct turn_item *item)
{
	struct owner *o = container(item, struct owner, settling);
	struct pool_waiter *w;
	unsigned n = 0;

	owner_hold(o);
	while ((w = o->room) && n++ < SETTLED_PER_TURN) {
		DL_DELETE(o->room, w);
		if (!w->wake(w, NULL)) {
			DL_PREPEND(o->room, w);
			break;
		}
		waiting--;
	}
	if (n >= SETTLED_PER_TURN)
		quota_settle(o);
	owner_drop(o);
}

void
quota_settle(struct owner *o)
{
	turn_schedule(TURN_DISPATCH, &o->settling, settle);
}

static void
let_go_of(struct owner *o, struct pool *p)
{
	struct pool_waiter *rest = o->room, *kept = NULL, *w;

	o->room = NULL;
	while ((w = rest)) {
		DL_DELETE(rest, w);
		if (w->wake(w, p))
			waiting--;
		else
			DL_APPEND(kept, w);
	}
	DL_CONCAT(kept, o->room);
	o->room = kept;
}

void
quota_let_go(struct pool *p)
{
	struct owner *o = waiting ? owner_first() : NULL, *next;

	for (; o; o = next) {
		owner_hold(o);
		if (o->room)
			let_go_of(o, p);
		next = o->next;
		owner_drop(o);
	}
}

void
quota_wait_room(struct owner *o, struct pool_waiter *w)
{
	DL_APPEND(o->room, w);
	waiting++;
}

void
quota_unwait_room(struct owner *o, struct pool_waiter *w)
{
	DL_DELETE(o->room, w);
	waiting--;
	if (o->room) /* the next one may need less room */
		quota_settle(o);
}

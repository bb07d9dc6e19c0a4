/* cancel, release: ending and forgetting. */
#include "daemon/access.h"
#include "daemon/clock.h"
#include "daemon/fault.h"
#include "daemon/handlers.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "daemon/walk.h"
#include "proto/pack.h"

enum running { RUNNING_NO, RUNNING_ASK, RUNNING_KILL };

struct how {
	enum running running;
	uint64_t grace_us;
};

static bool
read_how(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct how *how = arg;
	const char *s;
	size_t n;

	if (key_is(key, len, "grace"))
		return option_seconds(r, "grace", value, &how->grace_us);
	if (!key_is(key, len, "running"))
		return option_unknown(r, key, len);
	struct reader at = *value;
	if (!read_str(&at, &s, &n))
		return option_wrong(r, "running", "'no', 'ask' or 'kill'", value);
	if (key_is(s, n, "no"))
		how->running = RUNNING_NO;
	else if (key_is(s, n, "ask"))
		how->running = RUNNING_ASK;
	else if (key_is(s, n, "kill"))
		how->running = RUNNING_KILL;
	else
		return option_wrong(r, "running", "'no', 'ask' or 'kill'", value);
	return true;
}

/* One that has begun; true if it will be cancelled for sure. */
static bool
cancel_running(struct future *f, enum running running, uint64_t grace_us)
{
	if (running == RUNNING_NO)
		return f->kill || FAULT(cancel_too_late); /* a kill is under way: it will be */
	if (running == RUNNING_KILL && !f->kill)
		store_killed(f);
	if (running == RUNNING_ASK)
		f->ask = true;
	else
		f->kill = true;
	slot_stop(f, running == RUNNING_KILL, grace_us);
	return f->kill;
}

static bool
cancel_one(struct future *f, enum running running, uint64_t grace_us)
{
	if (f->state == FUTURE_CANCELLED)
		return true;
	if (f->state == FUTURE_FINISHED)
		return false;
	if (f->place == PLACE_SLOT && !slot_take_back(f))
		return cancel_running(f, running, grace_us);
	future_cancelled(f);
	return true;
}

static bool
visit_cancel(struct walk *w, struct conn *c, uint64_t id, struct future *f)
{
	(void)c, (void)id;
	pack_bool(&w->out, f && cancel_one(f, (enum running)w->a, w->b));
	return true;
}

/* Whether all that is named can be killed; says so if not. Looks at the futures in one go, but touches only their pool's kind. */
static bool
may_kill(struct request *r, struct ids *ids)
{
	const struct pool *p;
	bool any = false;
	uint64_t id;

	for (p = pool_first_of_all(); p; p = pool_next_of_all(p))
		any |= !pool_can_kill(p);
	while (any && ids_next(ids, &id)) {
		const struct future *f = registry_find(id);
		if (future_is_final(f) || pool_can_kill(f->spec->pool))
			continue;
		request_fail(r, STATUS_UNSUPPORTED, id, "cancel: running: pool %s, of kind thread, cannot kill a task", f->spec->pool->name);
		return false;
	}
	ids_rewind(ids);
	return true;
}

void
req_cancel(struct request *r)
{
	struct how how = { .running = RUNNING_NO, .grace_us = UINT64_MAX };
	struct walk w = { .visit = visit_cancel, .does = true };

	if (!param_ids(r, &w.ids))
		return;
	if (!options_read(r, read_how, &how)) {
		ids_clear(&w.ids);
		return;
	}
	if (!request_ids(r, &w.ids, IDS_CHANGE))
		return;
	if (how.running == RUNNING_KILL && !may_kill(r, &w.ids)) {
		ids_clear(&w.ids);
		return;
	}
	w.a = how.running;
	w.b = how.grace_us;
	pack_array(&w.out, (size_t)w.ids.total);
	walk_begin(r, &w);
}

static bool
visit_release(struct walk *w, struct conn *c, uint64_t id, struct future *f)
{
	(void)id;
	w->count += f && access_may_change(c, f) && future_release(f);
	return true;
}

static void
finish_release(struct walk *w)
{
	pack_uint(&w->out, w->count);
}

void
req_release(struct request *r)
{
	struct walk w = { .visit = visit_release, .finish = finish_release, .does = true };

	if (param_ids(r, &w.ids) && request_ids(r, &w.ids, IDS_RELEASE))
		walk_begin(r, &w);
}

/* A dependency finishes ─► on_done counts it ─► the last one, or the first that failed, schedules `run` ─► run lets the held futures go
 * in slices. Nothing is let go from inside on_done: a chain of a million dependents would otherwise recurse a million deep. */
#include "daemon/gate.h"

#include <stdlib.h>

#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/store.h"
#include "daemon/turn.h"

struct needed {
	struct waiter waiter;
	struct gate *gate;
	uint64_t id; /* pinned; 0: it was gone already */
	bool waiting;
};

struct gate {
	struct future_list held;
	struct turn_item item;
	size_t left;         /* not final yet */
	bool own;
	bool filling;        /* more may be put behind it: it stays although empty */
	bool failed;
	struct bytes cause;  /* failed: the error of the one that failed first */
	size_t count;
	struct needed needed[];
};

#define container(ptr, type, field) ((type *)(void *)((char *)(ptr) - offsetof(type, field)))

static size_t moving; /* gates that will let somebody go in a turn to come */

static void run(struct turn_item *item);

static void
go(struct gate *g)
{
	moving += !g->item.scheduled;
	turn_schedule(TURN_WORK, &g->item, run);
}

static bool
is_open(const struct gate *g)
{
	return g->failed || g->left == 0 || FAULT(after_ignored);
}

/* The first failure counts. Takes the cause. */
static void
fail(struct gate *g, struct bytes cause)
{
	if (g->failed)
		bytes_drop(&cause);
	else
		g->cause = cause;
	g->failed = true;
	go(g);
}

static bool
has_failed(const struct future *f)
{
	return f->state == FUTURE_CANCELLED || f->failed;
}

/* Takes notice of dependencies in their final state, one of which failed first; NULL: none did. */
static void
take_notice(struct gate *g, const struct future *failed)
{
	if (failed)
		fail(g, error_cause(failed));
	if (is_open(g))
		go(g);
}

static void
on_done(struct waiter *w, struct future *f)
{
	struct needed *n = container(w, struct needed, waiter);
	n->waiting = false;
	n->gate->left--;
	take_notice(n->gate, has_failed(f) ? f : NULL);
}

struct gate *
gate_new(const uint64_t *ids, size_t count, bool own)
{
	struct gate *g = calloc(1, sizeof *g + count * sizeof *g->needed);
	const struct future *failed = NULL;

	if (!g)
		return NULL;
	TAILQ_INIT(&g->held);
	bytes_account((int64_t)(count * sizeof *g->needed));
	turn_count((unsigned)count, 0);
	g->own = own;
	g->filling = !own;
	g->count = g->left = count; /* all of them, before the first is looked at: it is not open until the last is */
	for (size_t i = 0; i < count; i++) {
		struct future *f = registry_find(ids[i]);
		if (!f) { /* released, or evicted, since it was named */
			g->left--;
			fail(g, error_bytes(STATUS_EXPIRED_FUTURE, ids[i], "future %llu is not to be had any more", (unsigned long long)ids[i]));
			continue;
		}
		g->needed[i] = (struct needed){ .gate = g, .id = ids[i], .waiter.wake = on_done };
		future_pin(f);
		if (future_is_final(f)) {
			g->left--;
			if (has_failed(f) && (!failed || f->finished_us < failed->finished_us))
				failed = f;
			continue;
		}
		g->needed[i].waiting = true;
		future_wait(f, &g->needed[i].waiter);
	}
	take_notice(g, failed);
	return g;
}

void
gate_hold(struct gate *g, struct future *f)
{
	f->place = PLACE_GATE;
	f->spec->pool->held++;
	f->at.gate = g;
	TAILQ_INSERT_TAIL(&g->held, f, link);
	future_set_timer(f);
	if (is_open(g))
		go(g);
}

void
gate_pass(struct future *f)
{
	const struct gate *g = f->at.gate;
	if (g->failed || g->left)
		return;
	store_gate_passed(f->spec);
	gate_unlink(f);
	future_make_ready(f);
}

void
gate_filled(struct gate *g)
{
	g->filling = false;
	if (TAILQ_EMPTY(&g->held))
		go(g);
}

void
gate_unlink(struct future *f)
{
	struct gate *g = f->at.gate;
	TAILQ_REMOVE(&g->held, f, link);
	f->spec->pool->held--;
	f->at.gate = NULL;
	f->place = PLACE_NONE;
	if (TAILQ_EMPTY(&g->held) && !g->own)
		go(g); /* nobody waits any more: it goes */
}

uint64_t
gate_waits_for(const struct gate *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->needed[i].waiting)
			return g->needed[i].id;
	return 0;
}

bool
gate_any_moves(void)
{
	return moving != 0;
}

void
gate_free(struct gate *g)
{
	if (!g)
		return;
	moving -= g->item.scheduled;
	turn_unschedule(&g->item);
	bytes_account(-(int64_t)(g->count * sizeof *g->needed));
	for (size_t i = 0; i < g->count; i++) {
		if (!g->needed[i].id)
			continue;
		struct future *f = registry_pinned(g->needed[i].id);
		if (g->needed[i].waiting)
			future_unwait(f, &g->needed[i].waiter);
		future_unpin(f);
	}
	bytes_drop(&g->cause);
	free(g);
}

static void
run(struct turn_item *item)
{
	struct gate *g = container(item, struct gate, item);
	struct future *f;

	moving--;
	while ((f = TAILQ_FIRST(&g->held))) {
		if (!turn_budget()) {
			go(g);
			return;
		}
		turn_count(1, 0);
		bool own = g->own;
		if (!g->failed)
			store_gate_passed(f->spec);
		gate_unlink(f);
		if (g->failed)
			future_fail_finally(f, error_dependency(f, &g->cause));
		else
			future_make_ready(f);
		if (own)
			return; /* the future has it, and may be gone with it */
	}
	if (!g->own && !g->filling)
		gate_free(g);
}

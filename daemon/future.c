/* A task's way: future_init ─► (gate) ─► future_make_ready ─► (delay) ─► queue ─► slot ─► future_succeed or future_fail ─►
 * future_set_state(FINISHED), which wakes whoever waits and hands the future to its retention ─► future_release. */
#include "daemon/future.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/gate.h"
#include "daemon/input.h"
#include "daemon/key.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/retention.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "daemon/tally.h"
#include "daemon/turn.h"
#include "daemon/watch.h"

static const char *const state_names[FUTURE_STATES] = { "PENDING", "RUNNING", "CANCELLED", "FINISHED" };
static struct future_totals totals;
static void (*on_change)(struct future *f);

/* Counted for the daemon, and for its owner. */
#define UP(f, what) (totals.what++, (f)->spec->owner->totals.what++)
#define DOWN(f, what) (totals.what--, (f)->spec->owner->totals.what--)

static void on_timer(struct timer *t);

/* What it holds now counts as its owner's. */
static void
charge(struct future *f)
{
	size_t bytes = bytes_len(&f->args) + bytes_len(&f->value);

	f->spec->owner->bytes -= f->charged;
	f->charged = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
	f->spec->owner->bytes += f->charged;
}

void
future_init(struct future *f, uint64_t id, struct spec *spec, struct bytes args)
{
	memset(f, 0, sizeof *f);
	f->id = id;
	f->spec = spec_hold(spec);
	f->args = args;
	f->submitted_us = clock_now();
	registry_note_owner(id, spec->owner);
	UP(f, states[FUTURE_PENDING]);
	UP(f, submitted);
	charge(f);
	pool_count(spec->pool, FUTURE_STATES, FUTURE_PENDING);
}

struct future_more *
future_more(struct future *f)
{
	if (!f->more && (f->more = calloc(1, sizeof *f->more)))
		f->more->future = f;
	return f->more;
}

bool
future_is_final(const struct future *f)
{
	return f->state == FUTURE_CANCELLED || f->state == FUTURE_FINISHED;
}

bool
future_is_settled(const struct future *f)
{
	return future_is_final(f) && !f->undone && store_has_committed(f->batch);
}

const char *
future_state_name(enum future_state state)
{
	return state_names[state];
}

bool
future_state_find(const char *name, size_t len, enum future_state *out)
{
	for (int i = 0; i < FUTURE_STATES; i++) {
		if (strlen(state_names[i]) == len && memcmp(name, state_names[i], len) == 0) {
			*out = (enum future_state)i;
			return true;
		}
	}
	return false;
}

/* ---- who waits ---- */

void
future_wait(struct future *f, struct waiter *w)
{
	DL_APPEND(f->waiters, w);
}

void
future_unwait(struct future *f, struct waiter *w)
{
	DL_DELETE(f->waiters, w);
}

static void
wake_waiters(struct future *f)
{
	struct waiter *w;
	if (FAULT(cancel_not_told) && f->state == FUTURE_CANCELLED)
		return;
	while ((w = f->waiters)) {
		DL_DELETE(f->waiters, w);
		w->wake(w, f);
	}
	watch_notify(f);
}

/* ---- the one change of state ---- */

static bool
is_legal(enum future_state from, enum future_state to)
{
	switch (from) {
	case FUTURE_PENDING:
		return to != FUTURE_PENDING;
	case FUTURE_RUNNING:
		return to != FUTURE_RUNNING;
	default:
		return false;
	}
}

/* What only a future that may still run needs. */
static void
drop_unfinished_parts(struct future *f)
{
	struct future_more *more = f->more;
	if (!more)
		return;
	timer_unset(&more->timer);
	input_end_of_task(f);
	bytes_drop(&more->filled_args);
	bytes_drop(&more->filled_stdin);
	gate_free(more->own_gate);
	more->own_gate = NULL;
}

static void
become_final(struct future *f)
{
	f->finished_us = clock_now();
	drop_unfinished_parts(f);
	if (f->state == FUTURE_CANCELLED) {
		UP(f, cancelled);
	} else if (f->failed) {
		UP(f, failed);
		f->spec->pool->failed++;
	} else {
		UP(f, succeeded);
		f->spec->pool->succeeded++;
	}
	if (f->failed && !f->seen)
		UP(f, unseen);
	f->pins++;
	output_finish(f);
	store_finish(f);
	wake_waiters(f);
	if (f->let_go)
		future_release(f);
	else if (!f->hidden) /* a waiter may have released it */
		retention_keep(f, f->spec->retain_us);
	future_unpin(f);
}

void
future_set_state(struct future *f, enum future_state state)
{
	enum future_state from = (enum future_state)f->state;

	assert(is_legal(from, state));
	if (state != FUTURE_RUNNING) /* which it becomes in the slot it was sent to */
		future_leave_place(f);
	DOWN(f, states[from]);
	UP(f, states[state]);
	if (from == FUTURE_PENDING && f->spec->owner->room)
		quota_settle(f->spec->owner);
	f->state = (uint8_t)state;
	pool_count(f->spec->pool, from, state);
	tally_change(f, from);
	if (on_change)
		on_change(f);
	if (future_is_final(f))
		become_final(f);
	else if (state == FUTURE_RUNNING)
		input_begin(f);
}

void
future_succeed(struct future *f, struct bytes value)
{
	f->value = value;
	charge(f);
	if (FAULT(run_twice) && f->attempt == 1 && f->id % 20 == 0) {
		bytes_drop(&f->value);
		future_set_state(f, FUTURE_PENDING);
		future_make_ready(f);
		return;
	}
	future_set_state(f, FUTURE_FINISHED);
}

void
future_fail_finally(struct future *f, struct bytes error)
{
	f->value = error;
	charge(f);
	f->failed = true;
	future_set_state(f, FUTURE_FINISHED);
}

void
future_fail_with(struct future *f, enum status s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	future_fail_finally(f, error_bytes(s, f->id, "%s", text));
}

/* Doubled each time, a day at most. */
uint64_t
future_retry_pause(const struct future *f)
{
	enum { DAY = 86400 };
	uint64_t pause = f->spec->retry_delay_us, most = UINT64_C(1000000) * DAY;
	for (unsigned i = 1; i < f->attempt && pause < most; i++)
		pause *= 2;
	return pause < most || f->attempt == 1 ? pause : most;
}

void
future_fail(struct future *f, struct bytes error)
{
	struct future_more *more;

	if (f->attempt > f->spec->retries + FAULT(retried_once_more) || f->past_deadline || !(more = future_more(f))) {
		future_fail_finally(f, error);
		return;
	}
	bytes_drop(&error);
	if (f->orphan) { /* as it would have been in the pause before the next attempt */
		future_cancelled(f);
		return;
	}
	UP(f, retried);
	if (f->state == FUTURE_RUNNING)
		future_set_state(f, FUTURE_PENDING);
	else
		future_leave_place(f);
	f->started_us = 0;
	output_next_attempt(f);
	f->timed_out = f->ask = f->kill = f->abandon = false;
	more->not_before_us = clock_refresh() + future_retry_pause(f);
	store_again(f);
	future_make_ready(f);
}

void
future_cancelled(struct future *f)
{
	future_set_state(f, FUTURE_CANCELLED);
}

/* ---- places of a PENDING future ---- */

void
future_leave_place(struct future *f)
{
	switch (f->place) {
	case PLACE_GATE:
		gate_unlink(f);
		break;
	case PLACE_QUEUE:
		queue_remove(f->spec->pool->queue, f);
		break;
	case PLACE_SLOT:
		slot_unlink(f);
		break;
	case PLACE_RETAINED:
		retention_unlink(f);
		break;
	default:
		break;
	}
	f->place = PLACE_NONE;
}

void
future_make_ready(struct future *f)
{
	struct pool *pool = f->spec->pool;

	f->place = PLACE_NONE;
	if (f->more && f->more->not_before_us > clock_now()) {
		f->place = PLACE_DELAY;
		future_set_timer(f);
		return;
	}
	if (FAULT(lost_on_the_way) && f->id % 20 == 0)
		return;
	f->order = queue_order(pool->queue, 1); /* behind whoever is queued already */
	if (!queue_push(pool->queue, f)) {
		future_fail_with(f, STATUS_LIMIT, "the daemon is out of memory");
		return;
	}
	future_set_timer(f);
	pool_wake(pool);
}

void
future_set_timer(struct future *f)
{
	struct future_more *more = f->more;
	uint64_t due = UINT64_MAX;

	if (f->place == PLACE_SLOT && f->spec->timeout_us)
		more = future_more(f);
	if (!more)
		return;
	if (more->deadline_us)
		due = more->deadline_us;
	if (f->place == PLACE_DELAY && more->not_before_us < due)
		due = more->not_before_us;
	if (f->place == PLACE_SLOT && f->spec->timeout_us) {
		uint64_t end = (f->started_us ? f->started_us : clock_now()) + f->spec->timeout_us;
		if (end < due)
			due = end;
	}
	if (due == UINT64_MAX)
		timer_unset(&more->timer);
	else
		timer_set(&more->timer, due, on_timer);
}

static void
deadline_passed(struct future *f)
{
	f->past_deadline = true;
	if (f->place == PLACE_SLOT && !slot_take_back(f)) {
		slot_stop(f, true, UINT64_MAX);
		return;
	}
	future_fail_finally(f, error_deadline(f));
}

static void
on_timer(struct timer *t)
{
	struct future *f = container(t, struct future_more, timer)->future;
	uint64_t now = clock_now();

	turn_count(1, 0);
	if (f->more->deadline_us && f->more->deadline_us <= now) {
		deadline_passed(f);
		return;
	}
	if (f->place == PLACE_DELAY) {
		future_make_ready(f);
		return;
	}
	if (f->place != PLACE_SLOT)
		return;
	slot_look(f);
	if (f->state == FUTURE_RUNNING && f->started_us + f->spec->timeout_us <= now) {
		f->timed_out = true;
		slot_stop(f, true, UINT64_MAX);
		return;
	}
	future_set_timer(f);
}

/* ---- forgetting ---- */

void
future_see(struct future *f)
{
	if (f->seen)
		return;
	if (f->failed && !f->hidden) {
		DOWN(f, unseen);
		store_see(f);
	}
	f->seen = true;
}

static void
future_free(struct future *f)
{
	store_forget(f);
	DOWN(f, states[f->state]);
	f->spec->owner->bytes -= f->charged;
	pool_count(f->spec->pool, (enum future_state)f->state, FUTURE_STATES);
	bytes_drop(&f->args);
	bytes_drop(&f->value);
	if (f->more) {
		drop_unfinished_parts(f);
		output_free(f->more->output);
		bytes_drop(&f->more->rusage);
		key_drop(f->more->key);
		free(f->more);
	}
	spec_drop(f->spec);
	registry_free(f);
}

void
future_discard(struct future *f)
{
	DOWN(f, submitted);
	f->spec->pool->submitted--;
	future_free(f);
}

bool
future_release(struct future *f)
{
	if (f->hidden)
		return false;
	if (!future_is_final(f)) {
		bool was = f->let_go;
		f->let_go = true;
		if (!was)
			store_let_go(f);
		return !was;
	}
	future_leave_place(f);
	if (f->pins)
		store_let_go(f);
	future_see(f);
	f->hidden = true;
	registry_hide(f);
	if (f->more && f->more->key) {
		key_drop(f->more->key);
		f->more->key = NULL;
	}
	if (!f->pins)
		future_free(f);
	return true;
}

void
future_undo(struct future *f)
{
	f->undone = true;
	store_undo(f);
	if (future_is_final(f)) { /* what it waited for had failed, say */
		future_release(f);
		return;
	}
	f->seen = true; /* whoever asked is told */
	if (f->place == PLACE_SLOT && !slot_take_back(f))
		return; /* a host that took what it was not told: it answers for a future that has gone */
	future_pin(f); /* whoever waits may release it, and so may what it was let go for */
	future_fail_with(f, STATUS_STORE, "it could not be made durable, and was not accepted");
	future_release(f);
	future_unpin(f);
}

void
future_restore(struct future *f, enum future_state state, bool failed, bool seen, struct bytes value)
{
	DOWN(f, states[FUTURE_PENDING]);
	UP(f, states[state]);
	DOWN(f, submitted);
	pool_count(f->spec->pool, FUTURE_PENDING, state);
	f->spec->pool->submitted--; /* to the earlier one, and … */
	f->spec->pool->cancelled -= state == FUTURE_CANCELLED;
	f->state = (uint8_t)state;
	f->failed = failed;
	f->seen = seen;
	f->value = value;
	charge(f);
	if (failed && !seen)
		UP(f, unseen);
}

void
future_pin(struct future *f)
{
	f->pins++;
}

void
future_unpin(struct future *f)
{
	if (--f->pins == 0 && f->hidden)
		future_free(f);
}

struct future_totals
future_totals(void)
{
	return totals;
}

void
future_announce(struct future *f)
{
	if (on_change)
		on_change(f);
}

void
future_on_change(void (*changed)(struct future *f))
{
	on_change = changed;
}

/* wait, watch, unwatch: many futures at once.
 *
 * wait: its futures are walked once (what is not final is watched); then it waits for the watcher's news or its timeout; then it walks
 * them again to encode the answer. All of it in slices. */
#include <stdlib.h>

#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/handlers.h"
#include "daemon/registry.h"
#include "daemon/walk.h"
#include "daemon/watch.h"
#include "proto/pack.h"

/* ---- wait ---- */

enum return_when { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION };

enum phase { LOOKING, WAITING, TELLING };

struct waiting {
	enum phase phase;
	struct pending pending;
	struct turn_item item;
	struct timer timer;
	struct watcher watcher;
	struct ids ids;
	enum return_when when;
	bool met;             /* FIRST_*: it has happened */
	uint64_t timeout_us;
	struct buf done, not_done;
	uint64_t done_count, not_done_count;
};

static void run(struct turn_item *item);

static void
waiting_free(struct waiting *w)
{
	timer_unset(&w->timer);
	turn_unschedule(&w->item);
	watch_clear(&w->watcher);
	ids_clear(&w->ids);
	buf_clear(&w->done);
	buf_clear(&w->not_done);
	free(w);
}

static void
on_abandon(struct pending *p)
{
	waiting_free(container(p, struct waiting, pending));
}

static void
take_notice(struct waiting *w, const struct future *f)
{
	if (w->when == FIRST_COMPLETED || (w->when == FIRST_EXCEPTION && f->failed))
		w->met = true;
}

static bool
is_over(const struct waiting *w)
{
	return w->met || w->watcher.count == 0;
}

static void
start_telling(struct waiting *w)
{
	w->phase = TELLING;
	timer_unset(&w->timer);
	ids_rewind(&w->ids);
	turn_schedule(TURN_WORK, &w->item, run);
}

static void
on_final(struct watcher *watcher, struct future *f, bool want)
{
	struct waiting *w = container(watcher, struct waiting, watcher);
	(void)want;
	take_notice(w, f);
	if (w->phase == WAITING && is_over(w))
		start_telling(w);
}

static void
on_timeout(struct timer *t)
{
	start_telling(container(t, struct waiting, timer));
}

/* True when all were looked at. */
static bool
look(struct waiting *w)
{
	bool added;
	uint64_t id;

	while (turn_budget()) {
		if (w->met && w->when == FIRST_COMPLETED)
			return true;
		if (!ids_next(&w->ids, &id))
			return true;
		struct future *f = registry_find(id);
		turn_count(1, 0);
		if (!f) /* released since: it was final; whether it had failed nobody knows any more */
			w->met |= w->when == FIRST_COMPLETED;
		else if (future_is_final(f))
			take_notice(w, f);
		else if (!watch_add(&w->watcher, f, false, &added))
			w->met = true; /* without memory: what is known is told */
	}
	return false;
}

static bool
tell(struct waiting *w)
{
	size_t before = w->done.len + w->not_done.len;
	uint64_t id;
	bool all = false;

	while (turn_budget() && !(all = !ids_next(&w->ids, &id))) {
		const struct future *f = registry_find(id);
		bool done = !f || future_is_final(f);
		turn_count(1, 0);
		pack_uint(done ? &w->done : &w->not_done, id);
		w->done_count += done;
		w->not_done_count += !done;
	}
	turn_count(0, w->done.len + w->not_done.len - before);
	return all;
}

static void
answer(struct waiting *w)
{
	struct conn *c = conn_find(w->pending.conn_id);
	struct bytes done = { .len = 0 }, not_done = { .len = 0 };

	conn_unpend(&w->pending);
	if (!bytes_take(&done, &w->done) || !bytes_take(&not_done, &w->not_done)) {
		answer_fail(c, w->pending.msgid, STATUS_LIMIT, 0, "the daemon is out of memory");
	} else {
		struct buf *b = answer_result(c, w->pending.msgid);
		pack_map(b, 2);
		pack_key(b, "done");
		pack_array(b, (size_t)w->done_count);
		conn_say_bytes(c, done);
		b = conn_say(c);
		pack_key(b, "not_done");
		pack_array(b, (size_t)w->not_done_count);
		conn_say_bytes(c, not_done);
	}
	bytes_drop(&done);
	bytes_drop(&not_done);
	waiting_free(w);
}

static void
run(struct turn_item *item)
{
	struct waiting *w = container(item, struct waiting, item);

	if (w->phase == LOOKING && look(w)) {
		w->phase = WAITING;
		if (is_over(w) || w->timeout_us == 0) {
			w->phase = TELLING;
			ids_rewind(&w->ids);
		} else if (w->timeout_us != UINT64_MAX) {
			timer_set(&w->timer, clock_now() + w->timeout_us, on_timeout);
		}
	}
	if (w->phase == WAITING)
		return;
	if (w->phase == TELLING && tell(w)) {
		answer(w);
		return;
	}
	turn_schedule(TURN_WORK, &w->item, run);
}

static bool
read_when(struct request *r, enum return_when *when)
{
	const char *s;
	size_t len;
	struct reader at;

	*when = ALL_COMPLETED;
	if (!param_given(r))
		return true;
	at = r->params;
	if (!param_str(r, "return_when", &s, &len))
		return false;
	if (key_is(s, len, "FIRST_COMPLETED"))
		*when = FIRST_COMPLETED;
	else if (key_is(s, len, "FIRST_EXCEPTION"))
		*when = FIRST_EXCEPTION;
	else if (!key_is(s, len, "ALL_COMPLETED"))
		return option_wrong(r, "return_when", "ALL_COMPLETED, FIRST_COMPLETED or FIRST_EXCEPTION", &at);
	return true;
}

void
req_wait(struct request *r)
{
	struct waiting *w = calloc(1, sizeof *w);

	if (!w) {
		request_no_memory(r);
		return;
	}
	w->watcher.notify = on_final;
	if (!param_ids(r, &w->ids) || !read_when(r, &w->when) || !param_timeout(r, &w->timeout_us) || !request_ids(r, &w->ids, IDS_SEE)) {
		waiting_free(w);
		return;
	}
	if (!ids_unique(&w->ids)) {
		waiting_free(w);
		request_no_memory(r);
		return;
	}
	if (!request_pend(r, &w->pending, on_abandon)) {
		waiting_free(w);
		return;
	}
	run(&w->item);
}

/* ---- watch, unwatch ---- */

static bool
read_result(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	if (key_is(key, len, "result"))
		return option_bool(r, "result", value, arg);
	return option_unknown(r, key, len);
}

static bool
visit_watch(struct walk *w, struct conn *c, uint64_t id, struct future *f)
{
	bool added;

	if (f && !future_is_final(f)) {
		w->out.failed |= !watch_add(&c->watcher, f, w->a, &added);
		return !w->out.failed;
	}
	pack_uint(&w->out, id);
	w->count++;
	return true;
}

/* The count is known only now: it goes in front. */
static void
finish_watch(struct walk *w)
{
	struct buf whole;

	buf_init(&whole);
	pack_map(&whole, 1);
	pack_key(&whole, "done");
	pack_array(&whole, (size_t)w->count);
	buf_append(&whole, w->out.data, w->out.len);
	whole.failed |= w->out.failed;
	buf_clear(&w->out);
	w->out = whole;
}

void
req_watch(struct request *r)
{
	struct walk w = { .visit = visit_watch, .finish = finish_watch };
	bool result = false;

	if (!param_ids(r, &w.ids))
		return;
	if (!options_read(r, read_result, &result)) {
		ids_clear(&w.ids);
		return;
	}
	if (!request_ids(r, &w.ids, IDS_SEE))
		return;
	if (!ids_unique(&w.ids)) {
		ids_clear(&w.ids);
		request_no_memory(r);
		return;
	}
	w.a = result;
	walk_begin(r, &w);
}

static bool
visit_unwatch(struct walk *w, struct conn *c, uint64_t id, struct future *f)
{
	(void)w, (void)f;
	watch_remove(&c->watcher, id);
	return true;
}

static void
finish_nil(struct walk *w)
{
	pack_nil(&w->out);
}

void
req_unwatch(struct request *r)
{
	struct walk w = { .visit = visit_unwatch, .finish = finish_nil };

	if (param_ids(r, &w.ids) && request_ids(r, &w.ids, IDS_SEE))
		walk_begin(r, &w);
}

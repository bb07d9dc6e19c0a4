/* submit, map, call, retry: how futures come to be.
 *
 * read ─► a key that is known answers at once ─► may the pool take it? (else an error, or blocked until there is room) ─► made, to be had, placed
 * A map goes through mapping.c, in slices. A blocked request is kept as the bytes it came in, and handled again when there is room. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/acceptance.h"
#include "daemon/access.h"
#include "daemon/await.h"
#include "daemon/bound.h"
#include "daemon/commit.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/gate.h"
#include "daemon/handlers.h"
#include "daemon/key.h"
#include "daemon/mapping.h"
#include "daemon/notices.h"
#include "daemon/options.h"
#include "daemon/output.h"
#include "daemon/pool.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/server.h"
#include "daemon/store.h"
#include "daemon/submission.h"
#include "proto/pack.h"

enum { TAKEN_FROM = 65536 }; /* bytes of arguments that are worth not copying */

/* A request that waits for room in its pool's queue. */
struct blocked {
	struct pending pending;
	struct pool_waiter waiter;
	struct pool *pool;   /* counted */
	struct owner *owner; /* counted; whose other futures are in the way. NULL: it is the pool that is full */
	uint64_t wanted;     /* places in the queue */
	struct owner *charged; /* counted; whose bytes the frame is */
	struct buf frame;
};

/* ---- whether the pool may take more ---- */

static bool
is_open_for_submits(struct request *r, const struct pool *p)
{
	if (server_is_ending() || p->closed || p->draining) {
		if (server_is_ending())
			request_fail(r, STATUS_SHUTDOWN, 0, "cannot schedule new futures after shutdown: the daemon is ending");
		else
			request_fail(r, STATUS_SHUTDOWN, 0, "cannot schedule new futures after shutdown: pool %s %s", p->name,
			    p->closed ? "was closed" : "is being drained, and takes none until that is over");
		return false;
	}
	if (bytes_len(&p->broken)) {
		answer_error(r->conn, r->msgid, p->broken);
		return false;
	}
	return true;
}

/* Its frame counts as bytes held, and as those of who sent it, while it waits. */
static void
charge(struct blocked *b, struct owner *o)
{
	b->charged = owner_hold(o);
	o->bytes += b->frame.len;
	bytes_account((int64_t)b->frame.len);
}

static void
uncharge(struct blocked *b)
{
	if (!b->charged)
		return;
	b->charged->bytes -= b->frame.len;
	bytes_account(-(int64_t)b->frame.len);
	owner_drop(b->charged);
	b->charged = NULL;
}

static void
blocked_free(struct blocked *b)
{
	uncharge(b);
	pool_drop(b->pool);
	owner_drop(b->owner);
	buf_clear(&b->frame);
	free(b);
}

/* Not blocked any more by what it waited for, if only because it is to be refused. One that waits for its owner's bound is told of a pool
 * when that takes no more: then it is not its turn yet. */
static bool
is_over(const struct blocked *b, const struct pool *told)
{
	const struct pool *p = b->pool;

	if (p->closed || p->draining || p->gone || server_is_ending())
		return true;
	if (!b->owner)
		return pool_has_room(b->pool, b->wanted);
	return !told && quota_has_room(b->owner, b->wanted);
}

static bool
on_room(struct pool_waiter *w, struct pool *p)
{
	struct blocked *b = container(w, struct blocked, waiter);
	struct conn *c = conn_find(b->pending.conn_id);
	struct pool_waiter **room = b->owner ? &b->owner->room : &b->pool->room, *others = *room;

	if (!is_over(b, p))
		return false;
	conn_unpend(&b->pending);
	*room = NULL; /* it is its turn: those behind it are not in its way */
	uncharge(b);
	request_handle(c, b->frame.data, b->frame.len);
	conn_note_wait(c);
	DL_CONCAT(others, *room);
	*room = others;
	blocked_free(b);
	return true;
}

static void
on_abandon(struct pending *pending)
{
	struct blocked *b = container(pending, struct blocked, pending);
	if (b->owner)
		quota_unwait_room(b->owner, &b->waiter);
	else
		pool_unwait_room(b->pool, &b->waiter);
	blocked_free(b);
}

/* Says so if not. What was read of the request is given back while it waits. */
static bool
may_be_kept(struct request *r, const struct spec *spec)
{
	const struct owner *o = spec->owner;
	uint64_t more = r->frame_len > spec->charged ? r->frame_len - spec->charged : 0;

	if (r->conn->role == ROLE_ADMIN || quota_has_bytes(o, more))
		return true;
	request_fail(r, STATUS_LIMIT, 0, "limits.user.bytes: %s has %llu bytes of arguments and results of at most %llu; a submit of %zu that waits does not fit",
	    o->name, (unsigned long long)o->bytes, (unsigned long long)quota_bytes(), r->frame_len);
	return false;
}

/* Until its pool, or (not NULL) its owner's bound, has room. */
static void
block(struct request *r, const struct spec *spec, struct owner *o, uint64_t count)
{
	struct pool *p = spec->pool;
	struct blocked *b;

	if (!may_be_kept(r, spec))
		return;
	b = calloc(1, sizeof *b);
	if (!b || !buf_append(&b->frame, r->frame, r->frame_len)) {
		free(b);
		request_no_memory(r);
		return;
	}
	b->pool = pool_hold(p);
	b->wanted = count;
	b->waiter.wake = on_room;
	if (!request_pend(r, &b->pending, on_abandon)) {
		blocked_free(b);
		return;
	}
	charge(b, r->conn->owner);
	if (!o) {
		pool_wait_room(p, &b->waiter, r->conn->owner);
		return;
	}
	b->owner = owner_hold(o);
	quota_wait_room(o, &b->waiter);
}

/* Whether the owner may have so many more. False: answered, or (`may_wait`) waiting for room. */
static bool
is_within_quota(struct request *r, const struct spec *spec, uint64_t count, uint64_t bytes, bool may_wait)
{
	struct owner *o = spec->owner;

	if (r->conn->role == ROLE_ADMIN)
		return true;
	if (!quota_has_bytes(o, bytes)) {
		request_fail(r, STATUS_LIMIT, 0, "limits.user.bytes: %s has %llu bytes of arguments and results of at most %llu; %llu more do not fit", o->name,
		    (unsigned long long)o->bytes, (unsigned long long)quota_bytes(), (unsigned long long)bytes);
		return false;
	}
	if (quota_has_room(o, count) && !(may_wait && o->room))
		return true;
	if (may_wait && count <= quota_pending()) {
		block(r, spec, o, count);
		return false;
	}
	request_fail(r, STATUS_LIMIT, 0, "limits.user.pending: %s has %llu pending futures of at most %llu; %llu more do not fit", o->name,
	    (unsigned long long)(o->totals.states[FUTURE_PENDING] + o->coming), (unsigned long long)quota_pending(), (unsigned long long)count);
	return false;
}

static bool
can_be_stored(struct request *r)
{
	if (commit_is_failing())
		request_fail(r, STATUS_STORE, 0, "the store cannot be written (%s): nothing is accepted until it can", store_counts().failing);
	return !commit_is_failing();
}

/* False: answered, or waiting for room. */
static bool
may_enter(struct request *r, const struct spec *spec, uint64_t count, uint64_t bytes)
{
	struct pool *p = spec->pool;

	if (!is_open_for_submits(r, p) || !is_within_quota(r, spec, count, bytes, spec->block) || !can_be_stored(r))
		return false;
	if (pool_has_room(p, count) && !p->room)
		return true;
	if (spec->block && count <= p->config->queue) {
		block(r, spec, NULL, count);
		return false;
	}
	request_fail(r, STATUS_QUEUE_FULL, 0, "pool %s: its queue holds %llu of at most %llu pending futures; %llu more do not fit%s", p->name,
	    (unsigned long long)p->states[FUTURE_PENDING], (unsigned long long)p->config->queue, (unsigned long long)count,
	    count <= p->config->queue ? ": with `block` it waits for room" : "");
	return false;
}

/* ---- one future ---- */

/* The arguments, out of the frame; large ones take the frame's memory along, and everything that points into it stays good. Those of a retry are
 * another future's. */
static bool
take_args(const struct request *r, const struct submission *s, struct bytes *args)
{
	bool in_frame = (uintptr_t)s->args >= (uintptr_t)r->frame && (uintptr_t)s->args < (uintptr_t)r->frame + r->frame_len;

	if (s->args_len <= TAKEN_FROM || !in_frame)
		return bytes_copy(args, s->args, s->args_len);
	struct block *block = stream_take_frame(&r->conn->stream, r->frame, r->frame_len);
	if (!block)
		return false;
	*args = bytes_slice(block, (size_t)(s->args - r->frame), s->args_len);
	block_drop(block);
	return true;
}

/* Makes one future and puts it where it belongs. NULL: answered already. */
static struct future *
accept_one(struct request *r, struct submission *s, const struct arguments *a)
{
	struct bytes args;
	struct gate *gate = NULL;
	struct store_origin origin;
	uint64_t id = registry_reserve(1);
	struct future *f = registry_make(id);

	if (!f || !take_args(r, s, &args)) {
		if (f) {
			f->id = id;
			registry_free(f);
		}
		request_no_memory(r);
		return NULL;
	}
	future_init(f, id, s->spec, args);
	bool good = submission_prepare(f, s, a);
	if (good && s->after && !(f->more && f->more->own_gate))
		good = (gate = gate_new(s->after, s->after_count, false)) != NULL;
	if (good && s->key)
		good = future_more(f) && (f->more->key = key_new(r->conn->owner, s->key, s->key_len, 1));
	if (good && s->key)
		key_ready(f->more->key, id);
	if (good && s->spec->bound_to && s->kind != SUBMISSION_CALL)
		good = bound_add(r->conn, id, 1);
	good = good && store_origin_init(&origin, s->spec, s->after, s->after_count, s->key, s->key_len);
	if (!good) {
		future_discard(f);
		request_no_memory(r);
		return NULL;
	}
	registry_show(id, 1);
	s->made = true;
	store_ids(registry_next());
	store_accept(f, 1, &origin);
	future_announce(f);
	submission_place(f, gate);
	if (gate)
		gate_filled(gate);
	return f;
}

static void
watch_it(struct conn *c, struct future *f)
{
	bool added;

	if (future_is_final(f))
		notices_tell_done(c, f, true);
	else if (!watch_add(&c->watcher, f, true, &added)) /* it would never be told */
		conn_give_up(c);
}

/* A map that a key stood for, watched over turns. */
struct watching {
	struct turn_item item;
	uint64_t conn_id;
	uint64_t at, end; /* ids */
};

static void
watch_slice(struct turn_item *item)
{
	struct watching *w = container(item, struct watching, item);
	struct conn *c;

	while ((c = conn_find(w->conn_id)) && turn_budget() && w->at < w->end) {
		struct future *f = registry_find(w->at++);
		turn_count(1, 0);
		if (f)
			watch_it(c, f);
	}
	if (c)
		conn_note_wait(c);
	if (c && w->at < w->end)
		turn_schedule(TURN_WORK, &w->item, watch_slice);
	else
		free(w);
}

static void
watch_run(struct conn *c, uint64_t first, uint64_t count)
{
	struct watching *w = calloc(1, sizeof *w);

	if (!w) {
		conn_give_up(c); /* it would never be told */
		return;
	}
	*w = (struct watching){ .conn_id = c->id, .at = first, .end = first + count };
	watch_slice(&w->item);
}

/* A request whose key stands for a map that is still being made: handled again when that is to be had. */
struct postponed {
	struct pending pending;
	struct turn_item item;
	struct buf frame;
};

static void
postponed_free(struct postponed *p)
{
	turn_unschedule(&p->item);
	buf_clear(&p->frame);
	free(p);
}

static void
on_again(struct turn_item *item)
{
	struct postponed *p = container(item, struct postponed, item);
	struct conn *c = conn_find(p->pending.conn_id);

	conn_unpend(&p->pending);
	request_handle(c, p->frame.data, p->frame.len);
	conn_note_wait(c);
	postponed_free(p);
}

static void
on_postponed_abandon(struct pending *pending)
{
	postponed_free(container(pending, struct postponed, pending));
}

/* True if the key is not ready: the request waits a turn (or has been answered with an error). */
static bool
postpone(struct request *r, const struct submission *s)
{
	struct keyed *k = s->key ? key_find(r->conn->owner, s->key, s->key_len) : NULL;
	struct postponed *p;

	if (!k || key_is_ready(k))
		return false;
	p = calloc(1, sizeof *p);
	if (!p || !buf_append(&p->frame, r->frame, r->frame_len)) {
		free(p);
		request_no_memory(r);
	} else if (request_pend(r, &p->pending, on_postponed_abandon)) {
		turn_schedule(TURN_WORK, &p->item, on_again);
	} else {
		postponed_free(p);
	}
	return true;
}

/* The future that a known key stands for; NULL if it is not known. */
static struct future *
find_by_key(const struct request *r, const struct submission *s)
{
	uint64_t first, count;
	struct keyed *k = s->key ? key_find(r->conn->owner, s->key, s->key_len) : NULL;

	if (!k)
		return NULL;
	key_run(k, &first, &count);
	uint64_t known = registry_after(first);
	return known && known < first + count ? registry_find(known) : NULL;
}

static struct future *
refuse_full(struct request *r)
{
	if (block_total() > server_config()->limit_memory)
		request_fail(r, STATUS_QUEUE_FULL, 0, "limits.memory: futures hold %llu bytes, and may hold %llu; nothing that is finished and seen is left to forget",
		    (unsigned long long)block_total(), (unsigned long long)server_config()->limit_memory);
	else
		request_fail(r, STATUS_STORE, 0, "limits.store: the store has %llu bytes, and may have %llu; nothing that is finished and seen is left to forget",
		    (unsigned long long)(store_held() + output_spilled()), (unsigned long long)server_config()->limit_store);
	return NULL;
}

/* May forget finished futures: before any is named. */
static bool
is_full(struct request *r)
{
	if (r->conn->role != ROLE_ADMIN)
		quota_make_bytes(r->conn->owner, r->frame_len);
	return server_is_full();
}

/* What submit and call do: read, and find or make the future. NULL: answered already. */
static struct future *
submit_one(struct request *r, struct submission *s)
{
	struct arguments a;
	struct future *f;

	bool full = is_full(r);
	if (!submission_read(r, s->kind, s))
		return NULL;
	if (postpone(r, s))
		return NULL;
	if ((f = find_by_key(r, s)))
		return f;
	if (full)
		return refuse_full(r);
	if (!arguments_check(r, s->spec->pool, "args", s->args, s->args_len, &a))
		return NULL;
	f = may_enter(r, s->spec, 1, s->args_len) ? accept_one(r, s, &a) : NULL;
	arguments_clear(&a);
	turn_count(1, 0);
	return f;
}

/* What was made for a request that is refused after all: none of it has begun. */
static void
take_back(uint64_t first, uint64_t count)
{
	for (uint64_t id = first; id < first + count; id++) {
		struct future *f = registry_find(id);
		if (!f)
			continue;
		future_release(f);
		bound_cancel(f);
	}
}

void
req_submit(struct request *r)
{
	struct submission s = { .kind = SUBMISSION_ONE };
	struct future *f = submit_one(r, &s);

	if (f) {
		if (f->spec->bound_to) /* which is not stored */
			pack_uint(request_result(r), f->id);
		else
			acceptance_answer(r->conn, &(struct acceptance){ .msgid = r->msgid, .shape = ACCEPTANCE_ID, .first = f->id, .count = 1, .made = s.made });
		if (s.spec->watch)
			watch_it(r->conn, f);
	}
	submission_clear(&s);
}

void
req_call(struct request *r)
{
	struct submission s = { .kind = SUBMISSION_CALL };
	struct future *f = submit_one(r, &s);
	struct await how = { .timeout_us = UINT64_MAX };

	if (f) {
		how.release = !s.key;
		how.cancel = !s.key && s.spec->bound_to;
		uint64_t id = f->id;
		if (s.made && f->stored)
			acceptance_note(id);
		if (s.spec->watch)
			watch_it(r->conn, f);
		if (!await_future(r, f, &how) && s.made) {
			watch_remove(&r->conn->watcher, id);
			take_back(id, 1);
		}
	}
	submission_clear(&s);
}

void
req_map(struct request *r)
{
	struct submission s;
	uint64_t first, count;
	struct keyed *k;
	struct reader args;
	uint32_t elements;
	bool full = is_full(r);

	if (!submission_read(r, SUBMISSION_MAP, &s)) {
		submission_clear(&s);
		return;
	}
	if (postpone(r, &s)) {
		submission_clear(&s);
		return;
	}
	reader_init(&args, s.args, s.args_len);
	read_array(&args, &elements);
	k = s.key ? key_find(r->conn->owner, s.key, s.key_len) : NULL;
	if (k) {
		key_run(k, &first, &count);
		acceptance_answer(r->conn, &(struct acceptance){ .msgid = r->msgid, .shape = ACCEPTANCE_RUN, .first = first, .count = count });
		if (s.spec->watch)
			watch_run(r->conn, first, count);
	} else if (elements == 0) {
		if (is_open_for_submits(r, s.spec->pool)) {
			struct buf *b = request_result(r);
			pack_array(b, 2);
			pack_uint(b, registry_next());
			pack_uint(b, 0);
		}
	} else if (full) {
		refuse_full(r);
	} else if (may_enter(r, s.spec, elements, s.args_len)) {
		mapping_begin(r, &s);
	}
	submission_clear(&s);
}

/* ---- retry: the same tasks accepted again ---- */

/* Whether its pool is there, open, and has room, and what it refers to can be had; says so if not. */
static bool
may_run_again(struct request *r, const struct future *f)
{
	struct pool *p = f->spec->pool;
	struct arguments refs;

	if (!future_is_final(f)) {
		request_fail(r, STATUS_INVALID_STATE, f->id, "future %llu is %s: only a finished or cancelled one can be retried",
		    (unsigned long long)f->id, future_state_name((enum future_state)f->state));
		return false;
	}
	if (!request_may_use(r, p))
		return false;
	if (p->gone) {
		request_fail(r, STATUS_UNKNOWN_POOL, f->id, "there is no pool '%s' any more", p->name);
		return false;
	}
	if (f->spec->stdin_kind == SPEC_STDIN_OPEN) {
		request_fail(r, STATUS_INVALID_STATE, f->id, "future %llu was fed its stdin, which is gone: submit it again", (unsigned long long)f->id);
		return false;
	}
	if (f->spec->stdin_kind == SPEC_STDIN_FUTURE && !access_find(r->conn, f->spec->stdin_future))
		return request_no_future(r, f->spec->stdin_future);
	if (!is_open_for_submits(r, p) || !arguments_check(r, p, "args", bytes_data(&f->args), bytes_len(&f->args), &refs))
		return false;
	arguments_clear(&refs);
	if (pool_has_room(p, 1) && !p->room)
		return true;
	request_fail(r, STATUS_QUEUE_FULL, f->id, "pool %s: its queue is full", p->name);
	return false;
}

/* All of them, or none; says so if not. Each takes a place in its pool's queue while those behind it are looked at. */
static bool
may_all_run_again(struct request *r, struct ids *ids)
{
	const struct future *f = NULL;
	uint64_t id, bytes = 0, placed = 0;
	bool good = true;

	while (good && ids_next(ids, &id)) {
		f = registry_find(id);
		if (!(good = may_run_again(r, f)))
			break;
		bytes += bytes_len(&f->args);
		f->spec->pool->coming++;
		placed++;
	}
	ids_rewind(ids);
	while (placed-- && ids_next(ids, &id))
		registry_find(id)->spec->pool->coming--;
	ids_rewind(ids);
	return good && (!f || is_within_quota(r, f->spec, ids->total, bytes, false)) && can_be_stored(r);
}

/* NULL: answered already. */
static struct future *
run_again(struct request *r, const struct future *f)
{
	struct submission s = { .kind = SUBMISSION_ONE, .args = bytes_data(&f->args), .args_len = bytes_len(&f->args) };
	struct arguments refs;
	struct future *again = NULL;

	if (!(s.spec = spec_unbound(f->spec))) {
		request_no_memory(r);
		return NULL;
	}
	bool renewed = s.spec->settings == s.spec->pool->settings || options_renew(r, &s);
	if (renewed && arguments_check(r, s.spec->pool, "args", s.args, s.args_len, &refs)) {
		again = accept_one(r, &s, &refs);
		arguments_clear(&refs);
	}
	submission_clear(&s);
	return again;
}

void
req_retry(struct request *r)
{
	enum { RETRIES_AT_ONCE = 10000 };
	struct ids ids;
	uint64_t id, first = registry_next(), made = 0;
	bool full = is_full(r), good = true;

	if (!param_ids(r, &ids) || !request_ids(r, &ids, IDS_CHANGE))
		return;
	if (!ids_unique(&ids)) {
		ids_clear(&ids);
		request_no_memory(r);
		return;
	}
	if (ids.total > RETRIES_AT_ONCE) {
		request_fail(r, STATUS_VALUE, 0, "retry: ids: expected at most %d, got %llu", RETRIES_AT_ONCE, (unsigned long long)ids.total);
		good = false;
	}
	good = good && may_all_run_again(r, &ids);
	if (good && full && ids.total) {
		refuse_full(r);
		good = false;
	}
	while (good && ids_next(&ids, &id)) {
		good = run_again(r, registry_find(id)) != NULL;
		made += good;
		turn_count(1, 0);
	}
	if (good) /* they were made in one breath, so their ids are a run */
		acceptance_answer(r->conn, &(struct acceptance){ .msgid = r->msgid, .shape = ACCEPTANCE_IDS, .made = true, .first = first, .count = made });
	else if (made) /* all or none */
		take_back(first, made);
	ids_clear(&ids);
}

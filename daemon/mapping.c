/* check every element ─► make the futures, hidden ─► (one step) they are to be had, the answer is said ─► place them: a plain map's list goes into the
 * queue in that same step, to the place that it was given when making began; with a delay, references or `after` each is placed in slices.
 * What goes wrong: a bad element is answered and nothing was made; the connection ends before the one step: the hidden ones are discarded. */
#include "daemon/mapping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/acceptance.h"
#include "daemon/bound.h"
#include "daemon/clock.h"
#include "daemon/closing.h"
#include "daemon/container.h"
#include "daemon/events.h"
#include "daemon/gate.h"
#include "daemon/key.h"
#include "daemon/notices.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/store.h"
#include "proto/pack.h"

enum { CHECKED_PER_SLICE = 20000 };

enum phase { CHECKING, MAKING, PLACING, DISCARDING };

struct mapping {
	enum phase phase;
	struct pending pending;
	bool pended;
	struct turn_item item;
	struct submission s;   /* its args and key point into the block */
	struct block *block;   /* the whole frame */
	struct reader rest;    /* elements not yet looked at */
	uint32_t count, at;
	size_t elements, elements_len; /* the argument arrays, in the block */
	uint64_t first, order; /* of the first one */
	uint64_t submitted_us; /* of all of them */
	struct future_list made;
	bool plain;            /* goes straight into the queue */
	bool any_refs;
	struct gate *gate;
	struct keyed *key;     /* NULL: none */
	uint32_t key_left;     /* counts of it that no future holds yet */
	uint64_t conn_id;
	uint64_t coming, coming_bytes; /* futures not made yet, which count as pending already, and their arguments */
};

static void step_item(struct turn_item *item);

/* So many that were to come are there, or never will be. */
static void
come(struct mapping *m, uint64_t futures, uint64_t bytes)
{
	struct spec *spec = m->s.spec;

	m->coming -= futures;
	m->coming_bytes -= bytes;
	spec->pool->coming -= futures;
	spec->owner->coming -= futures;
	spec->owner->bytes -= bytes;
}

/* What was not made is not to come any more, and what was made may have been discarded: whoever waits for that looks again. */
static void
stop_coming(struct mapping *m)
{
	struct pool *p = m->s.spec->pool;
	struct owner *o = m->s.spec->owner;

	come(m, m->coming, m->coming_bytes);
	if (p->room || p->quiet)
		pool_settle(p);
	if (o->room)
		quota_settle(o);
}

static void
mapping_free(struct mapping *m)
{
	struct conn *c = conn_find(m->conn_id);
	if (m->pended) {
		conn_unpend(&m->pending);
		if (c && !--c->holding)
			notices_wake(c);
	}
	turn_unschedule(&m->item);
	while (m->key && m->key_left--)
		key_drop(m->key);
	if (m->s.spec)
		stop_coming(m);
	submission_clear(&m->s);
	block_drop(m->block);
	free(m);
}

static void
rewind_elements(struct mapping *m)
{
	uint32_t count;
	reader_init(&m->rest, m->s.args, m->s.args_len);
	read_array(&m->rest, &count);
	m->at = 0;
	m->elements = (size_t)(m->rest.at - block_data(m->block));
	m->elements_len = (size_t)(m->rest.end - m->rest.at);
}

/* A request to answer errors with, as if it had just come. */
static struct request
as_request(struct mapping *m)
{
	static const struct method map = { .name = "map" };
	return (struct request){ .conn = conn_find(m->conn_id), .msgid = m->pending.msgid, .method = &map };
}

static bool
check_element(struct mapping *m)
{
	struct request r = as_request(m);
	struct arguments a;
	const uint8_t *raw;
	size_t len;
	char name[32];

	snprintf(name, sizeof name, "args[%u]", m->at);
	if (reader_peek(&m->rest) != READER_ARRAY)
		return option_wrong(&r, name, "an array: one task's arguments", &m->rest);
	read_raw(&m->rest, &raw, &len);
	if (!arguments_check(&r, m->s.spec->pool, name, raw, len, &a))
		return false;
	m->any_refs |= a.count != 0;
	arguments_clear(&a);
	return true;
}

/* A slice of checking: false when an element was wrong (answered). */
static bool
check(struct mapping *m)
{
	for (unsigned n = 0; m->at < m->count && n < CHECKED_PER_SLICE; n++, m->at++)
		if (!check_element(m))
			return false;
	return true;
}

static void
start_discarding(struct mapping *m)
{
	m->phase = DISCARDING;
}

/* False: there is no memory for it, or (discarding then) it was refused. */
static bool
make_one(struct mapping *m)
{
	uint64_t id = m->first + m->at;
	struct request r = as_request(m);
	struct arguments a = { .count = 0 };
	const uint8_t *raw;
	size_t len;
	struct future *f = registry_make(id);

	if (!f)
		return false;
	read_raw(&m->rest, &raw, &len);
	future_init(f, id, m->s.spec, bytes_slice(m->block, (size_t)(raw - block_data(m->block)), len));
	f->submitted_us = m->submitted_us;
	come(m, 1, len);
	TAILQ_INSERT_TAIL(&m->made, f, link);
	if (m->any_refs && !arguments_check(&r, m->s.spec->pool, "args", raw, len, &a)) {
		start_discarding(m); /* what it refers to has gone in between; answered */
		return false;
	}
	bool good = submission_prepare(f, &m->s, &a);
	if (good && m->key && (good = future_more(f) != NULL)) {
		f->more->key = m->key;
		m->key_left--;
	}
	arguments_clear(&a);
	f->order = m->order + m->at;
	f->place = m->plain ? PLACE_QUEUE : PLACE_NONE;
	m->at++;
	turn_count(1, 0);
	return good;
}

/* The futures exist for everybody from here on. */
static bool
show(struct mapping *m)
{
	struct conn *c = conn_find(m->conn_id);
	struct spec *spec = m->s.spec;
	struct store_origin origin;

	if (spec->bound_to && !bound_add(c, m->first, m->count))
		return false;
	if (!store_origin_init(&origin, spec, m->s.after, m->s.after_count, m->s.key, m->s.key_len))
		return false;
	if ((m->s.after_count && !(m->gate = gate_new(m->s.after, m->s.after_count, false))) || /* then it is not plain: */
	    (m->plain && !queue_push_list(spec->pool->queue, &m->made, m->count))) {
		store_origin_clear(&origin);
		return false;
	}
	struct bytes elements = bytes_slice(m->block, m->elements, m->elements_len);
	registry_show(m->first, m->count);
	store_ids(registry_next());
	if (m->key)
		key_ready(m->key, m->first);
	origin.elements = elements;
	store_accept(registry_find(m->first), m->count, &origin);
	bytes_drop(&elements);
	if (spec->bound_to) {
		struct buf *b = answer_result(c, m->pending.msgid);
		pack_array(b, 2);
		pack_uint(b, m->first);
		pack_uint(b, m->count);
	} else {
		acceptance_answer(c, &(struct acceptance){ .msgid = m->pending.msgid, .shape = ACCEPTANCE_RUN, .first = m->first, .count = m->count,
		    .made = true });
	}
	pool_wake(spec->pool);
	if (spec->pool->cancelling)
		closing_cancel_pending(spec->pool);
	return true;
}

static void
place_one(struct mapping *m, struct future *f)
{
	struct conn *c = conn_find(m->conn_id);
	bool added;

	if (f->state == FUTURE_PENDING && f->place != PLACE_SLOT)
		future_announce(f);
	if (m->s.spec->watch && c) {
		if (future_is_final(f))
			notices_tell_done(c, f, true);
		else if (!watch_add(&c->watcher, f, true, &added))
			conn_give_up(c); /* it would never be told */
	}
	if (!m->plain && !future_is_final(f))
		submission_place(f, m->gate);
	else if (!future_is_final(f))
		future_set_timer(f);
}

/* A slice of placing; true when all are placed. */
static bool
place(struct mapping *m)
{
	while (m->at < m->count && turn_budget()) {
		struct future *f = registry_find(m->first + m->at++);
		turn_count(1, 0);
		if (f)
			place_one(m, f);
	}
	if (m->at < m->count)
		return false;
	if (m->gate)
		gate_filled(m->gate);
	return true;
}

static bool
discard(struct mapping *m)
{
	struct future *f;
	while (turn_budget() && (f = TAILQ_FIRST(&m->made))) {
		TAILQ_REMOVE(&m->made, f, link);
		f->place = PLACE_NONE;
		future_discard(f);
		turn_count(1, 0);
	}
	return TAILQ_EMPTY(&m->made);
}

static void
fail(struct mapping *m)
{
	struct conn *c = conn_find(m->conn_id);
	answer_fail(c, m->pending.msgid, STATUS_LIMIT, 0, "map: the daemon is out of memory");
	start_discarding(m);
}

static void
make(struct mapping *m)
{
	while (m->at < m->count && turn_budget()) {
		if (!make_one(m)) {
			if (m->phase == MAKING)
				fail(m);
			return;
		}
	}
	if (m->at < m->count)
		return;
	if (!show(m)) {
		fail(m);
		return;
	}
	m->phase = PLACING;
	m->at = m->plain && m->s.spec->deadline_us == UINT64_MAX && !m->s.spec->watch && !events_wanted() ? m->count : 0;
}

/* From here on the key stands for the run: another request with it waits until the run is to be had. */
static bool
take_key(struct mapping *m)
{
	struct conn *c = conn_find(m->conn_id);

	if (!m->s.key)
		return true;
	m->key = key_new(c->owner, m->s.key, m->s.key_len, m->count);
	m->key_left = m->key ? m->count : 0;
	return m->key != NULL;
}

/* One slice. True when the map is over and m is freed. */
static bool
step(struct mapping *m)
{
	bool over = false;

	switch (m->phase) {
	case CHECKING:
		if (!check(m)) {
			over = true;
			break;
		}
		if (m->at < m->count)
			break;
		rewind_elements(m);
		m->plain &= !m->any_refs;
		m->first = registry_reserve(m->count);
		if (m->plain) /* the others are given theirs when they are ready */
			m->order = queue_order(m->s.spec->pool->queue, m->count);
		m->submitted_us = clock_now();
		m->phase = MAKING;
		make(m);
		over = m->phase == PLACING && place(m);
		break;
	case MAKING:
		make(m);
		over = m->phase == PLACING && place(m);
		break;
	case PLACING:
		over = place(m);
		break;
	case DISCARDING:
		over = discard(m);
		break;
	}
	if (over)
		mapping_free(m);
	return over;
}

static void
step_item(struct turn_item *item)
{
	struct mapping *m = container(item, struct mapping, item);
	if (!step(m))
		turn_schedule(TURN_WORK, &m->item, step_item);
}

static void
on_abandon(struct pending *p)
{
	struct mapping *m = container(p, struct mapping, pending);

	m->pended = false;
	if (m->phase == CHECKING)
		m->count = m->at; /* nothing was made */
	if (m->phase != PLACING)
		start_discarding(m);
}

void
mapping_begin(struct request *r, struct submission *s)
{
	struct mapping *m = calloc(1, sizeof *m);
	const struct spec *spec = s->spec;
	ptrdiff_t args = s->args - r->frame, key = s->key ? (const uint8_t *)s->key - r->frame : 0;

	if (m)
		m->block = stream_take_frame(&r->conn->stream, r->frame, r->frame_len);
	if (!m || !m->block) {
		free(m);
		request_no_memory(r);
		return;
	}
	TAILQ_INIT(&m->made);
	m->conn_id = r->conn->id;
	m->s = *s;
	*s = (struct submission){ .spec = NULL };
	m->s.args = block_data(m->block) + args;
	if (m->s.key)
		m->s.key = (const char *)block_data(m->block) + key;
	rewind_elements(m);
	uint32_t count;
	struct reader head;
	reader_init(&head, m->s.args, m->s.args_len);
	read_array(&head, &count);
	m->count = count;
	m->coming = count;
	m->coming_bytes = m->s.args_len;
	m->s.spec->pool->coming += count;
	m->s.spec->owner->coming += count;
	m->s.spec->owner->bytes += m->coming_bytes;
	m->plain = !spec->delay_us && spec->stdin_kind != SPEC_STDIN_FUTURE && !m->s.after_count;
	if (!request_pend(r, &m->pending, on_abandon)) {
		mapping_free(m);
		return;
	}
	m->pended = true;
	r->conn->holding++;
	if (!take_key(m))
		fail(m);
	if (!step(m))
		turn_schedule(TURN_WORK, &m->item, step_item);
}

/* A frame comes ─► request_handle ─► answers are said, futures change ─► (TURN_NOTIFY) notifications are made as there is room ─► (TURN_FLUSH) one
 * write. The end: end of file or a protocol error ─► pending calls are abandoned, watches end, bound futures are cancelled over turns ─► freed. */
#include "daemon/conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/access.h"
#include "daemon/bound.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/events.h"
#include "daemon/follow.h"
#include "daemon/input.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/request.h"
#include "daemon/spec.h"
#include "daemon/workers.h"
#include "proto/message.h"
#include "proto/pack.h"

enum {
	NOTIFY_ROOM = 256 * 1024,      /* notifications are made while less than this is queued */
	NOTIFY_BYTES = 1024 * 1024,    /* … and at most this much per connection and turn */
	STALLED_SECONDS = 30,          /* a peer that takes nothing for so long, with output waiting, is cut off */
};

static bool on_frame(struct stream *st, const uint8_t *bytes, size_t len);
static bool on_partial(struct stream *st, const uint8_t *bytes, size_t len);
static void on_end(struct stream *st, enum stream_end how, enum frame_verdict verdict);
static void on_written(struct stream *st);
static void on_notify(struct turn_item *item);
static void on_done(struct watcher *w, struct future *f, bool want);
static void on_progress(struct watcher *w, const struct future *f, const uint8_t *values, size_t len);
static void on_patrol(struct timer *t);
static void on_linger(struct timer *t);

static const struct stream_ops ops = { .on_frame = on_frame, .on_partial = on_partial, .on_end = on_end, .on_written = on_written };
static struct conn *conns;
static struct conn **table; /* by id % table_size: see conn_find */
static uint64_t table_size, next_id = 1;
static unsigned count;
static uint64_t max_message = 64u << 20, max_conns = 4096, max_requests = 100000, max_queued = 64u << 20;
static struct timer patrol;

void
conn_set_limits(uint64_t message, uint64_t connections, uint64_t requests, uint64_t queued)
{
	max_message = message;
	max_conns = connections;
	max_requests = requests;
	max_queued = queued;
}

uint64_t
conn_message_limit(void)
{
	return max_message;
}

unsigned
conn_count(void)
{
	return count;
}

struct conn *
conn_first(void)
{
	return conns;
}

struct conn *
conn_find(uint64_t id)
{
	struct conn *c = table_size ? table[id % table_size] : NULL;
	return c && c->id == id ? c : NULL;
}

/* An id whose place in the table is free; ids are never given twice. */
static bool
give_id(struct conn *c)
{
	if (count >= table_size / 2) {
		uint64_t size = table_size ? table_size * 2 : 256;
		struct conn **bigger = calloc(size, sizeof *bigger), *other;
		if (!bigger)
			return false;
		DL_FOREACH(conns, other) /* places stay distinct when the size doubles */
			bigger[other->id % size] = other;
		free(table);
		table = bigger;
		table_size = size;
	}
	while (table[next_id % table_size])
		next_id++;
	c->id = next_id++;
	table[c->id % table_size] = c;
	return true;
}

bool
conn_new(int fd, uid_t uid)
{
	struct conn *c = count < max_conns ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		log_warn("conn", "refused: %u connections are open (limits.connections)", count);
		close(fd);
		return false;
	}
	c->watcher.notify = on_done;
	c->watcher.progress = on_progress;
	if (!(c->owner = owner_get(uid)) || !give_id(c)) {
		close(fd);
		owner_drop(c->owner);
		free(c);
		return false;
	}
	access_join(c, access_groups(fd));
	DL_APPEND(conns, c);
	count++;
	if (!stream_init(&c->stream, fd, max_message, &ops)) {
		close(fd);
		c->stream.fd = -1;
		conn_close(c, NULL);
		return false;
	}
	c->stream.yields = true;
	if (!timer_is_set(&patrol))
		timer_set(&patrol, clock_now() + 1000000, on_patrol);
	log_debug("conn", "%llu: accepted, uid %u", (unsigned long long)c->id, (unsigned)uid);
	return true;
}

/* What was said before the end is still written; a peer that takes none of it for STALLED_SECONDS has lost the rest. */
static void
free_item(struct turn_item *item)
{
	struct conn *c = container(item, struct conn, freeing);

	if (c->stream.fd >= 0 && c->stream.blocked && stream_queued(&c->stream)) {
		timer_set(&c->linger, c->stream.moved_us + STALLED_SECONDS * UINT64_C(1000000), on_linger);
		return;
	}
	timer_unset(&c->linger);
	stream_clear(&c->stream);
	owner_drop(c->owner);
	groups_drop(c->groups);
	free(c);
}

static void
on_linger(struct timer *t)
{
	struct conn *c = container(t, struct conn, linger);
	stream_clear(&c->stream);
	turn_schedule(TURN_FREE, &c->freeing, free_item);
}

static void
drop_backlog(struct conn *c)
{
	uint64_t id;
	bool want;
	while (backlog_pop(&c->backlog, &id, &want))
		future_unpin(registry_pinned(id));
	backlog_clear(&c->backlog);
}

/* What it fed has no more input. */
static void
end_inputs(struct conn *c)
{
	uint64_t id;

	ids_rewind(&c->fed);
	while (ids_next(&c->fed, &id)) {
		struct future *f = registry_find(id);
		if (f && input_is_open(f))
			input_feeder_gone(f, c->id);
	}
	ids_clear(&c->fed);
}

void
conn_close(struct conn *c, const char *why)
{
	struct pending *p;

	if (conn_find(c->id) != c)
		return;
	log_debug("conn", "%llu: closed%s%s", (unsigned long long)c->id, why ? ": " : "", why ? why : "");
	table[c->id % table_size] = NULL;
	DL_DELETE(conns, c);
	count--;
	stream_end(&c->stream);
	turn_unschedule(&c->notify);
	if (c->waits)
		workers_note_wait(c->parent, false);
	while ((p = c->pendings)) {
		DL_DELETE(c->pendings, p);
		p->abandon(p);
	}
	follow_clear(c);
	end_inputs(c);
	watch_clear(&c->watcher);
	drop_backlog(c);
	bound_release(c);
	events_unsubscribe(c);
	spec_drop(c->cache_spec);
	buf_clear(&c->cache_head);
	buf_clear(&c->cache_options);
	turn_schedule(TURN_FREE, &c->freeing, free_item);
}

void
conn_close_all(void)
{
	while (conns)
		conn_close(conns, "the daemon ends");
}

/* Tells the pool of the task that it speaks for, if any, when it begins or ceases to wait for something. A call that is not answered
 * and a future that is watched count alike: either way a library may be blocked until it hears. */
static void
note_wait(struct conn *c)
{
	bool waits = c->pending_count || c->watcher.count;

	if (!c->parent || waits == c->waits || conn_find(c->id) != c)
		return;
	c->waits = waits;
	workers_note_wait(c->parent, waits);
}

/* ---- reading ---- */

static bool
on_frame(struct stream *st, const uint8_t *bytes, size_t len)
{
	struct conn *c = container(st, struct conn, stream);

	if (!request_handle(c, bytes, len)) {
		log_info("conn", "%llu: protocol error, closed", (unsigned long long)c->id);
		conn_close(c, "protocol error");
		return false;
	}
	note_wait(c);
	if (stream_queued(st) > max_queued)
		stream_pause(st, true);
	return !st->ended;
}

static bool
on_partial(struct stream *st, const uint8_t *bytes, size_t len)
{
	struct conn *c = container(st, struct conn, stream);

	if (request_check(c, bytes, len))
		return true;
	log_info("conn", "%llu: protocol error, closed", (unsigned long long)c->id);
	conn_close(c, "protocol error");
	return false;
}

static void
on_end(struct stream *st, enum stream_end how, enum frame_verdict verdict)
{
	struct conn *c = container(st, struct conn, stream);

	if (how == STREAM_BAD) {
		request_protocol_error(c, frame_verdict_text(verdict));
		log_info("conn", "%llu: %s, closed", (unsigned long long)c->id, frame_verdict_text(verdict));
	}
	conn_close(c, how == STREAM_EOF ? "end of file" : how == STREAM_NOMEM ? "out of memory" : "protocol error");
}

static void
on_written(struct stream *st)
{
	struct conn *c = container(st, struct conn, stream);

	if (conn_find(c->id) != c) { /* closed: this was the rest of it */
		if (!stream_queued(st))
			turn_schedule(TURN_FREE, &c->freeing, free_item);
		return;
	}
	if (st->paused && stream_queued(st) < max_queued / 2)
		stream_pause(st, false);
	if (conn_has_room(c))
		conn_wake(c);
}

/* Once a second: who has output waiting and takes none of it is cut off. */
static void
on_patrol(struct timer *t)
{
	struct conn *c, *next;

	DL_FOREACH_SAFE(conns, c, next) {
		if (!c->stream.blocked || clock_now() - c->stream.moved_us < STALLED_SECONDS * UINT64_C(1000000))
			continue;
		log_warn("conn", "%llu: closed: it has read nothing for %d s, with %zu bytes waiting", (unsigned long long)c->id,
		    STALLED_SECONDS, stream_queued(&c->stream));
		conn_close(c, "it does not read");
	}
	if (conns)
		timer_set(t, clock_now() + 1000000, on_patrol);
}

/* ---- saying ---- */

struct buf *
conn_say(struct conn *c)
{
	return stream_say(&c->stream);
}

void
conn_say_bytes(struct conn *c, struct bytes b)
{
	stream_say_bytes(&c->stream, b);
}

bool
conn_has_room(const struct conn *c)
{
	return stream_queued(&c->stream) < NOTIFY_ROOM;
}

void
conn_wake(struct conn *c)
{
	if (!backlog_is_empty(&c->backlog) || c->follows || c->events_said.len || c->events_lost)
		turn_schedule(TURN_NOTIFY, &c->notify, on_notify);
}

void
conn_tell_done(struct conn *c, struct future *f, bool want)
{
	if (!backlog_push(&c->backlog, f->id, want)) {
		conn_close(c, "out of memory");
		return;
	}
	future_pin(f);
	turn_schedule(TURN_NOTIFY, &c->notify, on_notify);
}

static void
on_done(struct watcher *w, struct future *f, bool want)
{
	struct conn *c = container(w, struct conn, watcher);
	conn_tell_done(c, f, want);
	note_wait(c);
}

static void
on_progress(struct watcher *w, const struct future *f, const uint8_t *values, size_t len)
{
	struct conn *c = container(w, struct conn, watcher);
	struct reader r;

	if (!conn_has_room(c))
		return; /* the next one says more */
	struct buf *b = conn_say(c);
	message_notification(b, "progress");
	pack_array(b, 4);
	pack_uint(b, f->id);
	reader_init(&r, values, len);
	for (int i = 0; i < 3; i++) {
		const uint8_t *raw;
		size_t raw_len;
		if (read_raw(&r, &raw, &raw_len))
			pack_raw(b, raw, raw_len);
		else
			pack_nil(b);
	}
}

/* done [id, state, error|nil, result|nil] */
static void
say_done(struct conn *c, struct future *f, bool want)
{
	struct buf *b = conn_say(c);
	bool good = f->state == FUTURE_FINISHED && !f->failed;

	message_notification(b, "done");
	pack_array(b, 4);
	pack_uint(b, f->id);
	pack_cstr(b, future_state_name((enum future_state)f->state));
	if (!want || good) {
		pack_nil(b);
	} else {
		struct bytes error = error_of(f);
		conn_say_bytes(c, error);
		bytes_drop(&error);
		if (access_may_change(c, f))
			future_see(f);
	}
	if (want && good)
		conn_say_bytes(c, f->value);
	else
		pack_nil(conn_say(c));
}

static void
on_notify(struct turn_item *item)
{
	struct conn *c = container(item, struct conn, notify);
	size_t before = stream_queued(&c->stream);
	uint64_t id;
	bool want;

	if (c->holding)
		return; /* woken again when the response has been said */
	while (conn_has_room(c) && stream_queued(&c->stream) - before < NOTIFY_BYTES && turn_budget() &&
	    backlog_pop(&c->backlog, &id, &want)) {
		struct future *f = registry_pinned(id);
		say_done(c, f, want);
		future_unpin(f);
		turn_count(1, 0);
	}
	if (conn_has_room(c))
		events_say(c);
	if (backlog_is_empty(&c->backlog))
		follow_say(c);
	else if (conn_has_room(c))
		turn_schedule(TURN_NOTIFY, &c->notify, on_notify);
}

/* ---- pending calls ---- */

bool
conn_pend(struct conn *c, struct pending *p, uint32_t msgid, void (*abandon)(struct pending *))
{
	if (c->pending_count >= max_requests)
		return false;
	p->conn_id = c->id;
	p->msgid = msgid;
	p->abandon = abandon;
	DL_APPEND(c->pendings, p);
	c->pending_count++;
	note_wait(c);
	return true;
}

void
conn_unpend(struct pending *p)
{
	struct conn *c = conn_find(p->conn_id);
	DL_DELETE(c->pendings, p);
	c->pending_count--;
	note_wait(c);
}

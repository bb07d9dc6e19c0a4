#include "daemon/notices.h"

#include <utlist.h>

#include "daemon/access.h"
#include "daemon/conn.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/events.h"
#include "daemon/follow.h"
#include "daemon/future.h"
#include "daemon/registry.h"
#include "proto/message.h"
#include "proto/pack.h"

enum {
	ROOM = 256 * 1024,          /* notifications are made while less than this is queued */
	TURN_BYTES = 1024 * 1024,   /* … and at most this much per connection and turn */
	PROGRESS_ROOM = 128 * 1024, /* what progress says beyond this is passed over */
};

static void on_notify(struct turn_item *item);

bool
notices_have_room(const struct conn *c)
{
	return stream_queued(&c->stream) < ROOM;
}

void
notices_wake(struct conn *c)
{
	if (!backlog_is_empty(&c->backlog) || c->follows || c->progress.len || c->events_said.len || c->events_lost)
		turn_schedule(TURN_NOTIFY, &c->notify, on_notify);
}

void
notices_tell_done(struct conn *c, struct future *f, bool want)
{
	if (!backlog_push(&c->backlog, f->id, want)) {
		conn_give_up(c);
		return;
	}
	future_pin(f);
	turn_schedule(TURN_NOTIFY, &c->notify, on_notify);
}

static void
on_done(struct watcher *w, struct future *f, bool want)
{
	struct conn *c = container(w, struct conn, watcher);
	notices_tell_done(c, f, want);
	conn_note_wait(c);
}

static void
on_progress(struct watcher *w, const struct future *f, const uint8_t *values, size_t len)
{
	struct conn *c = container(w, struct conn, watcher);
	struct buf *b = &c->progress;
	struct reader r;

	if (!notices_have_room(c) || b->len > PROGRESS_ROOM)
		return; /* the next one says more */
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
	if (b->failed)
		buf_clear(b);
	notices_wake(c);
}

/* Before what is done: it was not yet when this was said. */
static void
say_progress(struct conn *c)
{
	if (!c->progress.len || !notices_have_room(c))
		return;
	buf_append(conn_say(c), c->progress.data, c->progress.len);
	buf_clear(&c->progress);
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

	if (c->given_up) {
		conn_close(c, "out of memory");
		return;
	}
	if (c->holding)
		return; /* woken again when the response has been said */
	say_progress(c);
	while (notices_have_room(c) && stream_queued(&c->stream) - before < TURN_BYTES && turn_budget() &&
	    backlog_pop(&c->backlog, &id, &want)) {
		struct future *f = registry_pinned(id);
		say_done(c, f, want);
		future_unpin(f);
		turn_count(1, 0);
	}
	if (notices_have_room(c))
		events_say(c);
	if (backlog_is_empty(&c->backlog))
		follow_say(c);
	else if (notices_have_room(c))
		turn_schedule(TURN_NOTIFY, &c->notify, on_notify);
}

void
notices_begin(struct conn *c)
{
	c->watcher.notify = on_done;
	c->watcher.progress = on_progress;
}

#include "daemon/events.h"

#include "daemon/access.h"
#include "daemon/clock.h"
#include "daemon/conn.h"
#include "daemon/future.h"
#include "daemon/notices.h"
#include "daemon/pool.h"
#include "proto/message.h"
#include "proto/pack.h"

enum { EVENTS_ROOM = 128 * 1024 };

static unsigned subscribers;

void
events_say(struct conn *c)
{
	struct buf *b;

	if (c->events_said.len) {
		b = conn_say(c);
		b->failed |= c->events_said.failed; /* its last one is cut */
		buf_append(b, c->events_said.data, c->events_said.len);
		buf_clear(&c->events_said);
	}
	if (!c->events_lost)
		return;
	b = conn_say(c);
	message_notification(b, "event");
	pack_array(b, 1);
	pack_map(b, 1);
	pack_key(b, "lost");
	pack_uint(b, c->events_lost);
	c->events_lost = 0;
}

static void
say_change(struct conn *c, const struct future *f)
{
	struct buf *b = &c->events_said;

	if (!notices_have_room(c) || b->len > EVENTS_ROOM || c->events_lost) {
		c->events_lost++; /* told before the next one */
		notices_wake(c);
		return;
	}
	message_notification(b, "event");
	pack_array(b, 1);
	pack_map(b, 7);
	pack_key(b, "time");
	pack_double(b, clock_wall(clock_now()));
	pack_key(b, "pool");
	pack_cstr(b, f->spec->pool->name);
	pack_key(b, "id");
	pack_uint(b, f->id);
	pack_key(b, "state");
	pack_cstr(b, future_state_name((enum future_state)f->state));
	pack_key(b, "name");
	if (f->spec->name)
		pack_cstr(b, f->spec->name);
	else
		pack_nil(b);
	pack_key(b, "attempt");
	pack_uint(b, f->attempt);
	pack_key(b, "failed");
	pack_bool(b, f->failed);
	notices_wake(c);
}

static void
on_change(struct future *f)
{
	struct conn *c;
	for (c = conn_first(); c; c = c->next)
		if (c->events && (!c->events_pool || c->events_pool == f->spec->pool) && access_may_see(c, f))
			say_change(c, f);
}

void
events_subscribe(struct conn *c, struct pool *p)
{
	struct pool *before = c->events_pool;

	if (!c->events)
		subscribers++;
	c->events = true;
	c->events_pool = p ? pool_hold(p) : NULL;
	pool_drop(before);
	future_on_change(on_change);
}

bool
events_wanted(void)
{
	return subscribers != 0;
}

void
events_unsubscribe(struct conn *c)
{
	if (!c->events)
		return;
	c->events = false;
	buf_clear(&c->events_said);
	pool_drop(c->events_pool);
	c->events_pool = NULL;
	if (!--subscribers)
		future_on_change(NULL);
}

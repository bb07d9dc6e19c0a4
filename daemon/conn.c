/* A frame comes ─► request_handle ─► answers are said, futures change ─► (TURN_NOTIFY) notifications are made as there is room ─► (TURN_FLUSH) one
 * write. The end: end of file or a protocol error ─► pending calls are abandoned, watches end, bound futures are cancelled over turns ─► freed. */
#include "daemon/conn.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/access.h"
#include "daemon/admission.h"
#include "daemon/bound.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/events.h"
#include "daemon/fault.h"
#include "daemon/follow.h"
#include "daemon/input.h"
#include "daemon/log.h"
#include "daemon/login.h"
#include "daemon/notices.h"
#include "daemon/pool.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/request.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "daemon/tls.h"
#include "daemon/workers.h"

enum {
	FRAME_SECONDS = 10,            /* from first to last byte of a message, while others wait for a connection */
	FAREWELL_MS = 500,             /* a peer in a network reads what was said last, before the socket is closed with its own words unread */
	FAREWELLS = 256,               /* … so many at once, at most */
	LAST_WORDS_MS = 1000,          /* a peer that takes nothing for so long while the daemon ends has lost the rest */
	STALLED_SECONDS = 30,          /* a peer that takes nothing for so long, with output waiting, is cut off */
	FAILING_NOTES = 20000,         /* while the store cannot be written clients have so much noted for when it can, all together */
};

#define ABOUT(c) (&(struct log_about){ .conn = (c)->id })

static bool on_frame(struct stream *st, const uint8_t *bytes, size_t len);
static bool on_partial(struct stream *st, const uint8_t *bytes, size_t len);
static void on_end(struct stream *st, enum stream_end how, enum frame_verdict verdict);
static void on_secure(struct stream *st);
static void on_written(struct stream *st);
static void on_patrol(struct timer *t);
static void on_linger(struct timer *t);
static void free_item(struct turn_item *item);

static const struct stream_ops ops = { .on_frame = on_frame, .on_partial = on_partial, .on_end = on_end,
	.on_secure = on_secure, .on_written = on_written };
static struct conn *conns;
static struct conn *closed; /* and not yet freed: something may still be to be written */
static struct conn **table; /* by id % table_size: see conn_find */
static uint64_t table_size, next_id = 1;
static unsigned count;
static uint64_t max_message = 64u << 20, max_conns = 4096, max_requests = 100000, max_queued = 64u << 20;
static uint64_t idle_us;
static struct timer patrol;
static bool store_paused; /* some are not listened to because the store is behind */
static uint64_t noted_failing; /* by clients, since the store cannot be written */
static unsigned farewells;
static struct stream_traffic traffic;
static uint64_t accepted;

void
conn_set_limits(uint64_t message, uint64_t connections, uint64_t requests, uint64_t queued)
{
	max_message = message;
	max_conns = connections;
	max_requests = requests;
	max_queued = queued;
}

void
conn_set_idle(uint64_t us)
{
	idle_us = us;
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

struct conn_traffic
conn_traffic(void)
{
	return (struct conn_traffic){ .accepted = accepted, .refused = admission_refused(), .received = traffic.received, .sent = traffic.sent };
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
conn_speak_for(struct conn *c, struct owner *owner, struct groups *groups)
{
	if (c->owner)
		c->owner->connections--;
	owner_drop(c->owner);
	c->owner = owner;
	owner->connections++;
	access_join(c, groups);
	return c->role == ROLE_ADMIN || !quota_is_crowded(owner);
}

void
conn_refuse(struct conn *c, uint32_t msgid)
{
	answer_fail(c, msgid, STATUS_LIMIT, 0, "limits.user.connections: %s may have %llu, and so many there are", c->owner->name,
	    (unsigned long long)quota_connections());
	conn_end(c, "its user has as many as may be");
}

/* Whoever has been at one message for too long goes first where there is no room. */
static bool
make_room(void)
{
	struct conn *c, *slowest = NULL;

	DL_FOREACH(conns, c) {
		if (c->stream.in.len && clock_now() - c->stream.begun_us > FRAME_SECONDS * SECOND &&
		    (!slowest || c->stream.begun_us < slowest->stream.begun_us))
			slowest = c;
	}
	if (!slowest)
		return false;
	log_about(LOG_LEVEL_WARN, "conn", ABOUT(slowest), "%llu: closed: a message has not come to its end in %d s, and others wait for a connection", (unsigned long long)slowest->id,
	    FRAME_SECONDS);
	conn_close(slowest, "a message took too long");
	return true;
}

/* A new one among the others; NULL, the descriptor closed, if that cannot be. */
static struct conn *
admit(int fd, bool plain)
{
	struct conn *c;

	if (count >= max_conns && !make_room()) {
		admission_refuse(fd, plain, "limits.connections", max_conns);
		return NULL;
	}
	if (!admission_leaves_reserve(fd)) {
		admission_refuse(fd, plain, "descriptors for connections", count);
		return NULL;
	}
	if (!(c = calloc(1, sizeof *c)) || !give_id(c)) {
		close(fd);
		free(c);
		return NULL;
	}
	notices_begin(c);
	DL_APPEND(conns, c);
	count++;
	c->stream.fd = -1;
	accepted++;
	if (!timer_is_set(&patrol))
		timer_set(&patrol, clock_now() + SECOND, on_patrol);
	return c;
}

static bool
open_stream(struct conn *c, int fd, uint64_t frame_limit)
{
	if (stream_init(&c->stream, fd, frame_limit, &ops)) {
		c->stream.yields = true;
		c->stream.traffic = &traffic;
		c->stream.gated = commit_is_gated();
		return true;
	}
	close(fd);
	c->stream.fd = -1;
	conn_close(c, NULL);
	return false;
}

bool
conn_new(int fd, uid_t uid)
{
	struct conn *c = admit(fd, true);
	struct owner *owner;

	if (!c)
		return false;
	if (!(owner = owner_get(uid))) {
		close(fd);
		conn_close(c, "out of memory");
		return false;
	}
	if (!conn_speak_for(c, owner, access_groups(fd))) {
		admission_refuse(fd, true, "limits.user.connections", quota_connections());
		conn_close(c, "its user has as many as may be");
		return false;
	}
	if (!open_stream(c, fd, max_message))
		return false;
	log_about(LOG_LEVEL_DEBUG, "conn", &(struct log_about){ .conn = c->id, .uid = &(uint32_t){ (uint32_t)uid } },
	    "%llu: accepted, uid %u", (unsigned long long)c->id, (unsigned)uid);
	return true;
}

bool
conn_new_remote(int fd, struct login *login, struct tls *tls)
{
	struct conn *c = admit(fd, !tls);

	if (!c) {
		tls_free(tls);
		login_free(login);
		return false;
	}
	c->login = login;
	if (!open_stream(c, fd, LOGIN_FRAME_MAX)) {
		tls_free(tls);
		return false;
	}
	if (tls)
		stream_secure(&c->stream, tls);
	log_about(LOG_LEVEL_DEBUG, "conn", ABOUT(c), "%llu: accepted, from %s", (unsigned long long)c->id, login->from);
	login_begin(login, c);
	return true;
}

/* A network socket that is closed with bytes unread resets the connection, and what was said last may be lost: then the peer has a moment
 * to read it. */
static bool
wants_farewell(const struct conn *c)
{
	return c->login && c->stream.fd >= 0 && !c->heard_end && !c->farewell && farewells < FAREWELLS;
}

static void
on_farewell_over(struct timer *t)
{
	struct conn *c = container(t, struct conn, linger);
	static uint8_t unread[64 * 1024];

	for (int i = 0; i < 16 && recv(c->stream.fd, unread, sizeof unread, MSG_DONTWAIT) > 0; i++)
		;
	farewells--;
	turn_schedule(TURN_FREE, &c->freeing, free_item);
}

static void
begin_farewell(struct conn *c)
{
	c->farewell = true;
	farewells++;
	stream_hang_up(&c->stream);
	timer_set(&c->linger, clock_now() + FAREWELL_MS * 1000u, on_farewell_over);
}

/* Nobody reads at the other end any more. */
static bool
is_deserted(const struct conn *c)
{
	struct pollfd p = { .fd = c->stream.fd };
	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

/* What was said before the end is still written; a peer that takes none of it for STALLED_SECONDS has lost the rest. */
static void
free_item(struct turn_item *item)
{
	struct conn *c = container(item, struct conn, freeing);

	if (c->farewell && timer_is_set(&c->linger))
		return;
	if (c->stream.fd >= 0 && stream_queued(&c->stream) && (c->stream.blocked || stream_waits(&c->stream)) && !is_deserted(c)) {
		timer_set(&c->linger, c->stream.moved_us + STALLED_SECONDS * UINT64_C(1000000), on_linger);
		return;
	}
	if (wants_farewell(c)) {
		begin_farewell(c);
		return;
	}
	timer_unset(&c->linger);
	stream_clear(&c->stream);
	login_free(c->login);
	owner_drop(c->owner);
	groups_drop(c->groups);
	DL_DELETE(closed, c);
	free(c);
}

static void
on_linger(struct timer *t)
{
	struct conn *c = container(t, struct conn, linger);
	uint64_t now = clock_now(), due = c->stream.moved_us + STALLED_SECONDS * SECOND;

	if (stream_waits(&c->stream) && !is_deserted(c)) /* for the store, which is not its fault */
		due = now + STALLED_SECONDS * SECOND;
	if (due > now) { /* or it has taken something since */
		timer_set(&c->linger, due, on_linger);
		return;
	}
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

static void
abandon_calls(struct conn *c, bool all)
{
	struct pending *p, *kept = NULL;
	bool deserted = all || is_deserted(c);

	while ((p = c->pendings)) {
		DL_DELETE(c->pendings, p);
		if (p->finishes && !all && (p->does || !deserted)) {
			DL_APPEND(kept, p);
			continue;
		}
		c->pending_count--;
		c->finishing -= p->finishes;
		c->holding -= p->finishes;
		p->abandon(p);
	}
	c->pendings = kept;
}

void
conn_close(struct conn *c, const char *why)
{
	if (conn_find(c->id) != c)
		return;
	log_about(LOG_LEVEL_DEBUG, "conn", ABOUT(c), "%llu: closed%s%s", (unsigned long long)c->id, why ? ": " : "", why ? why : "");
	if (c->login)
		login_end(c->login);
	table[c->id % table_size] = NULL;
	DL_DELETE(conns, c);
	DL_APPEND(closed, c);
	count--;
	if (c->owner)
		c->owner->connections--;
	stream_end(&c->stream);
	turn_unschedule(&c->notify);
	if (c->waits)
		workers_note_wait(c->parent, c->parent_attempt, false);
	abandon_calls(c, true);
	follow_clear(c);
	end_inputs(c);
	watch_clear(&c->watcher);
	drop_backlog(c);
	bound_release(c);
	events_unsubscribe(c);
	buf_clear(&c->progress);
	spec_drop(c->cache_spec);
	buf_clear(&c->cache_head);
	buf_clear(&c->cache_options);
	turn_schedule(TURN_FREE, &c->freeing, free_item);
}

void
conn_give_up(struct conn *c)
{
	c->given_up = true;
	notices_wake(c);
}

void
conn_end(struct conn *c, const char *why)
{
	if (conn_find(c->id) != c)
		return;
	if (c->finishing) {
		c->ending = true;
		stream_end(&c->stream);
		abandon_calls(c, false);
	}
	if (!c->finishing)
		conn_close(c, why);
}

void
conn_finish_begin(struct conn *c)
{
	c->holding++;
	c->finishing++;
}

void
conn_finish_end(struct conn *c)
{
	c->finishing--;
	if (!--c->holding)
		notices_wake(c);
	if (!c->ending || c->finishing)
		return;
	if (c->last_words)
		request_protocol_error(c, c->last_words);
	conn_close(c, "end of file");
}

void
conn_resume_all(void)
{
	struct conn *c;

	noted_failing = 0;
	if (!store_paused)
		return;
	store_paused = false;
	DL_FOREACH(conns, c) {
		if (c->stream.paused && stream_queued(&c->stream) < max_queued / 2 && !(c->login && c->login->state == LOGIN_REFUSED))
			stream_pause(&c->stream, false);
	}
}

static bool
is_owed(const struct conn *c)
{
	return stream_queued(&c->stream) || !backlog_is_empty(&c->backlog) || c->progress.len || c->events_said.len || follow_is_owed(c);
}

static bool
reads_on(const struct conn *c, uint64_t since_us)
{
	uint64_t moved_us = c->stream.moved_us > since_us ? c->stream.moved_us : since_us;
	return clock_now() - moved_us < LAST_WORDS_MS * 1000u;
}

bool
conn_any_owed(uint64_t since_us)
{
	const struct conn *c;

	DL_FOREACH(conns, c) {
		if (is_owed(c) && reads_on(c, since_us))
			return true;
	}
	DL_FOREACH(closed, c) {
		if (stream_queued(&c->stream) && reads_on(c, since_us))
			return true;
	}
	return false;
}

void
conn_close_all(void)
{
	while (conns)
		conn_close(conns, "the daemon ends");
}

/* Tells the pool of the task that it speaks for, if any, when it begins or ceases to wait for something. A call that is not answered
 * and a future that is watched count alike: either way a library may be blocked until it hears. */
void
conn_note_wait(struct conn *c)
{
	bool waits = c->pending_count || c->watcher.count;

	if (!c->parent || waits == c->waits || conn_find(c->id) != c)
		return;
	c->waits = waits;
	workers_note_wait(c->parent, c->parent_attempt, waits);
}

void
conn_speak_in(struct conn *c, const struct future *task)
{
	if (c->waits)
		workers_note_wait(c->parent, c->parent_attempt, false);
	c->waits = false;
	c->parent = task->id;
	c->parent_attempt = task->attempt;
}

/* ---- reading ---- */

/* Strangers have one line a second for each address; whoever is known has one for each such event. */
static void
tell_end(struct conn *c, const char *why)
{
	if (c->login && c->login->state != LOGIN_KNOWN)
		login_failed(c->login, why);
	else
		log_about(LOG_LEVEL_INFO, "conn", ABOUT(c), "%llu: %s, closed", (unsigned long long)c->id, why);
}

/* Whether it is no use to listen on before the store has come further. One that cannot be written will not soon: then those who have something noted
 * wait, beyond a bound, and whoever only looks, or is refused, is heard. */
static bool
store_has_enough(void)
{
	return commit_is_failing() ? noted_failing > FAILING_NOTES : store_is_behind();
}

static bool
on_frame(struct stream *st, const uint8_t *bytes, size_t len)
{
	struct conn *c = container(st, struct conn, stream);
	uint64_t notes = store_notes();

	if (c->login && c->login->state == LOGIN_REFUSED)
		return true;
	if (!request_handle(c, bytes, len)) {
		tell_end(c, "protocol error");
		conn_end(c, "protocol error");
		return false;
	}
	if (c->login && !login_may_go_on(c->login)) {
		tell_end(c, "too many messages without saying who it is");
		conn_end(c, "too many messages");
		return false;
	}
	conn_note_wait(c);
	uint64_t noted = commit_is_failing() ? store_notes() - notes : 0;
	noted_failing += noted;
	if (stream_queued(st) > max_queued || (store_has_enough() && (noted || !commit_is_failing()))) {
		store_paused |= stream_queued(st) <= max_queued;
		stream_pause(st, true);
	}
	return !st->ended;
}

static bool
on_partial(struct stream *st, const uint8_t *bytes, size_t len)
{
	struct conn *c = container(st, struct conn, stream);

	if (request_check(c, bytes, len))
		return true;
	tell_end(c, "protocol error");
	conn_end(c, "protocol error");
	return false;
}

static void
on_end(struct stream *st, enum stream_end how, enum frame_verdict verdict)
{
	struct conn *c = container(st, struct conn, stream);
	char why[256];

	if (how == STREAM_BAD) {
		request_protocol_error(c, frame_verdict_text(verdict));
		tell_end(c, frame_verdict_text(verdict));
	}
	if (how == STREAM_INSECURE) {
		snprintf(why, sizeof why, "the TLS handshake failed: %s", tls_why(st->tls));
		login_failed(c->login, why);
	}
	c->heard_end = how == STREAM_EOF;
	conn_end(c, how == STREAM_INSECURE ? "the TLS handshake failed" : how == STREAM_EOF ? "end of file" : how == STREAM_NOMEM ? "out of memory" : "protocol error");
}

static void
on_secure(struct stream *st)
{
	login_shaken(container(st, struct conn, stream)->login);
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
	if (st->paused && stream_queued(st) < max_queued / 2 && !(c->login && c->login->state == LOGIN_REFUSED) && !FAULT(stays_paused)) {
		if (store_has_enough())
			store_paused = true; /* now it is the store that it waits for */
		else
			stream_pause(st, false);
	}
	if (notices_have_room(c))
		notices_wake(c);
}

/* Whether a network connection was closed, since it may be here no longer. */
static bool
look_at_remote(struct conn *c)
{
	if (login_is_expired(c->login)) {
		log_about(LOG_LEVEL_INFO, "conn", ABOUT(c), "%llu: closed: the token of %s has expired", (unsigned long long)c->id, c->owner->name);
		conn_close(c, "its token has expired");
		return true;
	}
	if (idle_us && c->login->state == LOGIN_KNOWN && !c->pendings && !c->watcher.count && !c->follows && !c->events && !c->bound_count &&
	    clock_now() - c->stream.moved_us > idle_us) {
		log_about(LOG_LEVEL_INFO, "conn", ABOUT(c), "%llu: closed: it has said nothing for limits.idle_timeout", (unsigned long long)c->id);
		conn_close(c, "idle");
		return true;
	}
	return false;
}

/* Once a second: who has output waiting and takes none of it is cut off. */
static void
on_patrol(struct timer *t)
{
	struct conn *c, *next;

	DL_FOREACH_SAFE(conns, c, next) {
		if (c->login && look_at_remote(c))
			continue;
		if (!c->stream.blocked || clock_now() - c->stream.moved_us < STALLED_SECONDS * UINT64_C(1000000))
			continue;
		log_about(LOG_LEVEL_WARN, "conn", ABOUT(c), "%llu: closed: it has read nothing for %d s, with %zu bytes waiting", (unsigned long long)c->id,
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

struct buf *
conn_say_now(struct conn *c)
{
	return stream_say_now(&c->stream);
}

void
conn_say_bytes(struct conn *c, struct bytes b)
{
	stream_say_bytes(&c->stream, b);
}

void
conn_begin_settled(struct conn *c, bool settled)
{
	stream_set_at_once(&c->stream, settled);
}

void
conn_end_settled(struct conn *c)
{
	stream_set_at_once(&c->stream, false);
}

/* ---- pending calls ---- */

bool
conn_may_follow(const struct conn *c)
{
	return c->follow_count < max_requests;
}

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
	conn_note_wait(c);
	return true;
}

void
conn_unpend(struct pending *p)
{
	struct conn *c = conn_find(p->conn_id);
	DL_DELETE(c->pendings, p);
	c->pending_count--;
	conn_note_wait(c);
}

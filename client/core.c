/* Requests and what comes back.
 *
 * The good path: core_request writes a frame and takes a slot; the owner writes the bytes; bytes come back; core_input finds
 * whole frames, and each response empties the slot of its msgid and then calls back. Notifications go to the watches, to the
 * followers, or to the general handlers. It goes wrong when a frame is no message (the connection has ended: PROTOCOL), when the
 * daemon says so (msgid 0), or when the owner reports the end of the stream (LOST); then every slot, watch and follower is
 * called with that. */
#include "client/core.h"
#include "client/follow.h"
#include "client/packer.h"
#include "client/warm.h"
#include "client/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pack.h"

enum {
	LIMIT_DEFAULT = (64 << 20) + 4096,
	SLOTS_MIN = 16,
	LEND_MIN = 64 << 10, /* parameters from here on are borrowed, where they can be */
	KEEP_OUT = 256 << 10,
	WARM_MIN = 1 << 20,  /* what an answer still needs when it goes on in the memory of another one */
};

void
core_init(struct core *k, struct futured *owner)
{
	memset(k, 0, sizeof *k);
	k->owner = owner;
	k->limit = LIMIT_DEFAULT;
	k->next = 1;
	buf_init(&k->in);
	buf_init(&k->out);
	frame_scan_init(&k->scan, k->limit);
}

void
core_clear(struct core *k)
{
	watch_clear(k);
	follow_clear(k);
	buf_clear(&k->in);
	buf_clear(&k->out);
	warm_drop(k->warm);
	k->warm = NULL;
	for (size_t i = 0; i < k->cap; i++)
		free(k->slot[i].frame);
	free(k->slot);
	k->slot = NULL;
	k->cap = k->used = 0;
}

void
core_restart(struct core *k)
{
	buf_clear(&k->in);
	buf_clear(&k->out);
	k->out_at = k->scanned = k->lent_len = 0;
	k->queued = k->sent = 0;
	k->held = k->mute = false;
	frame_scan_init(&k->scan, k->limit);
	k->ended = FUTURED_OK;
	k->reason[0] = '\0';
}

/* ---- slots ---- */

/* Numbers that differ modulo cap differ modulo 2 cap, so growing never collides. */
static bool
slots_grow(struct core *k)
{
	size_t cap = k->cap == 0 ? SLOTS_MIN : k->cap * 2;
	struct core_request *slot = calloc(cap, sizeof *slot);

	if (slot == NULL)
		return false;
	for (size_t i = 0; i < k->cap; i++)
		if (k->slot[i].msgid != 0)
			slot[k->slot[i].msgid & (cap - 1)] = k->slot[i];
	free(k->slot);
	k->slot = slot;
	k->cap = cap;
	return true;
}

/* A free slot with its number; NULL without memory. At most half of them are in use, so the search is short. */
static struct core_request *
slot_take(struct core *k)
{
	struct core_request *s;

	if (2 * (k->used + 1) > k->cap && !slots_grow(k))
		return NULL;
	do {
		if (k->next == 0)
			k->next = 1;
		s = &k->slot[k->next & (k->cap - 1)];
		if (s->msgid == 0)
			s->msgid = k->next;
		else
			s = NULL;
		k->next++;
	} while (s == NULL);
	k->used++;
	return s;
}

static struct core_request *
slot_find(struct core *k, uint32_t msgid)
{
	struct core_request *s;

	if (k->cap == 0 || msgid == 0)
		return NULL;
	s = &k->slot[msgid & (k->cap - 1)];
	return s->msgid == msgid ? s : NULL;
}

static void
slot_release(struct core *k, struct core_request *s)
{
	free(s->frame);
	memset(s, 0, sizeof *s);
	k->used--;
}

/* ---- out ---- */

/* Whether a request may be said twice: it changes nothing, or the second time changes nothing more. A submit with `key` may. */
static bool
is_safe(const char *method, const struct futured_pack *params)
{
	static const char *const safe[] = { "ping", "result", "exception", "state", "wait", "watch", "unwatch", "cancel", "release",
		"list", "show", "output", "pools", "pause", "resume", "resize", "stats" };
	struct futured_value cursor, v = { NULL, NULL }, key;

	for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++)
		if (strcmp(method, safe[i]) == 0)
			return true;
	if (params == NULL || (strcmp(method, "submit") != 0 && strcmp(method, "map") != 0))
		return false;
	cursor = futured_pack_value(params);
	for (int i = 0; i < 4; i++)
		if (!futured_value_next(&cursor, &v))
			return false;
	return futured_value_find(v, "key", &key) && futured_value_type(key) == FUTURED_TYPE_STR;
}

/* The bytes of a request behind what is in `b`, but for its parameters' own; false, and `b` as before, without memory. */
static bool
encode_head(struct buf *b, uint32_t msgid, const char *method, const struct futured_pack *params)
{
	size_t before = b->len;

	message_request(b, msgid, method);
	pack_array(b, params == NULL ? 0 : params->values);
	if (!b->failed)
		return true;
	b->failed = false; /* half a frame must not leave */
	b->len = before;
	return false;
}

static bool
encode(struct buf *b, uint32_t msgid, const char *method, const struct futured_pack *params)
{
	size_t before = b->len;

	if (!encode_head(b, msgid, method, params))
		return false;
	if (params == NULL || buf_append(b, params->buf.data, params->buf.len))
		return true;
	b->failed = false;
	b->len = before;
	return false;
}

/* What was written moves out of the way of what comes, where it is more than that. */
static void
make_way(struct core *k)
{
	if (k->out_at < KEEP_OUT || k->out_at < k->out.len / 2)
		return;
	buf_drain(&k->out, k->out_at);
	k->out_at = 0;
}

void
core_borrow(struct core *k)
{
	k->borrows = true;
}

static bool
settle(struct core *k)
{
	make_way(k);
	if (k->lent_len > 0 && !buf_append(&k->out, k->lent, k->lent_len))
		return false;
	k->lent_len = 0;
	return true;
}

void
core_settle(struct core *k)
{
	k->borrows = false;
	if (!settle(k))
		core_end(k, FUTURED_NO_MEMORY, NULL); /* half a frame has left */
}

/* Puts a request where it belongs: into `out`, into its slot, or both. */
static bool
slot_write(struct core *k, struct core_request *s, const char *method, const struct futured_pack *params)
{
	bool lends = k->borrows && !k->keep && params != NULL && params->buf.len >= LEND_MIN;
	struct buf frame = { 0 };
	size_t before;

	k->borrows = false;
	if (!settle(k)) {
		k->out.failed = false;
		return false;
	}
	before = k->out.len;
	if (!k->keep) {
		if (!(lends ? encode_head : encode)(&k->out, s->msgid, method, params))
			return false;
		if (lends) {
			k->lent = params->buf.data;
			k->lent_len = params->buf.len;
		}
		k->queued += k->out.len - before + k->lent_len;
		return true;
	}
	if (!encode(&frame, s->msgid, method, params)) {
		buf_clear(&frame);
		return false;
	}
	if (!k->held || s->hello) {
		if (!buf_append(&k->out, frame.data, frame.len)) {
			k->out.failed = false;
			k->out.len = before;
			buf_clear(&frame);
			return false;
		}
		k->queued += frame.len;
	}
	s->end = k->held && !s->hello ? UINT64_MAX : k->queued;
	s->frame = buf_take(&frame, &s->len);
	return true;
}

static enum futured_status
request(struct core *k, bool hello, const char *method, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data, uint32_t *msgid)
{
	enum futured_status status = params == NULL ? FUTURED_OK : futured_pack_status(params);
	struct core_request *s;

	if (k->ended != FUTURED_OK)
		return k->ended;
	if (status != FUTURED_OK)
		return status;
	if ((s = slot_take(k)) == NULL)
		return FUTURED_NO_MEMORY;
	s->hello = hello;
	s->safe = k->keep && is_safe(method, params);
	if (!slot_write(k, s, method, params)) {
		slot_release(k, s);
		return FUTURED_NO_MEMORY;
	}
	s->done = done;
	s->data = data;
	if (msgid != NULL)
		*msgid = s->msgid;
	if (k->wanted != NULL && !k->dispatching)
		k->wanted(k->owner);
	return FUTURED_OK;
}

enum futured_status
core_request(struct core *k, const char *method, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data, uint32_t *msgid)
{
	return request(k, false, method, params, done, data, msgid);
}

enum futured_status
core_hello(struct core *k, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data)
{
	return request(k, true, "hello", params, done, data, NULL);
}

/* The slot stays taken until the answer comes, so that its number is not dealt again; only nobody is called. */
void
core_forget(struct core *k, uint32_t msgid)
{
	struct core_request *s = slot_find(k, msgid);

	if (s != NULL)
		s->done = NULL;
}

size_t
core_unsent(const struct core *k)
{
	return k->mute ? 0 : k->out.len - k->out_at + k->lent_len;
}

const uint8_t *
core_output(const struct core *k, size_t *len)
{
	*len = k->out.len - k->out_at;
	if (*len > 0)
		return k->out.data + k->out_at;
	*len = k->lent_len;
	return k->lent;
}

void
core_sent(struct core *k, size_t len)
{
	size_t own = k->out.len - k->out_at;

	k->sent += len;
	if (len < own) {
		k->out_at += len;
		return;
	}
	k->lent += len - own;
	k->lent_len -= len - own;
	k->out_at = k->out.len = 0;
	if (k->out.cap > KEEP_OUT)
		buf_clear(&k->out);
}

void
core_mute(struct core *k)
{
	k->mute = true;
	buf_clear(&k->out);
	k->out_at = k->lent_len = 0;
}

/* ---- in ---- */

static void
on_response(struct core *k, const struct message *m)
{
	struct futured_reply reply;
	struct core_request *s, was;

	reply_read(&reply, m->error, m->result);
	reply.core = k->scanned == k->in.len ? k : NULL;
	if (m->msgid == 0) {
		if (reply.status != FUTURED_OK) {
			char text[sizeof k->reason];

			snprintf(text, sizeof text, "the daemon says: %.*s", (int)reply.error.message_len, reply.error.message);
			core_end(k, reply.status, text);
		}
		return;
	}
	if ((s = slot_find(k, m->msgid)) == NULL)
		return;
	was = *s;
	slot_release(k, s);
	if (was.done != NULL)
		was.done(k->owner, &reply, was.data);
}

/* done [id, state, error|nil, result|nil] */
static bool
on_done(struct core *k, const struct message *m)
{
	struct reader r = m->params, error;
	struct futured_reply reply;
	const char *state;
	size_t len;
	uint64_t id;

	if (m->param_count < 4 || !read_uint(&r, &id) || !read_str(&r, &state, &len))
		return false;
	error = r;
	if (!read_skip(&r))
		return false;
	reply_read(&reply, error, r);
	if (reply.status == FUTURED_OK && len == strlen("CANCELLED") && memcmp(state, "CANCELLED", len) == 0)
		reply_local(&reply, FUTURED_CANCELLED, NULL);
	if (watch_done(k, id, &reply))
		return true;
	if (k->done == NULL)
		return false;
	k->done(k->owner, id, &reply, k->done_data);
	return true;
}

static void
on_notification(struct core *k, const struct message *m)
{
	struct futured_value params;
	struct futured_pack all;
	char method[64];

	if (m->method_len >= sizeof method)
		return;
	memcpy(method, m->method, m->method_len);
	method[m->method_len] = '\0';
	if (strcmp(method, "done") == 0 && on_done(k, m))
		return;
	if (strcmp(method, "output") == 0 && follow_output(k, m))
		return;
	if (strcmp(method, "progress") == 0 && watch_progress(k, m))
		return;
	if (k->heard == NULL)
		return;
	/* The handler sees an array; what the message gives is its inside. */
	packer_init(&all);
	pack_array(&all.buf, m->param_count);
	pack_raw(&all.buf, m->params.at, (size_t)(m->params.end - m->params.at));
	params = futured_pack_value(&all);
	if (!all.buf.failed)
		k->heard(k->owner, method, params, k->heard_data);
	packer_clear(&all);
}

static void
dispatch(struct core *k, const uint8_t *bytes, size_t len)
{
	struct message m;
	const char *why;

	if (message_parse(bytes, len, &m, &why) != MESSAGE_OK)
		core_end(k, FUTURED_PROTOCOL, why);
	else if (m.type == MESSAGE_RESPONSE)
		on_response(k, &m);
	else if (m.type == MESSAGE_NOTIFICATION)
		on_notification(k, &m);
	else
		core_end(k, FUTURED_PROTOCOL, "the daemon sent a request");
}

uint8_t *
core_room(struct core *k, size_t want, size_t *room)
{
	uint64_t needs = k->in.len > 0 ? frame_scan_needs(&k->scan) : 0;

	if (needs < WARM_MIN || k->warm == NULL || k->in.len + needs <= k->in.cap || !warm_use(k->warm, &k->in, k->in.len + (size_t)needs))
		buf_reserve(&k->in, want);
	if (k->in.failed) {
		k->in.failed = false; /* what is there is whole; only the next bytes have no room */
		return NULL;
	}
	*room = k->in.cap - k->in.len;
	return k->in.data + k->in.len;
}

uint8_t *
core_take_frame(struct core *k, struct warm **warm)
{
	size_t len;

	if (k->warm == NULL)
		k->warm = warm_new();
	*warm = k->warm != NULL ? warm_hold(k->warm) : NULL;
	return buf_take(&k->in, &len);
}

enum futured_status
core_input(struct core *k, size_t len)
{
	size_t begin = 0, used = 0;

	k->in.len += len;
	k->dispatching = true;
	while (k->ended == FUTURED_OK && k->scanned < k->in.len) {
		enum frame_verdict v = frame_scan(&k->scan, k->in.data + k->scanned, k->in.len - k->scanned, &used);

		k->scanned += used;
		if (v == FRAME_MORE)
			break;
		if (v != FRAME_DONE) {
			core_end(k, FUTURED_PROTOCOL, frame_verdict_text(v));
			break;
		}
		dispatch(k, k->in.data + begin, k->scanned - begin);
		if (k->in.data == NULL) /* a reply has taken it: it was the last */
			k->scanned = 0;
		begin = k->scanned;
	}
	k->dispatching = false;
	if (k->ended != FUTURED_OK)
		return k->ended;
	buf_drain(&k->in, begin);
	k->scanned -= begin;
	if (k->in.len == 0 && k->in.cap > 1 << 20)
		buf_clear(&k->in); /* one large answer should not be held for ever */
	return FUTURED_OK;
}

/* Those that are still to be told stay where core_forget finds them. New ones are refused by now. */
static void
fail_requests(struct core *k, const struct futured_reply *reply)
{
	for (size_t i = 0; i < k->cap; i++) {
		struct core_request was = k->slot[i];

		if (was.msgid == 0)
			continue;
		slot_release(k, &k->slot[i]);
		if (was.done != NULL)
			was.done(k->owner, reply, was.data);
	}
	free(k->slot);
	k->slot = NULL;
	k->cap = 0;
}

/* ---- from one connection to the next ---- */

/* Whether the other side may have heard it whole. */
static bool
may_be_heard(const struct core *k, const struct core_request *s)
{
	return s->end <= k->sent;
}

void
core_hold(struct core *k, const char *why)
{
	bool nested = k->dispatching;
	struct futured_reply lost;
	size_t cap;

	reply_local(&lost, FUTURED_LOST, why);
	for (size_t i = 0; i < k->cap; i++)
		if (k->slot[i].msgid != 0 && (k->slot[i].hello || (may_be_heard(k, &k->slot[i]) && !k->slot[i].safe)))
			k->slot[i].hello = true; /* from here on: never said again */
		else
			k->slot[i].end = UINT64_MAX;
	k->held = true;
	k->dispatching = true;
	for (size_t i = 0; i < k->cap; i++) {
		struct core_request was = k->slot[i];

		if (was.msgid == 0 || !was.hello)
			continue;
		cap = k->cap;
		slot_release(k, &k->slot[i]);
		if (was.done != NULL)
			was.done(k->owner, &lost, was.data);
		if (k->cap != cap) /* a callback's request made the table grow: things have moved */
			i = (size_t)-1;
	}
	k->dispatching = nested;
	buf_clear(&k->in);
	buf_clear(&k->out);
	k->out_at = k->scanned = k->lent_len = 0;
	k->queued = k->sent = 0;
	k->mute = false;
	frame_scan_init(&k->scan, k->limit);
}

/* Numbers are dealt upwards and wrap around, so order is by distance. */
static int
by_age(const void *a, const void *b)
{
	const struct core_request *x = *(struct core_request *const *)a, *y = *(struct core_request *const *)b;
	int32_t d = (int32_t)(x->msgid - y->msgid);

	return d < 0 ? -1 : d > 0;
}

enum futured_status
core_resume(struct core *k)
{
	struct core_request **held = calloc(k->used + 1, sizeof *held);
	size_t n = 0;

	if (held == NULL)
		return FUTURED_NO_MEMORY;
	for (size_t i = 0; i < k->cap; i++)
		if (k->slot[i].msgid != 0 && k->slot[i].frame != NULL)
			held[n++] = &k->slot[i];
	qsort(held, n, sizeof *held, by_age);
	for (size_t i = 0; i < n && !k->out.failed; i++) {
		buf_append(&k->out, held[i]->frame, held[i]->len);
		held[i]->end = k->queued += held[i]->len;
	}
	free(held);
	if (k->out.failed)
		return FUTURED_NO_MEMORY;
	k->held = false;
	return FUTURED_OK;
}

void
core_end(struct core *k, enum futured_status status, const char *text)
{
	bool nested = k->dispatching;
	struct futured_reply reply;

	if (k->ended != FUTURED_OK)
		return;
	k->ended = status;
	k->lent_len = 0;
	snprintf(k->reason, sizeof k->reason, "%s", text != NULL ? text : futured_status_text(status));
	reply_local(&reply, status, k->reason);
	k->dispatching = true;
	fail_requests(k, &reply);
	watch_end(k, &reply);
	follow_end(k, &reply);
	k->dispatching = nested;
}

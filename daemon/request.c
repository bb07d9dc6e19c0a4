#include "daemon/request.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/clock.h"
#include "daemon/errors.h"
#include "daemon/log.h"
#include "daemon/login.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "proto/error.h"
#include "proto/pack.h"

enum { SECONDS_MAX = 1000000000 };

/* ---- dispatch ---- */

static const struct method *
find_method(const char *name, size_t len)
{
	for (const struct method *m = request_methods; m->name; m++)
		if (key_is(name, len, m->name))
			return m;
	return NULL;
}

void
request_protocol_error(struct conn *c, const char *why)
{
	if (c->finishing)
		c->last_words = why; /* behind all others */
	else
		answer_fail(c, 0, STATUS_PROTOCOL, 0, "%s", why);
}

static void
dispatch(struct conn *c, const struct message *m, const uint8_t *frame, size_t len)
{
	struct request r = { .conn = c, .msgid = m->msgid, .params = m->params, .left = m->param_count, .frame = frame, .frame_len = len };

	r.method = find_method(m->method, m->method_len);
	if (!c->owner && (!r.method || strcmp(r.method->name, "hello") != 0)) {
		login_refuse(c->login, m->msgid, "say hello first, and who you are", "a call before hello");
		return;
	}
	if (!r.method) {
		int shown = (int)(m->method_len < 64 ? m->method_len : 64);
		request_fail(&r, STATUS_UNKNOWN_METHOD, 0, "there is no method '%.*s'", shown, m->method);
		return;
	}
	if (m->param_count > r.method->params) {
		request_fail(&r, STATUS_VALUE, 0, "%s: expected at most %u parameters, got %u", r.method->name, r.method->params, m->param_count);
		return;
	}
	if (c->owner && !access_may_call(c, r.method->right)) {
		request_fail(&r, STATUS_PERMISSION, 0, "%s: %s may not do that: its role is %s", r.method->name, c->owner->name, role_name(c->role));
		return;
	}
	r.method->handle(&r);
}

bool
request_handle(struct conn *c, const uint8_t *bytes, size_t len)
{
	struct message m;
	const char *why = NULL;

	if (message_parse(bytes, len, &m, &why) != MESSAGE_OK) {
		request_protocol_error(c, why ? why : "not a MessagePack-RPC message");
		return false;
	}
	if (m.type == MESSAGE_RESPONSE) {
		request_protocol_error(c, "a response from a client: nothing was asked");
		return false;
	}
	if (m.type == MESSAGE_REQUEST)
		dispatch(c, &m, bytes, len);
	return true; /* notifications from clients are ignored */
}

/* Whether the first element says so already. */
static bool
is_response(const uint8_t *bytes, size_t len)
{
	struct reader r;
	uint32_t count;
	uint64_t type;

	reader_init(&r, bytes, len);
	return read_array(&r, &count) && read_uint(&r, &type) && type == MESSAGE_RESPONSE;
}

bool
request_check(struct conn *c, const uint8_t *bytes, size_t len)
{
	const char *why = NULL;

	if (message_check(bytes, len, &why) != MESSAGE_BAD && !is_response(bytes, len))
		return true;
	if (!why)
		why = "a response from a client: nothing was asked";
	request_protocol_error(c, why);
	return false;
}

/* ---- answering ---- */

struct buf *
answer_result(struct conn *c, uint32_t msgid)
{
	struct buf *b = conn_say(c);
	message_result(b, msgid);
	return b;
}

void
answer_bytes(struct conn *c, uint32_t msgid, struct bytes value)
{
	answer_result(c, msgid);
	conn_say_bytes(c, value);
}

void
answer_error(struct conn *c, uint32_t msgid, struct bytes error)
{
	struct buf *b = conn_say(c);
	if (bytes_len(&error)) {
		pack_array(b, 4);
		pack_uint(b, MESSAGE_RESPONSE);
		pack_uint(b, msgid);
		conn_say_bytes(c, error);
		pack_nil(conn_say(c));
		return;
	}
	answer_fail(c, msgid, STATUS_LIMIT, 0, "the daemon had no memory for the error");
}

void
answer_fail(struct conn *c, uint32_t msgid, enum status s, uint64_t future, const char *fmt, ...)
{
	/* That nothing was accepted rests on no commit, nor does what a stranger is told. */
	bool now = s == STATUS_STORE || s == STATUS_AUTHENTICATION || !c->owner;
	char text[2048];
	struct buf b;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_init(&b);
	error_pack(&b, s, future, "%s", text);
	message_error(now ? conn_say_now(c) : conn_say(c), msgid, b.data, b.len);
	buf_clear(&b);
}

void
answer_outcome(struct conn *c, uint32_t msgid, struct future *f)
{
	if (f->state == FUTURE_FINISHED && !f->failed) {
		answer_bytes(c, msgid, f->value);
		return;
	}
	struct bytes error = error_of(f);
	if (f->undone)
		message_error(conn_say_now(c), msgid, bytes_data(&error), bytes_len(&error));
	else
		answer_error(c, msgid, error);
	bytes_drop(&error);
	if (access_may_change(c, f))
		future_see(f);
}

struct buf *
request_result(struct request *r)
{
	return answer_result(r->conn, r->msgid);
}

void
request_encoded(struct request *r, struct buf *from)
{
	struct bytes value;

	if (bytes_take(&value, from)) {
		answer_bytes(r->conn, r->msgid, value);
		bytes_drop(&value);
	} else {
		request_no_memory(r);
	}
	buf_clear(from);
}

void
request_nil(struct request *r)
{
	pack_nil(request_result(r));
}

void
request_fail(struct request *r, enum status s, uint64_t future, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	answer_fail(r->conn, r->msgid, s, future, "%s", text);
}

bool
request_no_memory(struct request *r)
{
	request_fail(r, STATUS_LIMIT, 0, "the daemon is out of memory");
	return false;
}

bool
request_pend(struct request *r, struct pending *p, void (*abandon)(struct pending *))
{
	if (conn_pend(r->conn, p, r->msgid, abandon))
		return true;
	request_fail(r, STATUS_LIMIT, 0, "limits.requests: this connection has %u unfinished calls already", r->conn->pending_count);
	return false;
}

/* ---- parameters ---- */

/* "str 'abc'", "int 7", "nil", "nothing": what came, for messages. */
static void
describe(const struct reader *value, char *text, size_t size)
{
	struct reader r = *value;
	const char *s;
	size_t len;
	int64_t i;
	double d;

	switch (reader_peek(&r)) {
	case READER_STR:
		read_str(&r, &s, &len);
		snprintf(text, size, "str '%.*s'%s", (int)(len < 40 ? len : 40), s, len > 40 ? "…" : "");
		break;
	case READER_INT:
		if (read_int(&r, &i))
			snprintf(text, size, "int %lld", (long long)i);
		else
			snprintf(text, size, "int above 2^63");
		break;
	case READER_FLOAT:
		read_number(&r, &d);
		snprintf(text, size, "float %g", d);
		break;
	case READER_END:
		snprintf(text, size, "nothing");
		break;
	default:
		snprintf(text, size, "%s", reader_type_name(reader_peek(&r)));
	}
}

bool
option_wrong(struct request *r, const char *name, const char *expected, const struct reader *value)
{
	char came[128];
	describe(value, came, sizeof came);
	request_fail(r, STATUS_VALUE, 0, "%s: %s: expected %s, got %s", r->method->name, name, expected, came);
	return false;
}

static struct reader
next(struct request *r)
{
	struct reader none = { .at = r->params.end, .end = r->params.end };
	return r->left ? r->params : none;
}

static bool
wrong(struct request *r, const char *name, const char *expected)
{
	struct reader value = next(r);
	return option_wrong(r, name, expected, &value);
}

bool
param_given(struct request *r)
{
	if (!r->left)
		return false;
	if (!read_nil(&r->params))
		return true;
	r->left--;
	return false;
}

static bool
passed(struct request *r)
{
	r->left--;
	return true;
}

bool
param_str(struct request *r, const char *name, const char **s, size_t *len)
{
	if (!r->left || !read_str(&r->params, s, len))
		return wrong(r, name, "a str");
	if (!utf8_is_valid(*s, *len)) {
		request_fail(r, STATUS_VALUE, 0, "%s: %s: expected UTF-8, got other bytes", r->method->name, name);
		return false;
	}
	return passed(r);
}

bool
param_id(struct request *r, const char *name, uint64_t *id)
{
	struct reader at = next(r);
	if (!r->left || !read_uint(&at, id) || *id < 1 || *id > REGISTRY_ID_MAX)
		return wrong(r, name, "a future id, 1 to 2^53-1");
	r->params = at;
	return passed(r);
}

bool
request_no_future(struct request *r, uint64_t id)
{
	if (id >= registry_next())
		request_fail(r, STATUS_UNKNOWN_FUTURE, id, "there is no future %llu: no such id was given yet", (unsigned long long)id);
	else
		request_fail(r, STATUS_EXPIRED_FUTURE, id, "future %llu is not to be had any more: it was released, its retain is over, or it is another's",
		    (unsigned long long)id);
	return false;
}

struct future *
request_future(struct request *r, uint64_t id)
{
	struct future *f = access_find(r->conn, id);
	if (!f)
		request_no_future(r, id);
	return f;
}

struct pool *
request_pool(struct request *r, const char *name, size_t len)
{
	struct pool *p = pool_find(name, len);

	if (p && access_may_find(r->conn, p))
		return p;
	request_fail(r, STATUS_UNKNOWN_POOL, 0, "there is no pool '%.*s'", (int)(len < 100 ? len : 100), name);
	return NULL;
}

bool
request_may_use(struct request *r, const struct pool *p)
{
	const char *refusal = access_refusal(r->conn, p);

	if (refusal)
		request_fail(r, STATUS_PERMISSION, 0, "%s: pool %s: %s may not use it (%s)", r->method->name, p->name, r->conn->owner->name, refusal);
	return !refusal;
}

bool
request_not_yours(struct request *r, uint64_t id)
{
	request_fail(r, STATUS_PERMISSION, id, "%s: future %llu is another's: you may look at it and not change it", r->method->name,
	    (unsigned long long)id);
	return false;
}

/* Reads the array into ids, without looking whether they exist. */
static bool
read_ids(struct request *r, struct ids *ids)
{
	uint32_t elements;

	if (!r->left || !read_array(&r->params, &elements))
		return wrong(r, "ids", "an array of ids and [first, count] pairs");
	for (uint32_t i = 0; i < elements; i++) {
		struct reader at = r->params;
		uint64_t first = 0, count;
		if (!ids_read_element(&at, &first, &count)) {
			char name[32];
			snprintf(name, sizeof name, "ids[%u]", i);
			return option_wrong(r, name, "an id, 1 to 2^53-1, or a pair [first, count]", &r->params);
		}
		r->params = at;
		if (count > IDS_MAX - ids->total) {
			request_fail(r, STATUS_VALUE, 0, "%s: ids: expected at most %d in all, got more", r->method->name, IDS_MAX);
			return false;
		}
		if (!ids_add(ids, first, count)) {
			request_no_memory(r);
			return false;
		}
	}
	return passed(r);
}

/* The first one that is not there; 0 if all are. */
static uint64_t
missing(struct conn *c, const struct ids *ids, bool lenient)
{
	for (size_t i = 0; i < ids->runs; i++) {
		const struct id_run *run = &ids->run[i];
		uint64_t end = run->first + run->count;
		if (lenient) {
			if (end > registry_next())
				return run->first >= registry_next() ? run->first : registry_next();
			continue;
		}
		uint64_t id = access_missing(c, run->first, run->count);
		if (id)
			return id;
	}
	return 0;
}

/* The first one that is another's; 0 if none is. */
static uint64_t
foreign(struct conn *c, const struct ids *ids)
{
	uint64_t id = 0;
	for (size_t i = 0; i < ids->runs && !id; i++)
		id = access_foreign(c, ids->run[i].first, ids->run[i].count);
	return id;
}

bool
param_ids(struct request *r, struct ids *ids)
{
	*ids = (struct ids){ .runs = 0 };
	if (read_ids(r, ids))
		return true;
	ids_clear(ids);
	return false;
}

bool
request_ids(struct request *r, struct ids *ids, enum ids_for what)
{
	uint64_t id = missing(r->conn, ids, what == IDS_RELEASE), other = 0;

	if (!id && what != IDS_SEE)
		other = foreign(r->conn, ids);
	if (!id && !other)
		return true;
	ids_clear(ids);
	return id ? request_no_future(r, id) : request_not_yours(r, other);
}

bool
param_bin(struct request *r, const char *name, const uint8_t **bytes, size_t *len)
{
	if (!r->left || !read_bin(&r->params, bytes, len))
		return wrong(r, name, "bin");
	return passed(r);
}

bool
param_array(struct request *r, const char *name, const uint8_t **raw, size_t *len)
{
	if (!r->left || reader_peek(&r->params) != READER_ARRAY || !read_raw(&r->params, raw, len))
		return wrong(r, name, "an array");
	return passed(r);
}

bool
param_timeout(struct request *r, uint64_t *us)
{
	double seconds;
	struct reader at = r->params;

	*us = UINT64_MAX;
	if (!param_given(r))
		return true;
	at = r->params;
	if (!read_number(&at, &seconds) || !isfinite(seconds) || seconds > SECONDS_MAX)
		return wrong(r, "timeout", "seconds, up to 10^9, or nil");
	*us = seconds > 0 ? clock_us(seconds) : 0;
	r->params = at;
	return passed(r);
}

/* ---- options ---- */

bool
key_is(const char *key, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(key, word, len) == 0;
}

bool
options_read(struct request *r, bool (*each)(struct request *, const char *, size_t, struct reader *, void *), void *arg)
{
	uint32_t pairs;

	if (!param_given(r))
		return true;
	if (!read_map(&r->params, &pairs))
		return wrong(r, "options", "a map");
	while (pairs--) {
		const char *key;
		size_t len, raw_len;
		const uint8_t *raw;
		struct reader value;
		if (!read_str(&r->params, &key, &len))
			return option_wrong(r, "options", "keys that are str", &r->params);
		if (!read_raw(&r->params, &raw, &raw_len))
			return wrong(r, "options", "a map");
		reader_init(&value, raw, raw_len);
		if (!each(r, key, len, &value, arg))
			return false;
	}
	return passed(r);
}

bool
option_unknown(struct request *r, const char *key, size_t len)
{
	request_fail(r, STATUS_VALUE, 0, "%s: there is no option '%.*s'", r->method->name, (int)(len < 64 ? len : 64), key);
	return false;
}

bool
option_bool(struct request *r, const char *name, struct reader *value, bool *out)
{
	return read_bool(value, out) || option_wrong(r, name, "true or false", value);
}

bool
option_int(struct request *r, const char *name, struct reader *value, int64_t low, int64_t high, int64_t *out)
{
	char expected[80];
	struct reader at = *value;

	if (read_int(&at, out) && *out >= low && *out <= high)
		return true;
	snprintf(expected, sizeof expected, "an int from %lld to %lld", (long long)low, (long long)high);
	return option_wrong(r, name, expected, value);
}

bool
option_seconds(struct request *r, const char *name, struct reader *value, uint64_t *us)
{
	struct reader at = *value;
	double seconds;

	if (!read_number(&at, &seconds) || !(seconds >= 0 && seconds <= SECONDS_MAX))
		return option_wrong(r, name, "seconds, 0 to 10^9", value);
	*us = clock_us(seconds);
	return true;
}

bool
option_str(struct request *r, const char *name, struct reader *value, size_t max, const char **s, size_t *len)
{
	struct reader at = *value;

	if (!read_str(&at, s, len))
		return option_wrong(r, name, "a str", value);
	if (*len > max) {
		request_fail(r, STATUS_VALUE, 0, "%s: %s: expected at most %zu bytes, got %zu", r->method->name, name, max, *len);
		return false;
	}
	if (!utf8_is_valid(*s, *len)) {
		request_fail(r, STATUS_VALUE, 0, "%s: %s: expected UTF-8, got other bytes", r->method->name, name);
		return false;
	}
	return true;
}

bool
option_text(struct request *r, const char *name, struct reader *value, size_t max, const char **s, size_t *len)
{
	return option_str(r, name, value, max, s, len) && (!memchr(*s, 0, *len) || option_wrong(r, name, "a str without NUL", value));
}

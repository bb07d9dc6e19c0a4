/* output, input: what a task prints, and its stdin. */
#include <stdlib.h>

#include "daemon/access.h"
#include "daemon/container.h"
#include "daemon/follow.h"
#include "daemon/handlers.h"
#include "daemon/input.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/request.h"
#include "proto/pack.h"

enum { OUTPUT_AT_ONCE = 1024 * 1024 };

struct which {
	bool stream[OUTPUT_STREAMS];
	bool both;
	uint64_t offset;
	bool follow;
};

static bool
read_which(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct which *w = arg;
	enum output_stream stream;
	const char *s;
	size_t n;
	struct reader at = *value;

	if (key_is(key, len, "follow"))
		return option_bool(r, "follow", value, &w->follow);
	if (key_is(key, len, "offset"))
		return (read_uint(&at, &w->offset) && w->offset <= REGISTRY_ID_MAX) || option_wrong(r, "offset", "an int, 0 to 2^53-1", value);
	if (!key_is(key, len, "stream"))
		return option_unknown(r, key, len);
	if (!read_str(&at, &s, &n) || (!key_is(s, n, "both") && !output_stream_find(s, n, &stream)))
		return option_wrong(r, "stream", "'stdout', 'stderr' or 'both'", value);
	w->both = key_is(s, n, "both");
	for (int i = 0; i < OUTPUT_STREAMS; i++)
		w->stream[i] = w->both || i == (int)stream;
	return true;
}

/* One stream's bytes as a bin; returns how many. */
static size_t
pack_stream(struct buf *b, const struct future *f, enum output_stream which, uint64_t offset, size_t max)
{
	struct buf bytes;

	buf_init(&bytes);
	output_read(f, which, offset, max, &bytes);
	size_t len = bytes.len;
	pack_bin(b, len ? bytes.data : (const void *)"", len);
	b->failed |= bytes.failed;
	buf_clear(&bytes);
	return len;
}

void
req_output(struct request *r)
{
	struct which w = { .stream = { true, false } };
	uint64_t next[OUTPUT_STREAMS] = { UINT64_MAX, UINT64_MAX };
	struct future *f;
	uint64_t id;

	if (!param_id(r, "id", &id) || !options_read(r, read_which, &w) || !(f = request_future(r, id)))
		return;
	if (w.follow && !conn_may_follow(r->conn)) {
		request_fail(r, STATUS_LIMIT, 0, "limits.requests: this connection follows %u outputs already", r->conn->follow_count);
		return;
	}
	struct buf *b = request_result(r);
	if (w.both)
		pack_map(b, OUTPUT_STREAMS);
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		if (!w.stream[i])
			continue;
		if (w.both)
			pack_key(b, output_stream_name((enum output_stream)i));
		next[i] = w.offset + pack_stream(b, f, (enum output_stream)i, w.offset, w.both ? OUTPUT_AT_ONCE / 2 : OUTPUT_AT_ONCE);
	}
	if (w.follow && !follow_add(r->conn, f, next))
		conn_give_up(r->conn);
}

/* ---- input ---- */

struct feeding {
	struct pending pending;
	struct input_waiter waiter;
	uint64_t id; /* stays known: it is not final */
};

static void
feeding_free(struct feeding *f)
{
	bytes_drop(&f->waiter.data);
	free(f);
}

static void
on_answer(struct input_waiter *w, bool done)
{
	struct feeding *f = container(w, struct feeding, waiter);
	struct conn *c = conn_find(f->pending.conn_id);

	conn_unpend(&f->pending);
	if (done)
		pack_nil(answer_result(c, f->pending.msgid));
	else
		answer_fail(c, f->pending.msgid, STATUS_INVALID_STATE, f->id, "the task of future %llu ended before it took this input", (unsigned long long)f->id);
	feeding_free(f);
}

static void
on_abandon(struct pending *p)
{
	struct feeding *f = container(p, struct feeding, pending);
	struct future *future = registry_find(f->id);
	if (future)
		input_unwait(future, &f->waiter);
	feeding_free(f);
}

static void
wait_for_room(struct request *r, struct future *f, const uint8_t *data, size_t len, bool eof)
{
	struct feeding *feeding = calloc(1, sizeof *feeding);

	if (!feeding || !bytes_copy(&feeding->waiter.data, data, len)) {
		free(feeding);
		request_no_memory(r);
		return;
	}
	feeding->id = f->id;
	feeding->waiter.eof = eof;
	feeding->waiter.answer = on_answer;
	if (request_pend(r, &feeding->pending, on_abandon))
		input_wait(f, &feeding->waiter);
	else
		feeding_free(feeding);
}

static bool
read_eof(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	if (key_is(key, len, "eof"))
		return option_bool(r, "eof", value, arg);
	return option_unknown(r, key, len);
}

/* Drops those whose tasks are over, and all but one mention of each. */
static bool
compact_fed(struct conn *c)
{
	struct ids kept = { .runs = 0 };
	uint64_t id;
	bool good = true;

	ids_rewind(&c->fed);
	while (good && ids_next(&c->fed, &id)) {
		struct future *f = registry_find(id);
		if (f && !future_is_final(f))
			good = ids_add(&kept, id, 1);
	}
	(void)ids_unique(&kept); /* where it cannot, some stay there twice, and that changes nothing */
	ids_clear(&c->fed);
	c->fed = kept;
	c->fed_compact = 2 * kept.total + 64;
	return good;
}

/* Its disconnect ends the input of what it fed. One that is fed in turn with others may stand there twice: that costs a little, until the next
 * compaction, and changes nothing. */
static bool
remember_fed(struct conn *c, uint64_t id)
{
	const struct id_run *last = c->fed.runs ? &c->fed.run[c->fed.runs - 1] : NULL;

	if (last && last->first + last->count - 1 == id)
		return true;
	if (c->fed.total > c->fed_compact && !compact_fed(c))
		return false;
	return ids_add(&c->fed, id, 1);
}

/* Whether its owner may hold so much more; says so if not. */
static bool
may_hold(struct request *r, const struct future *f, size_t len)
{
	const struct owner *o = f->spec->owner;

	if (r->conn->role == ROLE_ADMIN || input_is_taken(f, len))
		return true;
	quota_make_bytes(o, len);
	if (quota_has_bytes(o, len))
		return true;
	request_fail(r, STATUS_LIMIT, f->id, "limits.user.bytes: %s has %llu bytes of arguments and results of at most %llu; %zu of input do not fit", o->name,
	    (unsigned long long)o->bytes, (unsigned long long)quota_bytes(), len);
	return false;
}

void
req_input(struct request *r)
{
	struct future *f;
	const uint8_t *data;
	size_t len;
	uint64_t id;
	bool eof = false, failed;

	if (!param_id(r, "id", &id) || !param_bin(r, "bin", &data, &len) || !options_read(r, read_eof, &eof) || !(f = request_future(r, id)))
		return;
	if (!access_may_change(r->conn, f)) {
		request_not_yours(r, id);
		return;
	}
	if (!input_is_open(f)) {
		request_fail(r, STATUS_INVALID_STATE, f->id, "future %llu takes no input: %s", (unsigned long long)f->id,
		    future_is_final(f) ? "it is over" : f->spec->stdin_kind == SPEC_STDIN_OPEN ? "its input has ended" : "it was submitted without stdin: true");
		return;
	}
	if (!may_hold(r, f, len))
		return;
	if (!remember_fed(r->conn, f->id)) {
		request_fail(r, STATUS_LIMIT, f->id, "the daemon is out of memory");
		return;
	}
	if (input_feed(f, data, len, eof, r->conn->id, &failed))
		request_nil(r);
	else if (failed)
		request_fail(r, STATUS_LIMIT, f->id, "the daemon is out of memory");
	else
		wait_for_room(r, f, data, len, eof);
}

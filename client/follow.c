/* Who follows the output of a future: the answer of `output` brings what there is, notifications bring the rest. */
#define HASH_NONFATAL_OOM 1
#include "client/follow.h"
#include "client/connection.h"
#include "client/packer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { STREAM_OUT = 1, STREAM_ERR = 2 };

struct follower {
	uint64_t id;
	struct core *core;
	uint64_t offset;   /* asked for */
	uint64_t next[2];  /* where each stream goes on */
	unsigned open;     /* streams that have not ended */
	bool answered;     /* before that the request mentions it */
	bool unlinked;     /* out of the table, to be freed once answered */
	void (*heard)(struct futured *c, uint64_t id, const struct futured_output *output, void *data);
	void *data;
	UT_hash_handle hh;
};

static unsigned
stream_bit(const char *name, size_t len)
{
	if (len == 6 && memcmp(name, "stdout", 6) == 0)
		return STREAM_OUT;
	if (len == 6 && memcmp(name, "stderr", 6) == 0)
		return STREAM_ERR;
	return 0;
}

static void
unlink_follower(struct follower *f)
{
	if (!f->unlinked)
		HASH_DEL(f->core->follower, f);
	f->unlinked = true;
	if (f->answered)
		free(f);
}

static void
tell_bytes(struct follower *f, unsigned stream, uint64_t offset, const void *bytes, size_t len, bool eof)
{
	struct futured_output out = { .stream = stream == STREAM_OUT ? "stdout" : "stderr", .offset = offset, .bytes = bytes,
		.len = len, .eof = eof };

	if (offset + len > f->next[stream == STREAM_ERR])
		f->next[stream == STREAM_ERR] = offset + len;
	f->heard(f->core->owner, f->id, &out, f->data);
}

static void
tell_error(struct follower *f, const struct futured_reply *reply)
{
	struct futured_output out = { .stream = "", .error = reply, .eof = true };

	f->heard(f->core->owner, f->id, &out, f->data);
}

/* What there was when we asked: a bin, or a map with one per stream. */
static void
tell_answer(struct follower *f, struct futured_value v)
{
	struct futured_value one;
	const void *bytes;
	size_t len;

	if (futured_value_bin(v, &bytes, &len)) {
		if (len > 0)
			tell_bytes(f, f->open & STREAM_OUT ? STREAM_OUT : STREAM_ERR, f->offset, bytes, len, false);
		return;
	}
	if (futured_value_find(v, "stdout", &one) && futured_value_bin(one, &bytes, &len) && len > 0)
		tell_bytes(f, STREAM_OUT, f->offset, bytes, len, false);
	if (futured_value_find(v, "stderr", &one) && futured_value_bin(one, &bytes, &len) && len > 0)
		tell_bytes(f, STREAM_ERR, f->offset, bytes, len, false);
}

static void
on_answer(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct follower *f = data;

	(void)c;
	f->answered = true;
	if (f->unlinked) { /* its end came first, or the connection's */
		free(f);
		return;
	}
	if (reply->status == FUTURED_OK) {
		tell_answer(f, reply->value);
		return;
	}
	tell_error(f, reply);
	unlink_follower(f);
}

/* output [id, stream, offset, bin, eof] */
bool
follow_output(struct core *k, const struct message *m)
{
	struct reader r = m->params;
	const uint8_t *bytes;
	const char *name;
	struct follower *f;
	uint64_t id, offset;
	size_t name_len, len;
	unsigned stream;
	bool eof;

	if (m->param_count < 5 || !read_uint(&r, &id) || !read_str(&r, &name, &name_len) || !read_uint(&r, &offset) ||
	    !read_bin(&r, &bytes, &len) || !read_bool(&r, &eof))
		return false;
	HASH_FIND(hh, k->follower, &id, sizeof id, f);
	stream = stream_bit(name, name_len);
	if (f == NULL || stream == 0)
		return f != NULL;
	if (eof)
		f->open &= ~stream;
	tell_bytes(f, stream, offset, bytes, len, eof);
	if (f->open == 0)
		unlink_follower(f);
	return true;
}

static enum futured_status
ask(struct follower *f)
{
	const char *streams = f->open == STREAM_OUT ? "stdout" : f->open == STREAM_ERR ? "stderr" : "both";
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	futured_packf(&p, "u{ss su sb}", f->id, "stream", streams, "offset", f->offset, "follow", 1);
	status = core_request(f->core, "output", &p, on_answer, f, NULL);
	packer_clear(&p);
	return status;
}

enum futured_status
follow_resume(struct core *k)
{
	for (struct follower *f = k->follower; f != NULL; f = f->hh.next) {
		enum futured_status status;

		if (!f->answered) /* its request is among those that are said again */
			continue;
		f->offset = f->open == STREAM_OUT || (f->open & STREAM_OUT && f->next[0] < f->next[1]) ? f->next[0] : f->next[1];
		if ((status = ask(f)) != FUTURED_OK)
			return status;
		f->answered = false;
	}
	return FUTURED_OK;
}

enum futured_status
follow_add(struct core *k, uint64_t id, const char *streams, uint64_t offset,
	void (*heard)(struct futured *c, uint64_t id, const struct futured_output *output, void *data), void *data)
{
	enum futured_status status;
	struct follower *f;

	HASH_FIND(hh, k->follower, &id, sizeof id, f);
	if (f != NULL)
		return FUTURED_INVALID_STATE;
	if ((f = calloc(1, sizeof *f)) == NULL)
		return FUTURED_NO_MEMORY;
	f->id = id;
	f->core = k;
	f->offset = f->next[0] = f->next[1] = offset;
	f->heard = heard;
	f->data = data;
	f->open = strcmp(streams, "both") == 0 ? STREAM_OUT | STREAM_ERR : stream_bit(streams, strlen(streams));
	HASH_ADD(hh, k->follower, id, sizeof id, f);
	if (f->hh.tbl == NULL) {
		free(f);
		return FUTURED_NO_MEMORY;
	}
	if ((status = ask(f)) != FUTURED_OK) {
		f->answered = true;
		unlink_follower(f);
	}
	return status;
}

enum futured_status
futured_follow(struct futured *c, uint64_t id, const char *streams, uint64_t offset,
	void (*heard)(struct futured *c, uint64_t id, const struct futured_output *output, void *data), void *data)
{
	enum futured_status status = connection_check(c);

	if (status != FUTURED_OK)
		return status;
	if (strcmp(streams, "both") != 0 && stream_bit(streams, strlen(streams)) == 0)
		return connection_failed(c, FUTURED_VALUE, "streams: expected \"stdout\", \"stderr\" or \"both\"");
	status = follow_add(&c->core, id, streams, offset, heard, data);
	return connection_failed(c, status, status == FUTURED_INVALID_STATE ? "this future is being followed already" : NULL);
}

void
follow_end(struct core *k, const struct futured_reply *reply)
{
	struct follower *f;

	/* Requests have been told before us, so every follower that is left has been answered. */
	while ((f = k->follower) != NULL) {
		HASH_DEL(k->follower, f);
		f->unlinked = true;
		tell_error(f, reply);
		free(f);
	}
}

void
follow_clear(struct core *k)
{
	struct follower *f;

	for (size_t i = 0; i < k->cap; i++) {
		struct core_request *s = &k->slot[i];

		if (s->msgid == 0 || s->done != on_answer)
			continue;
		f = s->data;
		f->answered = true;
		if (f->unlinked)
			free(f);
	}
	while ((f = k->follower) != NULL) {
		HASH_DEL(k->follower, f);
		free(f);
	}
}

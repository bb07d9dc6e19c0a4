/* A task's output. */
#include "client/fut/printed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/json.h"
#include "client/fut/outcome.h"
#include "client/fut/pools.h"
#include "client/fut/show.h"
#include "client/fut/writer.h"

static bool
write_all(struct fut *f, int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR) {
			if (errno != EPIPE && fd == STDERR_FILENO)
				fut_say(f, "cannot write to stderr: %s", strerror(errno));
			else if (errno != EPIPE) /* whoever read it has seen enough */
				fut_cannot_write(f, errno);
			return false;
		}
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Until a piece is empty: that is all there is now. */
int
printed_each(struct fut *f, uint64_t id, const char *stream, uint64_t *offset,
	bool (*each)(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data), void *data)
{
	size_t len = 1;

	while (len > 0) {
		struct futured_reply *reply;
		const void *bytes;
		bool well;

		if (futured_callf(f->c, &reply, "output", "u{ss su}", id, "stream", stream, "offset", *offset) != FUTURED_OK) {
			int status = fut_refused(f, reply);

			futured_reply_free(reply);
			return status;
		}
		if (!futured_value_bin(futured_reply_value(reply), &bytes, &len))
			len = 0;
		well = len == 0 || each(f, stream, *offset, bytes, len, data);
		*offset += len;
		futured_reply_free(reply);
		if (!well)
			return fut_failed(f);
	}
	return EXIT_OK;
}

static bool
to_fd(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data)
{
	(void)stream;
	(void)offset;
	return write_all(f, *(int *)data, bytes, len);
}

int
printed_copy(struct fut *f, uint64_t id, const char *stream, int fd, uint64_t *length)
{
	*length = 0;
	return printed_each(f, id, stream, length, to_fd, &fd);
}

/* ---- what is missing ---- */

static bool
is_value_of_command(struct fut *f, struct futured_value map)
{
	struct futured_value state;
	bool failed = true, is;
	char *pool = cell_text(map, "pool");

	futured_find_bool(map, "failed", &failed);
	is = !failed && pool != NULL && futured_value_find(map, "state", &state) && futured_value_is_str(state, "FINISHED") &&
	     pools_is_command(f, pool);
	free(pool);
	return is;
}

void
printed_sizes(struct fut *f, struct futured_value map, struct printed_sizes *out, struct printed_sizes *err)
{
	struct futured_value kept, error;
	struct futured_reply *reply = NULL;
	struct futured_error e;
	bool failed = false;
	struct printed p;
	uint64_t id = 0;

	*out = *err = (struct printed_sizes){ 0, 0 };
	futured_find_bool(map, "failed", &failed);
	futured_find_uint(map, "id", &id);
	if (!futured_value_find(map, "output", &kept))
		return;
	futured_find_uint(kept, "stdout", &out->kept);
	futured_find_uint(kept, "stderr", &err->kept);
	memset(&p, 0, sizeof p);
	/* An error is here already. A value is asked for where it is a command's: no more than its pool keeps in memory. */
	if (failed && futured_value_find(map, "error", &error) && futured_error_read(error, &e) && e.status == FUTURED_EXIT)
		outcome_streams(error, &p);
	else if (out->kept + err->kept > 0 && is_value_of_command(f, map) && futured_callf(f->c, &reply, "result", "ui", id, 0) == FUTURED_OK)
		outcome_streams(futured_reply_value(reply), &p);
	out->total = p.out_len + p.out_cut;
	err->total = p.err_len + p.err_cut;
	futured_reply_free(reply);
}

bool
printed_is_cut(const struct fut *f, uint64_t id, const char *stream, struct printed_sizes sizes)
{
	char *total, *missing;

	if (sizes.kept >= sizes.total)
		return false;
	total = show_count(sizes.total);
	missing = show_count(sizes.total - sizes.kept);
	fut_say(f, "%s of %" PRIu64 " was cut: %s of %s bytes were not kept", stream, id, missing, total);
	free(total);
	free(missing);
	return true;
}

int
printed_check(struct fut *f, uint64_t id, bool out, bool err)
{
	struct printed_sizes out_sizes, err_sizes;
	struct futured_reply *reply;
	int status = EXIT_OK;

	if (futured_callf(f->c, &reply, "show", "u", id) == FUTURED_OK) {
		printed_sizes(f, futured_reply_value(reply), &out_sizes, &err_sizes);
		if (((int)(out && printed_is_cut(f, id, "stdout", out_sizes)) | (int)(err && printed_is_cut(f, id, "stderr", err_sizes))) != 0)
			status = fut_failed(f);
	} else
		status = fut_refused(f, reply);
	futured_reply_free(reply);
	return status;
}

/* ---- the last lines ---- */

struct tail {
	char *data;
	size_t len, cap;
	int64_t lines;
};

/* Where the last `lines` lines begin. */
static size_t
tail_begin(const struct tail *t)
{
	int64_t left = t->lines;
	size_t at = t->len;

	if (left == 0)
		return t->len;
	if (at > 0 && t->data[at - 1] == '\n')
		at--;
	for (; at > 0; at--)
		if (t->data[at - 1] == '\n' && --left == 0)
			break;
	return at;
}

static bool
to_tail(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data)
{
	struct tail *t = data;
	size_t begin;

	(void)f;
	(void)stream;
	(void)offset;
	if (t->len + len > t->cap)
		t->data = need(realloc(t->data, t->cap = (t->len + len) * 2));
	memcpy(t->data + t->len, bytes, len);
	t->len += len;
	if ((begin = tail_begin(t)) > 0)
		memmove(t->data, t->data + begin, t->len -= begin);
	return true;
}

int
printed_tail(struct fut *f, uint64_t id, const char *stream, int fd, int64_t lines, uint64_t *offset)
{
	struct tail t = { .lines = lines };
	int status;

	*offset = 0;
	status = printed_each(f, id, stream, offset, to_tail, &t);
	if (status == EXIT_OK && !write_all(f, fd, t.data, t.len))
		status = fut_failed(f);
	free(t.data);
	return status;
}

/* ---- following ---- */

struct follow {
	struct fut *f;
	uint64_t id;
	int out_fd, err_fd;
	uint64_t out_seen, err_seen;
	int open; /* streams that have not ended */
	bool failed;
	int status;
};

static void
print_piece(struct follow *w, const struct futured_output *o, const char *bytes, size_t len, uint64_t offset)
{
	int fd = strcmp(o->stream, "stderr") == 0 ? w->err_fd : w->out_fd;

	if (w->f->json) {
		printf("{\"id\": %" PRIu64 ", \"stream\": \"%s\", \"offset\": %" PRIu64 ", \"data\": ", w->id, o->stream, offset);
		jsonout_printed(stdout, bytes, len);
		fputs("}\n", stdout);
		if (!fut_flush()) {
			w->failed = true;
			w->status = fut_failed(w->f);
		}
	} else if (fd >= 0 && !write_all(w->f, fd, bytes, len)) {
		w->failed = true;
		w->status = fut_failed(w->f);
	}
}

static void
on_output(struct futured *c, uint64_t id, const struct futured_output *o, void *data)
{
	struct follow *w = data;
	uint64_t *seen = strcmp(o->stream, "stderr") == 0 ? &w->err_seen : &w->out_seen, skip;

	(void)c;
	(void)id;
	if (w->failed)
		return;
	if (o->error != NULL) {
		w->failed = true;
		w->status = futured_reply_status(o->error) == FUTURED_LOST ? fut_lost_ids(w->f, FUTURED_LOST, &w->id, 1) : fut_refused(w->f, o->error);
		return;
	}
	skip = o->offset < *seen ? *seen - o->offset : 0;
	if (o->len > skip) {
		print_piece(w, o, (const char *)o->bytes + skip, o->len - (size_t)skip, o->offset + skip);
		*seen = o->offset + o->len;
	}
	if (o->eof)
		w->open--;
}

static int
follow(struct follow *w, bool out, bool err)
{
	enum futured_status status;
	uint64_t from = !err ? w->out_seen : !out ? w->err_seen : w->out_seen < w->err_seen ? w->out_seen : w->err_seen;

	w->open = out + err;
	if ((status = futured_follow(w->f->c, w->id, out && err ? "both" : out ? "stdout" : "stderr", from, on_output, w)) != FUTURED_OK)
		return fut_lost_ids(w->f, status, &w->id, 1);
	while (w->open > 0 && !w->failed)
		if ((status = futured_step(w->f->c, -1)) != FUTURED_OK && w->open > 0 && !w->failed)
			return fut_lost_ids(w->f, status, &w->id, 1);
	return w->failed ? w->status : EXIT_OK;
}

int
printed_follow(struct fut *f, uint64_t id, int out_fd, int err_fd, struct printed_from from)
{
	struct follow w = { .f = f, .id = id, .out_fd = out_fd, .err_fd = err_fd, .out_seen = from.out, .err_seen = from.err };

	return follow(&w, out_fd >= 0, err_fd >= 0);
}

static bool
to_json(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data)
{
	struct futured_output o = { .stream = stream };

	(void)f;
	print_piece(data, &o, bytes, len, offset);
	return true;
}

int
printed_json(struct fut *f, uint64_t id, bool out, bool err, bool follow_on)
{
	struct follow w = { .f = f, .id = id, .out_fd = -1, .err_fd = -1 };
	uint64_t offset = 0;
	int status = EXIT_OK;

	if (follow_on)
		return follow(&w, out, err);
	if (out)
		status = printed_each(f, id, "stdout", &offset, to_json, &w);
	offset = 0;
	if (err && status == EXIT_OK)
		status = printed_each(f, id, "stderr", &offset, to_json, &w);
	return status;
}

#include "daemon/answer.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/errors.h"
#include "daemon/host.h"
#include "daemon/input.h"
#include "daemon/output.h"
#include "daemon/pool.h"
#include "daemon/run.h"
#include "daemon/slot.h"
#include "daemon/stream.h"
#include "daemon/watch.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/worker.h"

enum { NOTE_MAX = 65536, ENVELOPE = 64 }; /* of progress; what stands around a value or an error, at most */

static const struct {
	const char *word;
	uint32_t elements;
} verbs[] = {
	[ANSWER_OK] = { "ok", 3 },
	[ANSWER_ERROR] = { "error", 3 },
	[ANSWER_CANCELLED] = { "cancelled", 2 },
	[ANSWER_EXIT] = { "exit", 3 },
	[ANSWER_OUTPUT] = { "output", 4 },
	[ANSWER_PROGRESS] = { "progress", 5 },
};

bool
answer_parse(const uint8_t *bytes, size_t len, struct answer *out, const char **why)
{
	struct reader r;
	uint32_t count;

	*out = (struct answer){ .id = 0 };
	*why = "it said something that is no answer";
	reader_init(&r, bytes, len);
	if (!read_array(&r, &count))
		return false;
	for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (!read_is(&r, verbs[i].word))
			continue;
		out->verb = (enum answer_verb)i;
		if (count < verbs[i].elements || !read_uint(&r, &out->id))
			return false;
		out->body = r;
		return true;
	}
	return false;
}

bool
answer_is_last(const struct answer *a)
{
	return a->verb != ANSWER_OUTPUT && a->verb != ANSWER_PROGRESS;
}

/* done, total or nil, note: said anew, since it is the daemon that says it to watchers. */
static bool
apply_progress(struct reader r, const struct future *f)
{
	size_t len, most = run_frame_limit() / 2 < NOTE_MAX ? (size_t)run_frame_limit() / 2 : NOTE_MAX;
	double done, total = 0;
	const char *note;
	struct buf b;

	bool good = read_number(&r, &done), known = !read_nil(&r);
	good = good && (!known || read_number(&r, &total)) && read_str(&r, &note, &len);
	if (!good)
		return false;
	buf_init(&b);
	pack_number(&b, done);
	if (known)
		pack_number(&b, total);
	else
		pack_nil(&b);
	pack_text(&b, note, len < most ? len : most);
	if (!b.failed)
		watch_progress(f, b.data, b.len);
	buf_clear(&b);
	return true;
}

bool
answer_apply_early(const struct answer *a, struct future *f, const char **why)
{
	struct reader r = a->body;
	enum output_stream which;
	const char *name;
	const uint8_t *bytes;
	size_t len;

	*why = "its progress is not two numbers and a str";
	if (a->verb == ANSWER_PROGRESS)
		return apply_progress(r, f);
	*why = "its output is not the name of a stream and a bin";
	if (!read_str(&r, &name, &len) || !output_stream_find(name, len, &which) || !read_bin(&r, &bytes, &len))
		return false;
	output_append(f, which, bytes, len);
	if (which == OUTPUT_STDERR && f->at.slot->host->reads_stderr)
		host_keep_stderr(f->at.slot->host, (const char *)bytes, len);
	return true;
}

/* ---- what a task that was being stopped ends as ---- */

static struct bytes
error_timeout(const struct future *f)
{
	return error_bytes(STATUS_TASK_TIMEOUT, f->id, "the task ran longer than its limit of %g s", (double)f->spec->timeout_us / 1e6);
}

/* Killed with the pool, which a client ended, or with all pools, by a daemon that was told to stop. */
static struct bytes
error_abandoned(const struct future *f)
{
	if (f->spec->pool->closed)
		return error_bytes(STATUS_BROKEN_POOL, f->id, "pool %s was terminated while the task was running", f->spec->pool->name);
	return error_bytes(STATUS_BROKEN_POOL, f->id, "the daemon was told to stop, and the task did not end in the time for that (stop_timeout): it was killed");
}

/* Of a daemon that was told to stop the next one goes on, as after a crash, where it learns of it. */
static bool
is_over(const struct future *f)
{
	return f->spec->pool->closed || !f->stored;
}

/* True if the future was being stopped, and has reached the state that this leads to. */
static bool
end_stopped(struct future *f)
{
	if (f->kill)
		future_cancelled(f);
	else if (f->past_deadline)
		future_fail(f, error_deadline(f));
	else if (f->abandon && is_over(f))
		future_fail_finally(f, error_abandoned(f));
	else if (f->abandon)
		future_fail(f, error_abandoned(f));
	else if (f->timed_out)
		future_fail(f, error_timeout(f));
	else
		return false;
	return true;
}

/* ---- exit: a command ended ---- */

struct exit_facts {
	int64_t status; /* -1: none */
	int64_t signal; /* 0: none */
	bool oom;
	const char *failed; /* could not be started; NULL: it could */
	size_t failed_len;
};

static bool
read_facts(struct reader r, struct future *f, struct exit_facts *out)
{
	const uint8_t *bytes;
	uint32_t pairs;
	size_t len;

	*out = (struct exit_facts){ .status = -1 };
	if (!read_map(&r, &pairs))
		return false;
	while (pairs--) {
		bool known = true;
		if (read_is(&r, "exit"))
			known = read_int(&r, &out->status);
		else if (read_is(&r, "signal"))
			known = read_int(&r, &out->signal);
		else if (read_is(&r, "oom"))
			known = read_bool(&r, &out->oom);
		else if (read_is(&r, "failed"))
			known = read_str(&r, &out->failed, &out->failed_len);
		else if (read_is(&r, "stdout") && (known = read_bin(&r, &bytes, &len)))
			output_append(f, OUTPUT_STDOUT, bytes, len);
		else if (known && read_is(&r, "stderr") && (known = read_bin(&r, &bytes, &len)))
			output_append(f, OUTPUT_STDERR, bytes, len);
		else if (known && read_is(&r, "rusage") && (known = read_raw(&r, &bytes, &len)) && future_more(f))
			known = (bytes_drop(&f->more->rusage), bytes_copy(&f->more->rusage, bytes, len));
		else if (known && (!read_skip(&r) || !read_skip(&r)))
			return false;
		if (!known)
			return false;
	}
	return out->status >= 0 || out->signal > 0;
}

/* Whether a value or an error of so many bytes fits into a message. */
static bool
fits(size_t len)
{
	return len + ENVELOPE <= run_frame_limit();
}

/* A value that no message could carry fails the task. */
static void
succeed(struct future *f)
{
	struct buf b, pairs;
	struct bytes value;

	buf_init(&b);
	buf_init(&pairs);
	unsigned count = output_pack_pairs(f, true, &pairs);
	pack_map(&b, count + 1);
	pack_key(&b, "exit");
	pack_uint(&b, 0);
	pack_raw(&b, pairs.data, pairs.len);
	b.failed |= pairs.failed;
	if (!b.failed && !fits(b.len))
		future_fail(f, error_bytes(STATUS_VALUE, f->id, "what the command printed does not fit into a message of %llu bytes; `output` has it",
		    (unsigned long long)run_frame_limit()));
	else if (bytes_take(&value, &b))
		future_succeed(f, value);
	else
		future_fail(f, error_bytes(STATUS_LIMIT, f->id, "the daemon has no memory for the task's value"));
	buf_clear(&b);
	buf_clear(&pairs);
}

static void
describe(const struct future *f, const struct exit_facts *e, char *text, size_t size)
{
	if (e->failed)
		snprintf(text, size, "%.*s", (int)(e->failed_len < 900 ? e->failed_len : 900), e->failed);
	else if (e->signal)
		snprintf(text, size, "%.200s was ended by signal %d (%s)%s", f->spec->fn, (int)e->signal, strsignal((int)e->signal),
		    e->oom ? ", because memory ran out" : "");
	else
		snprintf(text, size, "%.200s exited with status %d", f->spec->fn, (int)e->status);
}

static void
encode_exit_error(struct future *f, const struct exit_facts *e, bool kept, struct buf *b)
{
	struct buf pairs;
	char text[1024];

	buf_init(&pairs);
	unsigned count = output_pack_pairs(f, kept, &pairs);
	describe(f, e, text, sizeof text);
	error_begin(b, STATUS_EXIT, f->id, count + 1 + e->oom, "%s", text);
	pack_key(b, e->signal ? "signal" : "exit");
	pack_int(b, e->signal ? e->signal : e->status);
	if (e->oom) {
		pack_key(b, "oom");
		pack_bool(b, true);
	}
	pack_raw(b, pairs.data, pairs.len);
	b->failed |= pairs.failed;
	buf_clear(&pairs);
}

/* Where what it printed does not fit into a message, `output` alone has it. */
static struct bytes
exit_error(struct future *f, const struct exit_facts *e)
{
	struct bytes out = { .len = 0 };
	struct buf b;

	buf_init(&b);
	encode_exit_error(f, e, true, &b);
	if (!fits(b.len)) {
		buf_clear(&b);
		encode_exit_error(f, e, false, &b);
	}
	bytes_take(&out, &b);
	buf_clear(&b);
	return out;
}

static void
apply_exit(const struct answer *a, struct future *f, struct host *h)
{
	struct exit_facts e;

	if (!read_facts(a->body, f, &e)) {
		host_kill(h, "its exit message makes no sense");
		return;
	}
	if (end_stopped(f))
		return;
	if (f->ask && (e.signal || e.status != 0)) {
		future_cancelled(f);
		return;
	}
	if (e.signal == 0 && e.status == 0)
		succeed(f);
	else
		future_fail(f, exit_error(f, &e));
}

/* ---- ok, error, cancelled ---- */

static void
apply_value(const struct answer *a, struct future *f, struct stream *st, const uint8_t *frame, size_t len)
{
	struct reader r = a->body;
	const uint8_t *raw;
	size_t raw_len;
	struct bytes value = { .len = 0 };

	unsigned depth = reader_depth(&r);
	if (depth > WORKER_VALUE_DEPTH) {
		future_fail(f, error_bytes(STATUS_VALUE, f->id, "the task's value nests %u deep; at most %d is allowed", depth, WORKER_VALUE_DEPTH));
		return;
	}
	read_raw(&r, &raw, &raw_len);
	if (!fits(raw_len)) {
		future_fail(f, error_bytes(STATUS_VALUE, f->id, "the task's value has %zu bytes; a message may have %llu", raw_len,
		    (unsigned long long)run_frame_limit()));
		return;
	}
	if (raw_len > 65536) { /* worth not copying */
		struct block *block = stream_take_frame(st, frame, len);
		if (block) {
			value = bytes_slice(block, (size_t)(raw - frame), raw_len);
			block_drop(block);
		}
	} else {
		bytes_copy(&value, raw, raw_len);
	}
	if (!bytes_len(&value))
		future_fail(f, error_bytes(STATUS_LIMIT, f->id, "the daemon has no memory for the task's value"));
	else
		future_succeed(f, value);
}

/* A command raises nothing: it is the host that cannot make a program's arguments of what came, and never will. */
static void
apply_error(const struct answer *a, struct future *f, struct host *h)
{
	bool command = pool_is_command(f->spec->pool);
	unsigned depth = reader_depth(&a->body);
	if (depth > WORKER_VALUE_DEPTH + 1) {
		future_fail(f, error_bytes(STATUS_VALUE, f->id, "the task's error nests %u deep; its data may nest %d", depth, WORKER_VALUE_DEPTH));
		return;
	}
	struct bytes error = error_adopt(a->body, f->id, !command);
	if (!bytes_len(&error)) {
		host_kill(h, "its error is no error map");
		return;
	}
	size_t len = bytes_len(&error);
	if (!fits(len)) {
		bytes_drop(&error);
		error = error_bytes(STATUS_VALUE, f->id, "the task's error has %zu bytes; a message may have %llu", len, (unsigned long long)run_frame_limit());
	}
	if (command)
		future_fail_finally(f, error);
	else
		future_fail(f, error);
}

void
answer_apply(const struct answer *a, struct future *f, struct stream *st, const uint8_t *frame, size_t len)
{
	struct host *h = f->at.slot->host;

	input_end_of_task(f);
	if (a->verb == ANSWER_EXIT) {
		apply_exit(a, f, h);
		return;
	}
	if (end_stopped(f))
		return;
	switch (a->verb) {
	case ANSWER_OK:
		apply_value(a, f, st, frame, len);
		break;
	case ANSWER_ERROR:
		apply_error(a, f, h);
		break;
	default:
		future_cancelled(f);
		break;
	}
}

/* ---- the host died ---- */

static struct bytes
error_lost(const struct future *f, const struct host *h, int wait_status)
{
	struct bytes out = { .len = 0 };
	struct buf b;
	char text[512];
	bool signaled = WIFSIGNALED(wait_status);
	int number = signaled ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);

	if (h->broke)
		snprintf(text, sizeof text, "the worker (process %d) was killed: %s", (int)h->child.pid, h->broke);
	else if (signaled)
		snprintf(text, sizeof text, "the worker (process %d) was ended by signal %d (%s) while it ran the task%s", (int)h->child.pid, number, strsignal(number),
		    h->oom ? ": memory ran out" : "");
	else
		snprintf(text, sizeof text, "the worker (process %d) exited with status %d while it ran the task", (int)h->child.pid, number);
	buf_init(&b);
	error_begin(&b, STATUS_WORKER_LOST, f->id, 4, "%s", text);
	pack_key(&b, "pid");
	pack_int(&b, h->child.pid);
	pack_key(&b, signaled ? "signal" : "exit");
	pack_int(&b, number);
	pack_key(&b, "oom");
	pack_bool(&b, h->oom);
	pack_key(&b, "stderr");
	pack_bin(&b, h->err_tail, h->err_len);
	bytes_take(&out, &b);
	buf_clear(&b);
	return out;
}

void
answer_lost(struct future *f, const struct host *h, int wait_status)
{
	input_end_of_task(f);
	if (!end_stopped(f))
		future_fail(f, error_lost(f, h, wait_status));
}

/* The functions of futured_task.h. A value is packed straight into the slot's answer: the first put begins ["ok", id, …,
 * futured_fail replaces that by ["error", id, {type, message}, and a put behind it patches the map's header to hold `data`. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/pack.h"
#include "proto/worker.h"
#include "worker/native_stdout.h"
#include "worker/native_task.h"

enum { TEXT_MAX = 4096 };

/* ---- beginning and finishing ---- */

void
native_task_begin(struct futured_task *t)
{
	t->said = SAID_NOTHING;
	t->puts = 0;
	t->nested = false;
	t->cursor_index = 0;
	t->cursor = t->slot->task.args;
	t->secret_known = false;
}

/* Whether what was put is one value that may cross: plain ones are by construction. */
static bool
value_is_one(const struct futured_task *t)
{
	const struct buf *b = &t->slot->channel.out;
	struct frame_scan scan;
	struct reader r;
	size_t used;

	if (t->puts == 1 && !t->nested)
		return true;
	if (b->failed)
		return true; /* the slot sees to that */
	frame_scan_init(&scan, UINT32_MAX);
	if (frame_scan(&scan, b->data + t->start, b->len - t->start, &used) != FRAME_DONE || used != b->len - t->start)
		return false;
	reader_init(&r, b->data + t->start, used);
	return reader_depth(&r) <= WORKER_VALUE_DEPTH;
}

/* What the function has said stands, if it can. */
static void
finish_said(struct futured_task *t)
{
	if (t->said == SAID_VALUE && !value_is_one(t))
		slot_fail(t->slot, "ValueError", "what %.*s put is not one value nested at most %d deep", (int)t->slot->task.fn_len,
			t->slot->task.fn, WORKER_VALUE_DEPTH);
	else if (t->said == SAID_DATA && !value_is_one(t))
		slot_fail(t->slot, "ValueError", "the data of %.*s's error is not one value nested at most %d deep",
			(int)t->slot->task.fn_len, t->slot->task.fn, WORKER_VALUE_DEPTH);
	else if (t->said == SAID_NOTHING || t->said == SAID_WRONG)
		pack_nil(slot_ok(t->slot));
}

void
native_task_finish(struct futured_task *t, int returned)
{
	bool has_error = t->said == SAID_WRONG || t->said == SAID_ERROR || t->said == SAID_DATA;

	if (returned == FUTURED_OK || (returned == FUTURED_FAILED && (t->said == SAID_ERROR || t->said == SAID_DATA)))
		finish_said(t);
	else if (returned == FUTURED_CANCELLED && slot_is_stopped(t->slot))
		slot_cancelled(t->slot);
	else if (returned == FUTURED_CANCELLED)
		slot_fail(t->slot, "CancelledError", "%.*s gave up, but nobody had asked it to stop", (int)t->slot->task.fn_len,
			t->slot->task.fn);
	else if (!has_error)
		slot_fail(t->slot, "RuntimeError", "%.*s returned %d and no error", (int)t->slot->task.fn_len, t->slot->task.fn,
			returned);
}

/* ---- errors ---- */

static int
fail_va(struct futured_task *t, enum native_said said, const char *type, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static int
fail_va(struct futured_task *t, enum native_said said, const char *type, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];
	struct buf *b = slot_error(t->slot);

	vsnprintf(text, sizeof text, fmt, ap);
	t->said = said;
	t->error_map = b->len;
	slot_pack_error(b, 0, type, text, strlen(text));
	return FUTURED_FAILED;
}

int
futured_fail(struct futured_task *t, const char *type, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_va(t, SAID_ERROR, type, fmt, ap);
	va_end(ap);
	return FUTURED_FAILED;
}

/* For the futured_arg_ functions. */
static bool
wrong(struct futured_task *t, const char *type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool
wrong(struct futured_task *t, const char *type, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_va(t, SAID_WRONG, type, fmt, ap);
	va_end(ap);
	return false;
}

/* ---- arguments ---- */

/* A cursor at the argument; READER_END behind the last. */
static struct reader
arg(struct futured_task *t, size_t index)
{
	struct reader none = {0};

	if (index >= t->slot->task.arg_count)
		return none;
	if (index < t->cursor_index) {
		t->cursor_index = 0;
		t->cursor = t->slot->task.args;
	}
	for (; t->cursor_index < index; t->cursor_index++)
		if (!read_skip(&t->cursor))
			return none;
	return t->cursor;
}

static bool
wrong_type(struct futured_task *t, size_t index, struct reader r, const char *expected)
{
	const struct run *run = &t->slot->task;

	if (index >= run->arg_count)
		return wrong(t, "TypeError", "%.*s: argument %zu is missing, expected %s", (int)run->fn_len, run->fn, index + 1,
			expected);
	return wrong(t, "TypeError", "%.*s: argument %zu: expected %s, got %s", (int)run->fn_len, run->fn, index + 1, expected,
		reader_type_name(reader_peek(&r)));
}

size_t
futured_arg_count(struct futured_task *t)
{
	return t->slot->task.arg_count;
}

enum futured_type
futured_arg_type(struct futured_task *t, size_t index)
{
	struct reader r = arg(t, index);

	switch (reader_peek(&r)) {
	case READER_NIL: return FUTURED_NIL;
	case READER_BOOL: return FUTURED_BOOL;
	case READER_INT: return FUTURED_INT;
	case READER_FLOAT: return FUTURED_DOUBLE;
	case READER_STR: return FUTURED_STR;
	case READER_BIN: return FUTURED_BIN;
	case READER_ARRAY: return FUTURED_ARRAY;
	case READER_MAP: return FUTURED_MAP;
	case READER_EXT: return FUTURED_EXT;
	case READER_END:
	case READER_BAD: break;
	}
	return FUTURED_NONE;
}

bool
futured_args(struct futured_task *t, size_t min, size_t max)
{
	const struct run *run = &t->slot->task;

	if (run->arg_count >= min && run->arg_count <= max)
		return true;
	if (min == max)
		return wrong(t, "TypeError", "%.*s takes %zu argument%s, %" PRIu32 " came", (int)run->fn_len, run->fn, min,
			min == 1 ? "" : "s", run->arg_count);
	return wrong(t, "TypeError", "%.*s takes %zu to %zu arguments, %" PRIu32 " came", (int)run->fn_len, run->fn, min, max,
		run->arg_count);
}

bool
futured_arg_bool(struct futured_task *t, size_t index, bool *v)
{
	struct reader r = arg(t, index);

	return read_bool(&r, v) || wrong_type(t, index, r, "bool");
}

bool
futured_arg_int(struct futured_task *t, size_t index, int64_t *v)
{
	struct reader r = arg(t, index);

	if (read_int(&r, v))
		return true;
	if (reader_peek(&r) == READER_INT)
		return wrong(t, "ValueError", "%.*s: argument %zu does not fit into 64 bits with a sign", (int)t->slot->task.fn_len,
			t->slot->task.fn, index + 1);
	return wrong_type(t, index, r, "int");
}

bool
futured_arg_double(struct futured_task *t, size_t index, double *v)
{
	struct reader r = arg(t, index);

	return read_number(&r, v) || wrong_type(t, index, r, "float");
}

bool
futured_arg_str(struct futured_task *t, size_t index, const char **s, size_t *len)
{
	struct reader r = arg(t, index);

	return read_str(&r, s, len) || wrong_type(t, index, r, "str");
}

bool
futured_arg_bytes(struct futured_task *t, size_t index, const void **bytes, size_t *len)
{
	struct reader r = arg(t, index);
	const char *s;

	if (!read_text(&r, &s, len))
		return wrong_type(t, index, r, "str or bin");
	*bytes = s;
	return true;
}

bool
futured_arg_cstr(struct futured_task *t, size_t index, char *to, size_t size)
{
	const struct run *run = &t->slot->task;
	const void *bytes;
	size_t len;

	if (!futured_arg_bytes(t, index, &bytes, &len))
		return false;
	if (len >= size)
		return wrong(t, "ValueError", "%.*s: argument %zu has %zu bytes, expected less than %zu", (int)run->fn_len, run->fn,
			index + 1, len, size);
	if (memchr(bytes, '\0', len) != NULL)
		return wrong(t, "ValueError", "%.*s: argument %zu has a NUL inside", (int)run->fn_len, run->fn, index + 1);
	memcpy(to, bytes, len);
	to[len] = '\0';
	return true;
}

bool
futured_arg_raw(struct futured_task *t, size_t index, const void **bytes, size_t *len)
{
	struct reader r = arg(t, index);
	const uint8_t *raw;

	if (!read_raw(&r, &raw, len))
		return wrong_type(t, index, r, "a value");
	*bytes = raw;
	return true;
}

/* ---- values ---- */

/* Where the next put goes. */
static struct buf *
put(struct futured_task *t)
{
	struct buf *b = &t->slot->channel.out;

	t->puts++;
	if (t->said == SAID_VALUE || t->said == SAID_DATA)
		return b;
	t->puts = 1;
	t->nested = false;
	if (t->said == SAID_ERROR) {
		if (!b->failed)
			b->data[t->error_map] = 0x83; /* a map of three now: type, message, data */
		pack_key(b, "data");
		t->said = SAID_DATA;
	} else {
		slot_ok(t->slot);
		t->said = SAID_VALUE;
	}
	t->start = b->len;
	return b;
}

void
futured_put_nil(struct futured_task *t)
{
	pack_nil(put(t));
}

void
futured_put_bool(struct futured_task *t, bool v)
{
	pack_bool(put(t), v);
}

void
futured_put_int(struct futured_task *t, int64_t v)
{
	pack_int(put(t), v);
}

void
futured_put_uint(struct futured_task *t, uint64_t v)
{
	pack_uint(put(t), v);
}

void
futured_put_double(struct futured_task *t, double v)
{
	pack_double(put(t), v);
}

void
futured_put_str(struct futured_task *t, const char *s, size_t len)
{
	pack_text(put(t), s, len);
}

void
futured_put_cstr(struct futured_task *t, const char *s)
{
	pack_text(put(t), s, strlen(s));
}

void
futured_put_bin(struct futured_task *t, const void *bytes, size_t len)
{
	pack_bin(put(t), bytes, len);
}

void
futured_put_array(struct futured_task *t, size_t count)
{
	pack_array(put(t), count);
	t->nested = true;
}

void
futured_put_map(struct futured_task *t, size_t pairs)
{
	pack_map(put(t), pairs);
	t->nested = true;
}

void
futured_put_raw(struct futured_task *t, const void *bytes, size_t len)
{
	pack_raw(put(t), bytes, len);
	t->nested = true;
}

/* ---- while it runs ---- */

bool
futured_stop_requested(struct futured_task *t)
{
	return slot_is_stopped(t->slot);
}

void
futured_progress(struct futured_task *t, double done, double total, const char *note)
{
	slot_progress(t->slot, done, total, note, note == NULL ? 0 : strlen(note));
}

void
futured_print(struct futured_task *t, const char *fmt, ...)
{
	char small[1024];
	char *large = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if ((size_t)len >= sizeof small) {
		va_start(ap, fmt);
		len = vasprintf(&large, fmt, ap);
		va_end(ap);
		if (len < 0)
			return; /* no memory: what was to be printed is lost, as with printf */
	}
	native_stdout_write(t->slot, large == NULL ? small : large, (size_t)len);
	free(large);
}

void
futured_write(struct futured_task *t, enum futured_stream stream, const void *bytes, size_t len)
{
	if (stream == FUTURED_STDOUT)
		native_stdout_write(t->slot, bytes, len);
	else
		slot_output(t->slot, SLOT_STDERR, bytes, len);
}

void
futured_log(struct futured_task *t, enum futured_level level, const char *fmt, ...)
{
	static const char *const name[] = {"error", "warn", "info", "debug"};
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	host_log(t->host, (unsigned)level < 4 ? name[level] : "info", "%s", text);
}

uint64_t
futured_id(struct futured_task *t)
{
	return t->slot->task.id;
}

unsigned
futured_attempt(struct futured_task *t)
{
	return (unsigned)t->slot->task.attempt;
}

const char *
futured_pool(struct futured_task *t)
{
	return t->host->pool;
}

const char *
futured_address(struct futured_task *t)
{
	return t->host->address;
}

const char *
futured_secret(struct futured_task *t)
{
	if (!t->secret_known)
		slot_secret(t->slot, t->secret, sizeof t->secret);
	t->secret_known = true;
	return t->secret;
}

#include "daemon/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/run.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/utf8.h"

enum { BRIEF = 400, AROUND_CAUSE = 2048 };

static struct bytes
take(struct buf *b)
{
	struct bytes out = { .len = 0 };
	bytes_take(&out, b);
	buf_clear(b);
	return out;
}

struct bytes
error_bytes(enum status s, uint64_t future, const char *fmt, ...)
{
	char text[1024];
	struct buf b;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_init(&b);
	error_pack(&b, s, future, "%s", text);
	return take(&b);
}

struct bytes
error_of(const struct future *f)
{
	if (f->state == FUTURE_CANCELLED)
		return error_bytes(STATUS_CANCELLED, f->id, "future %llu was cancelled", (unsigned long long)f->id);
	return bytes_share(f->value);
}

/* Where the value of `key` in an error map lies. */
static bool
find(const struct bytes *map, const char *key, struct reader *out)
{
	struct reader r;
	uint32_t pairs;

	reader_init(&r, bytes_data(map), bytes_len(map));
	if (!read_map(&r, &pairs))
		return false;
	while (pairs--) {
		const uint8_t *value;
		size_t len;
		bool is = read_is(&r, key);
		if (!is && !read_skip(&r))
			return false;
		if (!read_raw(&r, &value, &len))
			return false;
		if (is) {
			reader_init(out, value, len);
			return true;
		}
	}
	return false;
}

struct bytes
error_cause(const struct future *f)
{
	struct error_view view;
	struct reader r, cause;
	struct bytes out;

	reader_init(&r, bytes_data(&f->value), bytes_len(&f->value));
	if (f->state != FUTURE_CANCELLED && error_read(&r, &view) && view.status == STATUS_DEPENDENCY && !view.task &&
	    find(&f->value, "cause", &cause) && bytes_copy(&out, cause.at, (size_t)(cause.end - cause.at)))
		return out;
	return error_of(f);
}

void
error_pack_brief(struct buf *b, const struct bytes *map)
{
	struct error_view view = { .type = "", .message = "" };
	struct reader r;

	reader_init(&r, bytes_data(map), bytes_len(map));
	error_read(&r, &view);
	pack_map(b, 2u + (view.future != 0) + view.task);
	pack_key(b, "type");
	pack_text(b, view.type, view.type_len < BRIEF ? view.type_len : utf8_valid_prefix(view.type, BRIEF));
	pack_key(b, "message");
	pack_text(b, view.message, view.message_len < BRIEF ? view.message_len : utf8_valid_prefix(view.message, BRIEF));
	if (view.future) {
		pack_key(b, "future");
		pack_uint(b, view.future);
	}
	if (view.task) {
		pack_key(b, "task");
		pack_bool(b, true);
	}
}

struct bytes
error_dependency(const struct future *f, const struct bytes *cause)
{
	struct error_view view = { .status = STATUS_OK };
	struct reader r;
	struct buf b;

	reader_init(&r, bytes_data(cause), bytes_len(cause));
	error_read(&r, &view);
	buf_init(&b);
	error_begin(&b, STATUS_DEPENDENCY, f->id, 1, "future %llu, which this one waits for, did not succeed: %.*s",
	    (unsigned long long)view.future, (int)(view.message_len < 400 ? view.message_len : 400),
	    view.message ? view.message : "");
	pack_key(&b, "cause");
	if (bytes_len(cause) + AROUND_CAUSE <= run_frame_limit())
		pack_raw(&b, bytes_data(cause), bytes_len(cause));
	else
		error_pack_brief(&b, cause);
	return take(&b);
}

struct bytes
error_deadline(const struct future *f)
{
	struct buf b;
	buf_init(&b);
	error_begin(&b, STATUS_TASK_TIMEOUT, f->id, 1, "the deadline of %g s for waiting and running passed",
	    (double)f->spec->deadline_us / 1e6);
	pack_key(&b, "deadline");
	pack_bool(&b, true);
	return take(&b);
}

/* Copies the pairs of a host's error map that are not ours to say; returns how many. */
static uint32_t
copy_pairs(struct reader r, struct buf *b)
{
	uint32_t pairs, kept = 0;

	read_map(&r, &pairs);
	for (uint32_t i = 0; i < pairs; i++) {
		const uint8_t *key, *value;
		size_t key_len, value_len;
		if (read_is(&r, "future") || read_is(&r, "task")) {
			read_skip(&r);
			continue;
		}
		if (!read_raw(&r, &key, &key_len) || !read_raw(&r, &value, &value_len))
			break;
		pack_raw(b, key, key_len);
		pack_raw(b, value, value_len);
		kept++;
	}
	return kept;
}

struct bytes
error_adopt(struct reader map, uint64_t future, bool task)
{
	struct reader r = map;
	struct error_view view;
	struct buf pairs, b;

	if (!error_read(&r, &view))
		return (struct bytes){ .len = 0 };
	buf_init(&pairs);
	buf_init(&b);
	uint32_t kept = copy_pairs(map, &pairs);
	pack_map(&b, (size_t)kept + 1 + task);
	pack_raw(&b, pairs.data, pairs.len);
	pack_key(&b, "future");
	pack_uint(&b, future);
	if (task) {
		pack_key(&b, "task");
		pack_bool(&b, true);
	}
	b.failed |= pairs.failed;
	buf_clear(&pairs);
	return take(&b);
}


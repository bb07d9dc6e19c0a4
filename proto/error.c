/* Error maps. What is written is always valid: the message is cut and repaired here, so no caller has to think of what a
 * name or an errno text may contain. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "proto/pack.h"

enum { MESSAGE_MAX = 4096 };

/* Where to cut so that no character is left half: the text may end in up to 3 bytes of one. */
static size_t
cut_at_character(const char *s, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)s[len - back];

		if (c < 0x80)
			break;
		if (c >= 0xc0)
			return utf8_length(s + len - back, back) == back ? len : len - back;
	}
	return len;
}

static void __attribute__((format(printf, 5, 0)))
begin(struct buf *b, enum status s, uint64_t future, size_t extra, const char *fmt, va_list args)
{
	char text[MESSAGE_MAX + 1];
	size_t len;
	int n;

	n = fmt != NULL ? vsnprintf(text, sizeof text, fmt, args) : snprintf(text, sizeof text, "%s", status_text(s));
	len = n < 0 ? 0 : (size_t)n;
	if (len > MESSAGE_MAX)
		len = cut_at_character(text, MESSAGE_MAX);
	pack_map(b, (future != 0 ? 3u : 2u) + extra);
	pack_key(b, "type");
	pack_cstr(b, status_name(s));
	pack_key(b, "message");
	pack_text(b, text, len);
	if (future != 0) {
		pack_key(b, "future");
		pack_uint(b, future);
	}
}

void
error_begin(struct buf *b, enum status s, uint64_t future, size_t extra, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	begin(b, s, future, extra, fmt, args);
	va_end(args);
}

void
error_pack(struct buf *b, enum status s, uint64_t future, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	begin(b, s, future, 0, fmt, args);
	va_end(args);
}

/* One pair whose key is known, or any value. */
static bool
read_pair(struct reader *r, struct error_view *v)
{
	if (read_is(r, "type"))
		return read_str(r, &v->type, &v->type_len);
	if (read_is(r, "message"))
		return read_str(r, &v->message, &v->message_len) || read_skip(r);
	if (read_is(r, "traceback"))
		return read_str(r, &v->traceback, &v->traceback_len) || read_skip(r);
	if (read_is(r, "future"))
		return read_uint(r, &v->future) || read_skip(r);
	if (read_is(r, "task"))
		return read_bool(r, &v->task) || read_skip(r);
	if (read_is(r, "exit")) {
		v->has_exit = read_int(r, &v->exit);
		return v->has_exit || read_skip(r);
	}
	if (read_is(r, "signal"))
		return read_int(r, &v->signal) || read_skip(r);
	if (read_is(r, "stderr"))
		return read_bin(r, &v->stderr_tail, &v->stderr_len) || read_skip(r);
	return read_skip(r) && read_skip(r);
}

bool
error_read(struct reader *r, struct error_view *out)
{
	struct error_view v = { .message = "" };
	struct reader at = *r;
	uint32_t pairs;

	if (!read_map(&at, &pairs))
		return false;
	for (uint32_t i = 0; i < pairs; i++)
		if (!read_pair(&at, &v))
			return false;
	if (v.type == NULL)
		return false;
	v.status = v.task ? STATUS_OK : status_find(v.type, v.type_len);
	r->at = at.at;
	*out = v;
	return true;
}

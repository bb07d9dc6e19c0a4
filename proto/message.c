/* The envelope. It is read strictly from left to right, and each step has three outcomes: right, wrong, or cut. A number
 * or a header that is cut is judged by what it would be at least, with zeros for the missing bytes, so that a wrong
 * envelope is refused at the first byte that proves it. */
#include <string.h>

#include "proto/message.h"
#include "proto/pack.h"
#include "proto/shape.h"

enum { NUMBER_MAX = 9 }; /* the longest encoding of an integer, and of the envelope's other headers */

/* A reader over the value at r, padded with zeros if it is cut within its first 9 bytes. */
static void
pad(const struct reader *r, uint8_t padded[NUMBER_MAX], struct reader *out)
{
	size_t len = (size_t)(r->end - r->at);

	if (len >= NUMBER_MAX) {
		*out = *r;
		return;
	}
	memset(padded, 0, NUMBER_MAX);
	memcpy(padded, r->at, len);
	reader_init(out, padded, NUMBER_MAX);
}

static enum message_verdict
step_array(struct reader *r, uint32_t least, uint32_t most, uint32_t *count)
{
	uint8_t padded[NUMBER_MAX];
	struct reader whole;

	if (read_array(r, count))
		return *count < least || *count > most ? MESSAGE_BAD : MESSAGE_OK;
	if (reader_is_at_end(r))
		return MESSAGE_MORE;
	pad(r, padded, &whole);
	return read_array(&whole, count) && *count <= most ? MESSAGE_MORE : MESSAGE_BAD;
}

static enum message_verdict
step_uint(struct reader *r, uint64_t most, uint64_t *v)
{
	uint8_t padded[NUMBER_MAX];
	struct reader whole;

	if (read_uint(r, v))
		return *v <= most ? MESSAGE_OK : MESSAGE_BAD;
	if (reader_is_at_end(r))
		return MESSAGE_MORE;
	pad(r, padded, &whole);
	return read_uint(&whole, v) && *v <= most ? MESSAGE_MORE : MESSAGE_BAD;
}

static enum message_verdict
step_text(struct reader *r, const char **s, size_t *len)
{
	enum reader_type type;
	uint8_t padded[NUMBER_MAX];
	struct reader whole;

	if (read_text(r, s, len))
		return MESSAGE_OK;
	if (reader_is_at_end(r))
		return MESSAGE_MORE;
	pad(r, padded, &whole);
	type = reader_peek(&whole);
	return type == READER_STR || type == READER_BIN ? MESSAGE_MORE : MESSAGE_BAD;
}

static enum message_verdict
say(enum message_verdict v, const char *sentence, const char **why)
{
	if (v == MESSAGE_BAD)
		*why = sentence;
	return v;
}

/* [type and msgid: what all three have in front. */
static enum message_verdict
step_front(struct reader *r, struct message *m, const char **why)
{
	enum message_verdict v;
	uint32_t count;
	uint64_t type, msgid;

	v = step_array(r, 3, 4, &count);
	if (v != MESSAGE_OK)
		return say(v, "a message is an array of 4 (request, response) or 3 (notification) elements", why);
	v = step_uint(r, MESSAGE_NOTIFICATION, &type);
	if (v != MESSAGE_OK)
		return say(v, "the first element of a message is 0, 1 or 2", why);
	if (count != (type == MESSAGE_NOTIFICATION ? 3 : 4))
		return say(MESSAGE_BAD, type == MESSAGE_NOTIFICATION ? "a notification has 3 elements"
			: type == MESSAGE_REQUEST ? "a request has 4 elements" : "a response has 4 elements", why);
	m->type = (enum message_type)type;
	if (m->type == MESSAGE_NOTIFICATION)
		return MESSAGE_OK;
	v = step_uint(r, UINT32_MAX, &msgid);
	if (v == MESSAGE_OK)
		m->msgid = (uint32_t)msgid;
	return say(v, "msgid is an integer from 0 to 4294967295", why);
}

/* Up to the first parameter, or to a response's error. */
static enum message_verdict
step_envelope(struct reader *r, struct message *m, const char **why)
{
	enum message_verdict v = step_front(r, m, why);

	if (v != MESSAGE_OK || m->type == MESSAGE_RESPONSE)
		return v;
	v = step_text(r, &m->method, &m->method_len);
	if (v != MESSAGE_OK)
		return say(v, "method is a str", why);
	v = step_array(r, 0, UINT32_MAX, &m->param_count);
	return say(v, "params is an array", why);
}

enum message_verdict
message_check(const void *bytes, size_t len, const char **why)
{
	struct message m;
	struct reader r;

	reader_init(&r, bytes, len);
	return step_envelope(&r, &m, why);
}

/* Passes over `count` values and says where they were. */
static bool
take(struct reader *r, uint32_t count, struct reader *out)
{
	struct reader begin = *r;

	for (uint32_t i = 0; i < count; i++)
		if (!read_skip(r))
			return false;
	reader_init(out, begin.at, (size_t)(r->at - begin.at));
	return true;
}

enum message_verdict
message_parse(const void *bytes, size_t len, struct message *out, const char **why)
{
	struct message m = { 0 };
	enum message_verdict v;
	struct reader r;

	reader_init(&r, bytes, len);
	v = step_envelope(&r, &m, why);
	if (v != MESSAGE_OK)
		return v;
	if (m.type == MESSAGE_RESPONSE) {
		if (!take(&r, 1, &m.error) || !take(&r, 1, &m.result))
			return MESSAGE_MORE;
	} else if (!take(&r, m.param_count, &m.params)) {
		return MESSAGE_MORE;
	}
	*out = m;
	return MESSAGE_OK;
}

void
message_request(struct buf *b, uint32_t msgid, const char *method)
{
	pack_array(b, 4);
	pack_uint(b, MESSAGE_REQUEST);
	pack_uint(b, msgid);
	pack_cstr(b, method);
}

void
message_notification(struct buf *b, const char *method)
{
	pack_array(b, 3);
	pack_uint(b, MESSAGE_NOTIFICATION);
	pack_cstr(b, method);
}

void
message_result(struct buf *b, uint32_t msgid)
{
	pack_array(b, 4);
	pack_uint(b, MESSAGE_RESPONSE);
	pack_uint(b, msgid);
	pack_nil(b);
}

void
message_error(struct buf *b, uint32_t msgid, const void *error, size_t len)
{
	pack_array(b, 4);
	pack_uint(b, MESSAGE_RESPONSE);
	pack_uint(b, msgid);
	pack_raw(b, error, len);
	pack_nil(b);
}

/* An answer: made from the wire, copied, looked at. */
#include "client/reply.h"

#include <stdlib.h>
#include <string.h>

#include "client/core.h"
#include "client/warm.h"

enum { TAKE_MIN = 64 << 10 };

void
reply_value(struct futured_reply *r, struct futured_value value)
{
	memset(r, 0, sizeof *r);
	r->value = value;
}

void
reply_local(struct futured_reply *r, enum futured_status status, const char *text)
{
	memset(r, 0, sizeof *r);
	r->status = status;
	error_local(&r->error, status, text);
}

void
reply_read(struct futured_reply *r, struct reader error, struct reader result)
{
	struct futured_value v = { result.at, result.end };

	if (read_nil(&error)) {
		const uint8_t *bytes;
		size_t len;

		if (read_raw(&result, &bytes, &len))
			v = (struct futured_value){ bytes, bytes + len };
		reply_value(r, v);
		return;
	}
	memset(r, 0, sizeof *r);
	if (futured_error_read((struct futured_value){ error.at, error.end }, &r->error))
		r->status = r->error.status;
	else
		reply_local(r, FUTURED_PROTOCOL, "the daemon sent an error that is no error map");
}

enum futured_status
futured_reply_status(const struct futured_reply *r)
{
	return r->status;
}

struct futured_value
futured_reply_value(const struct futured_reply *r)
{
	return r->value;
}

bool
futured_reply_error(const struct futured_reply *r, struct futured_error *out)
{
	*out = r->error;
	return r->status != FUTURED_OK;
}

/* Pointers into bytes that were copied to another place. */
static const char *
moved(const char *p, const uint8_t *from, const uint8_t *to)
{
	return p == NULL ? NULL : (const char *)to + ((const uint8_t *)p - from);
}

/* What it says, without what it owns or lies in. */
static struct futured_reply
bare(const struct futured_reply *r)
{
	return (struct futured_reply){ .status = r->status, .value = r->value, .error = r->error };
}

/* Local errors point at constants or at text of the connection's: the message is what has to be copied. */
static struct futured_reply *
copy_local(const struct futured_reply *r)
{
	struct futured_reply *copy = malloc(sizeof *copy + r->error.message_len + 1);

	if (copy == NULL)
		return NULL;
	*copy = bare(r);
	memcpy(copy->owned, r->error.message, r->error.message_len);
	copy->error.message = (const char *)copy->owned;
	return copy;
}

struct futured_reply *
futured_reply_copy(const struct futured_reply *r)
{
	struct futured_value from = r->status == FUTURED_OK ? r->value : r->error.map;
	size_t len = (size_t)(from.end - from.at);
	struct futured_reply *copy;
	struct futured_value to;

	if (r->status != FUTURED_OK && from.at == NULL)
		return copy_local(r);
	if ((copy = malloc(sizeof *copy + len)) == NULL)
		return NULL;
	*copy = bare(r);
	if (len > 0)
		memcpy(copy->owned, from.at, len);
	to = (struct futured_value){ copy->owned, copy->owned + len };
	if (r->status == FUTURED_OK) {
		copy->value = from.at != NULL ? to : from;
		return copy;
	}
	copy->error.map = to;
	copy->error.type = moved(r->error.type, from.at, to.at);
	copy->error.message = moved(r->error.message, from.at, to.at);
	copy->error.traceback = moved(r->error.traceback, from.at, to.at);
	return copy;
}

struct futured_reply *
reply_keep(const struct futured_reply *r)
{
	struct futured_reply *kept;

	if (r->core == NULL || r->status != FUTURED_OK || r->core->in.len < TAKE_MIN)
		return futured_reply_copy(r);
	if ((kept = malloc(sizeof *kept)) == NULL)
		return NULL;
	*kept = bare(r);
	kept->taken = core_take_frame(r->core, &kept->warm); /* its value lies there, and stays where it is */
	return kept;
}

void
futured_reply_free(struct futured_reply *r)
{
	if (r == NULL)
		return;
	if (r->warm != NULL)
		warm_give(r->warm, r->taken);
	else
		free(r->taken);
	warm_drop(r->warm);
	free(r);
}

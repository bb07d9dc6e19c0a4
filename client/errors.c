/* Status names and sentences, and error maps as the public header shows them. */
#include "client/futured.h"
#include "client/reply.h"

#include <assert.h>
#include <string.h>

#include "proto/error.h"
#include "proto/status.h"

/* The first part of the public list is the wire's, in the wire's order. */
static_assert((int)FUTURED_TIMEOUT == (int)STATUS_TIMEOUT, "the lists begin alike");
static_assert((int)FUTURED_EXIT == (int)STATUS_EXIT, "the lists go on alike");
static_assert((int)FUTURED_STORE == (int)STATUS_STORE && (int)FUTURED_TASK == (int)STATUS_COUNT, "the lists end alike");

static const struct {
	const char *name;
	const char *text;
} list[] = {
	{ "", "no error" },
#define X(constant, name, text) { name, text },
	FUTURED_STATUS_LIST(X)
#undef X
};

const char *
futured_status_name(enum futured_status status)
{
	return (unsigned)status < FUTURED_STATUS_COUNT ? list[status].name : "";
}

const char *
futured_status_text(enum futured_status status)
{
	return (unsigned)status < FUTURED_STATUS_COUNT ? list[status].text : "unknown status";
}

const char *
futured_version(void)
{
	return FUTURED_VERSION;
}

bool
futured_error_read(struct futured_value v, struct futured_error *out)
{
	struct reader r = { v.at, v.end };
	struct error_view e;

	memset(out, 0, sizeof *out);
	if (v.at == NULL || !error_read(&r, &e))
		return false;
	out->status = e.task || e.status == STATUS_OK ? FUTURED_TASK : (enum futured_status)e.status;
	out->type = e.type;
	out->type_len = e.type_len;
	out->message = e.message;
	out->message_len = e.message_len;
	out->traceback = e.traceback;
	out->traceback_len = e.traceback_len;
	out->future = e.future;
	out->has_exit = e.has_exit;
	out->exit = e.exit;
	out->signal = e.signal;
	out->map.at = v.at;
	out->map.end = r.at;
	return true;
}

void
error_local(struct futured_error *out, enum futured_status status, const char *text)
{
	memset(out, 0, sizeof *out);
	out->status = status;
	out->type = futured_status_name(status);
	out->type_len = strlen(out->type);
	out->message = text != NULL ? text : futured_status_text(status);
	out->message_len = strlen(out->message);
}

/* A pool of one's own. */
#include "client/connection.h"
#include "client/packer.h"
#include "client/settings.h"
#include "client/submission.h"

#include <stdlib.h>
#include <string.h>

struct futured_executor {
	struct futured *c;
	bool closed;  /* shutdown has been called */
	bool gone;    /* and its pool has ended, or will without us */
	char pool[];
};

enum futured_status
futured_executor_new(struct futured *c, const char *like, const struct futured_options *options, struct futured_executor **e)
{
	struct futured_options *all = options_copy(options);
	struct futured_reply *reply = NULL;
	enum futured_status status;
	struct futured_pack p;
	const char *name;
	size_t len;

	*e = NULL;
	if (all == NULL)
		return connection_failed(c, FUTURED_NO_MEMORY, NULL);
	futured_options_set(all, "like", "s", like);
	packer_init(&p);
	futured_options_pack(all, &p);
	futured_options_free(all);
	status = futured_call(c, "open_pool", &p, -1, &reply);
	packer_clear(&p);
	if (status == FUTURED_OK && !futured_value_str(futured_reply_value(reply), &name, &len))
		status = connection_failed(c, FUTURED_PROTOCOL, "the daemon's answer is of another type than it should be");
	if (status == FUTURED_OK && (*e = calloc(1, sizeof **e + len + 1)) == NULL)
		status = connection_failed(c, FUTURED_NO_MEMORY, NULL);
	if (*e != NULL) {
		(*e)->c = c;
		memcpy((*e)->pool, name, len);
	}
	futured_reply_free(reply);
	return status;
}

const char *
futured_executor_pool(const struct futured_executor *e)
{
	return e->pool;
}

struct futured_future *
futured_executor_submit(struct futured_executor *e, const char *fn, const char *format, ...)
{
	struct futured_future *f;
	struct futured_pack args;
	va_list ap;

	if (e->closed) {
		connection_failed(e->c, FUTURED_SHUTDOWN, NULL);
		return NULL;
	}
	packer_init(&args);
	va_start(ap, format);
	submission_args(&args, format, ap);
	va_end(ap);
	f = futured_future_submit_with(e->c, e->pool, fn, &args, NULL);
	packer_clear(&args);
	return f;
}

/* A pool that has gone meanwhile is as it should be. */
static enum futured_status
end(struct futured_executor *e, const char *how, bool wait, bool cancel_futures)
{
	enum futured_status status;
	struct futured_pack p;

	if (e->gone)
		return FUTURED_OK;
	packer_init(&p);
	if (how == NULL)
		futured_packf(&p, "s{sb sb}", e->pool, "wait", (int)wait, "cancel_futures", (int)cancel_futures);
	else
		futured_packf(&p, "s{sb}", e->pool, how, 1);
	status = futured_call(e->c, "close_pool", &p, -1, NULL);
	packer_clear(&p);
	if (status == FUTURED_INVALID_STATE && e->c->core.dispatching)
		return status;
	if (status == FUTURED_UNKNOWN_POOL && e->closed)
		status = FUTURED_OK;
	e->closed = true;
	e->gone = wait && status == FUTURED_OK;
	return status;
}

enum futured_status
futured_executor_shutdown(struct futured_executor *e, bool wait, bool cancel_futures)
{
	return end(e, NULL, wait, cancel_futures);
}

enum futured_status
futured_executor_terminate(struct futured_executor *e)
{
	return end(e, "terminate", true, true);
}

enum futured_status
futured_executor_kill(struct futured_executor *e)
{
	return end(e, "kill", true, true);
}

void
futured_executor_free(struct futured_executor *e)
{
	if (e == NULL)
		return;
	if (!e->closed)
		futured_requestf(e->c, NULL, NULL, "close_pool", "s{sb}", e->pool, "wait", 0);
	free(e);
}

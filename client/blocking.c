/* Calls that wait: a request, then steps until it is answered. News about other things is dispatched meanwhile. */
#include "client/blocking.h"
#include "client/connection.h"
#include "client/packer.h"

#include <time.h>

struct answer {
	bool arrived;
	bool wanted; /* the reply is to be copied */
	enum futured_status status;
	struct futured_reply *reply;
};

double
deadline_in(double timeout)
{
	struct timespec now;

	if (timeout < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 + timeout;
}

double
deadline_left(double deadline)
{
	double left;

	if (deadline < 0)
		return -1;
	left = deadline - deadline_in(0);
	return left > 0 ? left : 0;
}

enum futured_status
deadline_step(struct futured *c, double deadline)
{
	double left = deadline_left(deadline);
	enum futured_status status = futured_step(c, left);

	if (status != FUTURED_OK && status != FUTURED_TIMEOUT)
		return status;
	return left == 0 ? connection_failed(c, FUTURED_TIMEOUT, NULL) : FUTURED_OK;
}

static void
on_answer(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct answer *a = data;

	a->arrived = true;
	a->status = connection_replied(c, reply);
	if (a->wanted && (a->reply = reply_keep(reply)) == NULL)
		a->status = connection_failed(c, FUTURED_NO_MEMORY, NULL);
}

/* FUTURED_OK: it has arrived. */
static enum futured_status
await(struct futured *c, const struct answer *a, double deadline)
{
	enum futured_status status;

	while (!a->arrived) {
		status = deadline_step(c, deadline);
		if (!a->arrived && status != FUTURED_OK)
			return status;
	}
	return FUTURED_OK;
}

enum futured_status
futured_call(struct futured *c, const char *method, const struct futured_pack *params, double timeout,
	struct futured_reply **reply)
{
	struct answer a = { .wanted = reply != NULL };
	double deadline = deadline_in(timeout);
	enum futured_status status;
	uint32_t msgid;

	if (reply != NULL)
		*reply = NULL;
	if (c->core.dispatching)
		return connection_failed(c, FUTURED_INVALID_STATE, "a blocking call in a callback");
	core_borrow(&c->core);
	status = futured_request(c, method, params, on_answer, &a, &msgid);
	if (status == FUTURED_OK && (status = await(c, &a, deadline)) != FUTURED_OK)
		futured_forget(c, msgid);
	core_settle(&c->core);
	if (status != FUTURED_OK)
		return status;
	if (reply != NULL)
		*reply = a.reply;
	return a.status;
}

enum futured_status
futured_callf(struct futured *c, struct futured_reply **reply, const char *method, const char *format, ...)
{
	enum futured_status status;
	struct futured_pack p;
	va_list ap;

	packer_init(&p);
	va_start(ap, format);
	futured_vpackf(&p, format, ap);
	va_end(ap);
	status = futured_call(c, method, &p, -1, reply);
	packer_clear(&p);
	return status;
}

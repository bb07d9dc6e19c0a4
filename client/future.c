/* A future's handle: what concurrent.futures calls a Future.
 *
 * The good path: a submit with the option `watch` is queued; its answer brings the id, and the handle waits in the table of watches
 * without another request; the notification `done` brings the outcome, which is copied; waiters hear of it first, then
 * callbacks in the order in which they were added. It goes wrong when the submit is refused or the connection ends: that is an
 * outcome too. What will tell us holds a reference, so a handle that its user has freed lives until then, in silence. */
#include "client/future.h"
#include "client/blocking.h"
#include "client/packer.h"
#include "client/submission.h"
#include "client/watch.h"

#include <stdlib.h>
#include <string.h>

struct callback {
	struct callback *next;
	void (*done)(struct futured_future *f, void *data);
	void *data;
};

/* ---- life ---- */

static struct futured_future *
future_new(struct futured *c)
{
	struct futured_future *f = calloc(1, sizeof *f);
	struct futured_reply *spare = malloc(sizeof *spare);

	if (f == NULL || spare == NULL) {
		free(f);
		free(spare);
		connection_failed(c, FUTURED_NO_MEMORY, NULL);
		return NULL;
	}
	reply_local(spare, FUTURED_NO_MEMORY, NULL);
	f->spare = spare;
	f->c = c;
	f->refs = 2;
	f->owed = true;
	f->last = &f->first;
	LIST_INIT(&f->waiters);
	LIST_INSERT_HEAD(&c->futures, f, all);
	c->pending++;
	return f;
}

void
future_ref(struct futured_future *f)
{
	f->refs++;
}

static void
forget_callbacks(struct futured_future *f)
{
	struct callback *b;

	while ((b = f->first) != NULL) {
		f->first = b->next;
		free(b);
	}
	f->last = &f->first;
}

void
future_unref(struct futured_future *f)
{
	if (--f->refs > 0)
		return;
	forget_callbacks(f);
	if (f->c != NULL)
		LIST_REMOVE(f, all);
	futured_reply_free(f->outcome);
	futured_reply_free(f->spare);
	free(f);
}

void
futured_future_free(struct futured_future *f)
{
	if (f == NULL)
		return;
	f->dropped = true;
	forget_callbacks(f);
	f->told = NULL;
	future_unref(f);
}

/* ---- the end ---- */

static void
set_outcome(struct futured_future *f, const struct futured_reply *reply)
{
	f->final = true;
	if (f->c != NULL)
		f->c->pending--;
	f->state = reply->status == FUTURED_CANCELLED ? FUTURED_STATE_CANCELLED : FUTURED_FINISHED;
	if (f->refs > (f->owed ? 1 : 0)) /* somebody may ask */
		f->outcome = futured_reply_copy(reply);
	if (f->outcome == NULL) {
		f->outcome = f->spare;
		f->spare = NULL;
	}
}

static void
tell_iterators(struct futured_future *f)
{
	struct future_waiter *w;

	while ((w = LIST_FIRST(&f->waiters)) != NULL) {
		LIST_REMOVE(w, link);
		w->finished(w);
	}
}

/* Each is taken off before it is called, so that one which adds another, or frees the handle, finds things in order. */
static void
call_back(struct futured_future *f)
{
	struct callback *b;

	tell_iterators(f);
	while ((b = f->first) != NULL) {
		if ((f->first = b->next) == NULL)
			f->last = &f->first;
		b->done(f, b->data);
		free(b);
	}
}

/* Reports one that is final already only once. */
static void
finish(struct futured_future *f, const struct futured_reply *reply)
{
	bool nested;

	if (f->final)
		return;
	future_ref(f);
	set_outcome(f, reply);
	nested = f->c->core.dispatching;
	f->c->core.dispatching = true;
	call_back(f);
	f->c->core.dispatching = nested;
	if (!nested && futured_unsent(f->c) > 0)
		connection_changed(f->c);
	future_unref(f);
}

/* Nobody will tell us any more. */
static void
settle(struct futured_future *f)
{
	if (!f->final && f->c != NULL)
		f->c->pending--;
	f->owed = false;
	f->job = NULL;
	future_unref(f);
}

static void
on_done(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data)
{
	struct futured_future *f = data;

	(void)c;
	(void)id;
	finish(f, reply);
	settle(f);
}

static void
on_progress(double done, double total, const char *note, size_t note_len, void *data)
{
	struct futured_future *f = data;

	if (f->told != NULL)
		f->told(f, done, total, note, note_len, f->told_data);
}

static void
on_submitted(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct futured_future *f = data;
	struct futured_reply local;

	if (reply->status == FUTURED_OK && !futured_value_uint(reply->value, &f->id)) {
		reply_local(&local, FUTURED_PROTOCOL, "the daemon's answer is of another type than it should be");
		reply = &local;
	}
	if (reply->status == FUTURED_OK && watch_expect(&c->core, f->id, on_done, on_progress, f, &f->job) != FUTURED_OK) {
		reply_local(&local, FUTURED_NO_MEMORY, NULL);
		reply = &local;
	}
	if (reply->status != FUTURED_OK) {
		finish(f, reply);
		settle(f);
	} else if (f->cancel)
		future_cancel_soon(f, f->how, f->grace);
}

/* ---- beginning ---- */

enum futured_status
future_submit(struct futured *c, const char *pool, const char *fn, const struct futured_pack *args,
	const struct futured_options *options, struct futured_future **out)
{
	enum futured_status status = connection_check(c);
	struct futured_future *f;
	struct futured_pack p;

	if (status != FUTURED_OK)
		return status;
	if ((f = future_new(c)) == NULL)
		return FUTURED_NO_MEMORY;
	packer_init(&p);
	submission_pack(c, &p, pool, fn, args, options, true);
	status = core_request(&c->core, "submit", &p, on_submitted, f, NULL);
	packer_clear(&p);
	if (status == FUTURED_OK) {
		*out = f;
		return FUTURED_OK;
	}
	settle(f);
	futured_future_free(f);
	return connection_failed(c, status, status == FUTURED_VALUE ? "the arguments or options are not packed well" : NULL);
}

struct futured_future *
futured_future_submit_with(struct futured *c, const char *pool, const char *fn, const struct futured_pack *args,
	const struct futured_options *options)
{
	struct futured_future *f;

	return future_submit(c, pool, fn, args, options, &f) == FUTURED_OK ? f : NULL;
}

struct futured_future *
futured_future_submit(struct futured *c, const char *pool, const char *fn, const char *format, ...)
{
	struct futured_future *f;
	struct futured_pack args;
	va_list ap;

	packer_init(&args);
	va_start(ap, format);
	submission_args(&args, format, ap);
	va_end(ap);
	f = futured_future_submit_with(c, pool, fn, &args, NULL);
	packer_clear(&args);
	return f;
}

struct futured_future *
futured_future_attach(struct futured *c, uint64_t id)
{
	enum futured_status status = connection_check(c);
	struct futured_future *f;

	if (status != FUTURED_OK || (f = future_new(c)) == NULL)
		return NULL;
	f->id = id;
	status = watch_add(&c->core, &id, 1, true, on_done, f, &f->job);
	if (status == FUTURED_OK) {
		watch_on_progress(f->job, on_progress);
		return f;
	}
	connection_failed(c, status, NULL);
	settle(f);
	futured_future_free(f);
	return NULL;
}

void
futures_detach(struct futured *c)
{
	struct futured_future *f;
	struct futured_reply lost;

	reply_local(&lost, FUTURED_LOST, "the connection was freed");
	while ((f = LIST_FIRST(&c->futures)) != NULL) {
		LIST_REMOVE(f, all);
		f->c = NULL;
		forget_callbacks(f);
		if (!f->final)
			set_outcome(f, &lost);
		tell_iterators(f);
		if (f->owed)
			settle(f);
	}
}

/* ---- waiting ---- */

/* Drives the connection until the future is final, or (id) at least accepted. */
static enum futured_status
await(struct futured_future *f, bool id, double timeout)
{
	double deadline = deadline_in(timeout);

	while (!f->final && !(id && f->id != 0)) {
		enum futured_status status = deadline_step(f->c, deadline);

		if (f->final || (id && f->id != 0))
			break;
		if (status != FUTURED_OK)
			return status;
	}
	return FUTURED_OK;
}

enum futured_status
futured_future_id(struct futured_future *f, uint64_t *id)
{
	enum futured_status status = await(f, true, -1);

	if (status != FUTURED_OK)
		return status;
	if (f->id == 0)
		return f->outcome->status;
	*id = f->id;
	return FUTURED_OK;
}

enum futured_status
futured_future_result(struct futured_future *f, double timeout, const struct futured_reply **reply)
{
	enum futured_status status = await(f, false, timeout);

	if (reply != NULL)
		*reply = status == FUTURED_OK ? f->outcome : NULL;
	if (status != FUTURED_OK)
		return status;
	return f->c != NULL ? connection_replied(f->c, f->outcome) : f->outcome->status;
}

enum futured_status
futured_future_exception(struct futured_future *f, double timeout, const struct futured_reply **reply)
{
	enum futured_status status = await(f, false, timeout);

	if (reply != NULL)
		*reply = NULL;
	if (status != FUTURED_OK || f->state == FUTURED_STATE_CANCELLED)
		return status != FUTURED_OK ? status : FUTURED_CANCELLED;
	if (reply != NULL && f->outcome->status != FUTURED_OK)
		*reply = f->outcome;
	return FUTURED_OK;
}

/* ---- looking ---- */

const struct futured_reply *
futured_future_outcome(const struct futured_future *f)
{
	return f->outcome;
}

uint64_t
futured_future_known_id(const struct futured_future *f)
{
	return f->id;
}

struct futured *
futured_future_connection(const struct futured_future *f)
{
	return f->c;
}

size_t
futured_pending_futures(const struct futured *c)
{
	return c->pending;
}

bool
futured_future_done(struct futured_future *f)
{
	if (!f->final && !f->c->core.dispatching)
		futured_process(f->c);
	return f->final;
}

bool
futured_future_cancelled(struct futured_future *f)
{
	return futured_future_done(f) && f->state == FUTURED_STATE_CANCELLED;
}

enum futured_status
futured_future_state(struct futured_future *f, enum futured_state *state)
{
	enum futured_status status = await(f, true, -1);

	if (status == FUTURED_OK && !f->final)
		return futured_state(f->c, f->id, state);
	if (status == FUTURED_OK)
		*state = f->state;
	return status;
}

bool
futured_future_running(struct futured_future *f)
{
	enum futured_state state;

	return futured_future_state(f, &state) == FUTURED_OK && state == FUTURED_RUNNING;
}

/* ---- cancelling ---- */

enum futured_status
future_cancel_soon(struct futured_future *f, enum futured_how how, double grace)
{
	static const char *const names[] = { "no", "ask", "kill" };
	enum futured_status status;
	struct futured_pack p;

	if (f->final)
		return FUTURED_OK;
	if ((status = connection_check(f->c)) != FUTURED_OK)
		return status;
	f->cancel = true;
	f->how = how;
	f->grace = grace;
	if (f->id == 0)
		return FUTURED_OK;
	packer_init(&p);
	if (grace < 0)
		futured_packf(&p, "[u] {ss}", f->id, "running", names[how]);
	else
		futured_packf(&p, "[u] {ss sd}", f->id, "running", names[how], "grace", grace);
	status = core_request(&f->c->core, "cancel", &p, NULL, NULL, NULL);
	packer_clear(&p);
	return connection_failed(f->c, status, NULL);
}

enum futured_status
futured_future_cancel(struct futured_future *f, enum futured_how how, double grace, bool *cancelled)
{
	enum futured_status status;
	struct futured_reply reply;
	bool yes = false;

	if ((unsigned)how > FUTURED_CANCEL_KILL)
		return f->c != NULL ? connection_failed(f->c, FUTURED_VALUE, "how to cancel: expected pending, ask or kill") : FUTURED_VALUE;
	if (cancelled == NULL)
		return future_cancel_soon(f, how, grace);
	status = await(f, true, -1);
	if (status == FUTURED_OK && !f->final)
		status = futured_cancel(f->c, &f->id, 1, how, grace, &yes);
	if (status != FUTURED_OK)
		return status;
	/* What was pending is cancelled now: its `done` is on its way behind the answer, but nobody shall wait for it. */
	if (yes && how == FUTURED_CANCEL_PENDING && !f->final) {
		reply_local(&reply, FUTURED_CANCELLED, NULL);
		finish(f, &reply);
	}
	*cancelled = f->final ? f->state == FUTURED_STATE_CANCELLED : yes;
	return FUTURED_OK;
}

/* ---- being told ---- */

enum futured_status
futured_future_add_done_callback(struct futured_future *f, void (*done)(struct futured_future *f, void *data), void *data)
{
	struct callback *b;

	if (f == NULL)
		return FUTURED_VALUE;
	if (f->final) {
		done(f, data);
		return FUTURED_OK;
	}
	if ((b = calloc(1, sizeof *b)) == NULL)
		return connection_failed(f->c, FUTURED_NO_MEMORY, NULL);
	b->done = done;
	b->data = data;
	*f->last = b;
	f->last = &b->next;
	return FUTURED_OK;
}

void
futured_future_on_progress(struct futured_future *f,
	void (*told)(struct futured_future *f, double done, double total, const char *note, size_t note_len, void *data),
	void *data)
{
	f->told = told;
	f->told_data = data;
}

/* Watching again on another connection to the same daemon.
 *
 * All that is watched is asked for in one go (in runs of at most RUN ids). The answer names those that are done meanwhile; their
 * outcome is fetched, a few at a time, and told as if it had been notified. If one of them is not to be had any more the daemon
 * refuses the whole call and names it: its watchers are told that, and the others are asked for again. */
#include "client/rewatch.h"
#include "client/packer.h"
#include "client/watch.h"

#include <stdlib.h>
#include <string.h>

enum { RUN = 100000, FETCH_AT_ONCE = 64 };

/* One run, while requests mention it. */
struct rewatch {
	struct core *core;
	bool results;
	size_t held;
	size_t fetched, fetches; /* after the answer: ids[0, fetches) are done, and asked for up to fetched */
	size_t n;
	uint64_t ids[];
};

struct refetch {
	struct rewatch *run;
	uint64_t id;
};

static void
drop(struct rewatch *r)
{
	if (--r->held == 0)
		free(r);
}

static void
tell_local(struct core *k, uint64_t id, enum futured_status status)
{
	struct futured_reply reply;

	reply_local(&reply, status, k->ended != FUTURED_OK ? k->reason : NULL);
	watch_done(k, id, &reply);
}

static void fetch_more(struct rewatch *r);

static bool
is_cancelled(struct futured_value states)
{
	struct futured_value inside, state;
	size_t count;

	return futured_value_array(states, &count, &inside) && futured_value_next(&inside, &state) &&
	       futured_value_is_str(state, futured_state_name(FUTURED_STATE_CANCELLED));
}

static void
on_refetched(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct refetch *f = data;
	struct rewatch *r = f->run;
	struct futured_reply cancelled;

	(void)c;
	if (reply->status == FUTURED_OK && !r->results && is_cancelled(reply->value)) {
		reply_local(&cancelled, FUTURED_CANCELLED, NULL);
		reply = &cancelled;
	}
	watch_done(r->core, f->id, reply);
	free(f);
	fetch_more(r);
	drop(r);
}

static bool
fetch_one(struct rewatch *r, uint64_t id)
{
	struct refetch *f = calloc(1, sizeof *f);
	enum futured_status status = FUTURED_NO_MEMORY;
	struct futured_pack p;

	packer_init(&p);
	futured_packf(&p, r->results ? "u" : "[u]", id);
	if (f != NULL) {
		*f = (struct refetch){ r, id };
		status = core_request(r->core, r->results ? "result" : "state", &p, on_refetched, f, NULL);
	}
	packer_clear(&p);
	if (status == FUTURED_OK) {
		r->held++;
		return true;
	}
	free(f);
	tell_local(r->core, id, status);
	return false;
}

static void
fetch_more(struct rewatch *r)
{
	bool asked = false;

	r->held++;
	while (!asked && r->fetched < r->fetches)
		asked = fetch_one(r, r->ids[r->fetched++]);
	drop(r);
}

static enum futured_status ask(struct rewatch *r);

/* The daemon named one that it does not have. False if that is none of ours. */
static bool
leave_out(struct rewatch *r, uint64_t id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->ids[i] == id) {
			memmove(r->ids + i, r->ids + i + 1, (--r->n - i) * sizeof *r->ids);
			return true;
		}
	return false;
}

static void
on_rewatched(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct rewatch *r = data;
	struct futured_value done, item;
	uint64_t id = reply->error.future;
	size_t count;

	(void)c;
	if (reply->status != FUTURED_OK && id != 0 && leave_out(r, id)) {
		watch_done(r->core, id, reply);
		if (r->n > 0 && ask(r) == FUTURED_OK) {
			drop(r);
			return;
		}
	}
	if (reply->status != FUTURED_OK)
		for (size_t i = 0; i < r->n; i++)
			watch_done(r->core, r->ids[i], reply);
	else if (futured_value_find(reply->value, "done", &done) && futured_value_array(done, &count, &done))
		while (r->fetches < r->n && futured_value_next(&done, &item) && futured_value_uint(item, &id))
			r->ids[r->fetches++] = id;
	for (int i = 0; i < FETCH_AT_ONCE; i++)
		fetch_more(r);
	drop(r);
}

static enum futured_status
ask(struct rewatch *r)
{
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	futured_pack_ids(&p, r->ids, r->n);
	futured_packf(&p, "{sb}", "result", (int)r->results);
	status = core_request(r->core, "watch", &p, on_rewatched, r, NULL);
	packer_clear(&p);
	if (status == FUTURED_OK)
		r->held++;
	return status;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static enum futured_status
resume_run(struct core *k, bool results, const uint64_t *ids, size_t n)
{
	struct rewatch *r = calloc(1, sizeof *r + n * sizeof *ids);
	enum futured_status status;

	if (r == NULL)
		return FUTURED_NO_MEMORY;
	r->core = k;
	r->results = results;
	r->n = n;
	memcpy(r->ids, ids, n * sizeof *ids);
	if ((status = ask(r)) != FUTURED_OK)
		free(r);
	return status;
}

static enum futured_status
resume_all(struct core *k, bool results)
{
	size_t n = watch_list(k, results, NULL);
	enum futured_status status = FUTURED_OK;
	uint64_t *ids;

	if (n == 0)
		return FUTURED_OK;
	if ((ids = calloc(n, sizeof *ids)) == NULL)
		return FUTURED_NO_MEMORY;
	watch_list(k, results, ids);
	qsort(ids, n, sizeof *ids, by_value); /* runs of consecutive ids travel as pairs */
	for (size_t i = 0; i < n && status == FUTURED_OK; i += RUN)
		status = resume_run(k, results, ids + i, n - i < RUN ? n - i : RUN);
	free(ids);
	return status;
}

enum futured_status
watch_resume(struct core *k)
{
	enum futured_status status = resume_all(k, true);

	return status == FUTURED_OK ? resume_all(k, false) : status;
}

void
rewatch_clear(struct core *k)
{
	for (size_t i = 0; i < k->cap; i++) {
		struct core_request *s = &k->slot[i];

		if (s->msgid != 0 && s->done == on_rewatched)
			drop(s->data);
		if (s->msgid != 0 && s->done == on_refetched) {
			struct refetch *f = s->data;

			drop(f->run);
			free(f);
		}
	}
}

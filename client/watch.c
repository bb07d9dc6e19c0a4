/* Who wants to be told when a future is done.
 *
 * Each futured_watch is a job; it puts one entry per id into the table and asks the daemon to watch them. An id that is not done
 * yet comes later as a notification, which takes the id's entries out of the table and calls them in order. Those that were
 * done already are named by the answer; their outcome is fetched, a few requests at a time. If the answer is an error, or the
 * connection ends, each entry is called with that. A job lives as long as it has entries or requests under way. */
#define HASH_NONFATAL_OOM 1
#include "client/watch.h"
#include "client/rewatch.h"
#include "client/packer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { FETCH_AT_ONCE = 64 };

struct entry {
	struct entry *next; /* of the same id, in the order of watching */
	struct watch_job *job;
};

struct watch {
	uint64_t id;
	struct entry *first;
	UT_hash_handle hh;
};

struct watch_job {
	struct core *core;
	bool results;
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data); /* NULL: cancelled */
	void (*progress)(double done, double total, const char *note, size_t note_len, void *data); /* may be NULL */
	void *data;
	size_t held;     /* entries and requests that mention it */
	uint64_t *fetch; /* done already, outcome to be fetched */
	size_t fetches, fetched;
	size_t n;
	uint64_t ids[];
};

struct fetch {
	struct watch_job *job;
	uint64_t id;
};

/* Lets go of it `n` times. */
static void
job_drop(struct watch_job *job, size_t n)
{
	if ((job->held -= n) > 0)
		return;
	free(job->fetch);
	free(job);
}

static void
job_call(struct watch_job *job, uint64_t id, const struct futured_reply *reply)
{
	if (job->done != NULL)
		job->done(job->core->owner, id, reply, job->data);
}

static bool
entry_add(struct core *k, uint64_t id, struct watch_job *job)
{
	struct entry *e = calloc(1, sizeof *e), **tail;
	struct watch *w;

	if (e == NULL)
		return false;
	HASH_FIND(hh, k->watch, &id, sizeof id, w);
	if (w == NULL) {
		if ((w = calloc(1, sizeof *w)) == NULL) {
			free(e);
			return false;
		}
		w->id = id;
		HASH_ADD(hh, k->watch, id, sizeof id, w);
		if (w->hh.tbl == NULL) { /* uthash's way to say that it had no memory */
			free(w);
			free(e);
			return false;
		}
	}
	for (tail = &w->first; *tail != NULL; tail = &(*tail)->next)
		;
	*tail = e;
	e->job = job;
	job->held++;
	return true;
}

/* Takes one entry of this job for this id out of the table; false if there is none. The job stays held. */
static bool
entry_remove(struct core *k, uint64_t id, struct watch_job *job)
{
	struct entry **at, *e;
	struct watch *w;

	HASH_FIND(hh, k->watch, &id, sizeof id, w);
	if (w == NULL)
		return false;
	for (at = &w->first; (e = *at) != NULL && e->job != job; at = &e->next)
		;
	if (e == NULL)
		return false;
	*at = e->next;
	free(e);
	if (w->first == NULL) {
		HASH_DEL(k->watch, w);
		free(w);
	}
	return true;
}

/* ---- the outcome of those that were done already ---- */

static void fetch_more(struct watch_job *job);

/* The answer of `state` for one id. */
static bool
is_cancelled(struct futured_value states)
{
	struct futured_value inside, state;
	size_t count;

	return futured_value_array(states, &count, &inside) && futured_value_next(&inside, &state) &&
	       futured_value_is_str(state, futured_state_name(FUTURED_STATE_CANCELLED));
}

static void
on_fetched(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct fetch *f = data;
	struct watch_job *job = f->job;
	struct futured_reply cancelled;

	(void)c;
	if (reply->status == FUTURED_OK && !job->results && is_cancelled(reply->value)) {
		reply_local(&cancelled, FUTURED_CANCELLED, NULL);
		reply = &cancelled;
	}
	job_call(job, f->id, reply);
	free(f);
	fetch_more(job);
	job_drop(job, 2); /* the id's entry, this request */
}

/* Asks for the outcome of one id, or (without results) only for its state, which does not count as having looked at an error.
 * False if it cannot be asked: then it has been told that. */
static bool
fetch_one(struct watch_job *job, uint64_t id)
{
	struct fetch *f = calloc(1, sizeof *f);
	enum futured_status status = FUTURED_NO_MEMORY;
	struct futured_reply reply;
	struct futured_pack p;

	packer_init(&p);
	if (job->results)
		futured_packf(&p, "ui", id, 0);
	else
		futured_packf(&p, "[u]", id);
	if (f != NULL) {
		*f = (struct fetch){ job, id };
		job->held++;
		status = core_request(job->core, job->results ? "result" : "state", &p, on_fetched, f, NULL);
	}
	packer_clear(&p);
	if (status == FUTURED_OK)
		return true;
	if (f != NULL)
		job->held--;
	free(f);
	reply_local(&reply, status, job->core->ended != FUTURED_OK ? job->core->reason : NULL);
	job_call(job, id, &reply);
	job_drop(job, 1);
	return false;
}

/* One more request, where there is anything left to ask. */
static void
fetch_more(struct watch_job *job)
{
	bool asked = false;

	job->held++;
	while (!asked && job->fetched < job->fetches)
		asked = fetch_one(job, job->fetch[job->fetched++]);
	job_drop(job, 1);
}

/* ---- the daemon's answer ---- */

static void
fail_all(struct watch_job *job, const struct futured_reply *reply)
{
	for (size_t i = 0; i < job->n; i++)
		if (entry_remove(job->core, job->ids[i], job)) {
			job_call(job, job->ids[i], reply);
			job_drop(job, 1);
		}
}

static void
begin_fetch(struct watch_job *job, struct futured_value done)
{
	struct futured_value inside, item;
	struct futured_reply reply;
	size_t count;
	uint64_t id;

	if (!futured_value_array(done, &count, &inside) || count == 0)
		return;
	if (count > job->n || (job->fetch = calloc(job->n, sizeof *job->fetch)) == NULL) {
		reply_local(&reply, count > job->n ? FUTURED_PROTOCOL : FUTURED_NO_MEMORY, NULL);
		fail_all(job, &reply);
		return;
	}
	while (futured_value_next(&inside, &item))
		while (job->fetches < job->n && futured_value_uint(item, &id) && entry_remove(job->core, id, job))
			job->fetch[job->fetches++] = id; /* an id that was given twice is told twice */
	for (int i = 0; i < FETCH_AT_ONCE; i++)
		fetch_more(job);
}

static void
on_watched(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct watch_job *job = data;
	struct futured_value done;

	(void)c;
	if (reply->status != FUTURED_OK)
		fail_all(job, reply);
	else if (futured_value_find(reply->value, "done", &done))
		begin_fetch(job, done);
	job_drop(job, 1);
}

enum futured_status
watch_add(struct core *k, const uint64_t *ids, size_t n, bool results,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data,
	struct watch_job **handle)
{
	struct watch_job *job;
	enum futured_status status = FUTURED_OK;
	struct futured_pack p;
	size_t added;

	if (n > SIZE_MAX / sizeof *ids / 2 || (job = calloc(1, sizeof *job + n * sizeof *ids)) == NULL)
		return FUTURED_NO_MEMORY;
	job->core = k;
	job->results = results;
	job->done = done;
	job->data = data;
	job->n = n;
	job->held = 1; /* the request */
	if (n > 0)
		memcpy(job->ids, ids, n * sizeof *ids);
	for (added = 0; added < n && status == FUTURED_OK; added++)
		if (!entry_add(k, ids[added], job))
			status = FUTURED_NO_MEMORY;
	packer_init(&p);
	futured_pack_ids(&p, ids, n);
	futured_packf(&p, "{sb}", "result", (int)results);
	if (status == FUTURED_OK)
		status = core_request(k, "watch", &p, on_watched, job, NULL);
	packer_clear(&p);
	if (status == FUTURED_OK) {
		if (handle != NULL)
			*handle = job;
		return FUTURED_OK;
	}
	for (size_t i = 0; i < added; i++)
		if (entry_remove(k, ids[i], job))
			job->held--; /* never the last: that is the request's */
	job_drop(job, 1);
	return status;
}

enum futured_status
watch_expect(struct core *k, uint64_t id,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data),
	void (*progress)(double done, double total, const char *note, size_t note_len, void *data), void *data,
	struct watch_job **handle)
{
	struct watch_job *job = calloc(1, sizeof *job + sizeof id);

	if (job == NULL)
		return FUTURED_NO_MEMORY;
	job->core = k;
	job->results = true;
	job->done = done;
	job->progress = progress;
	job->data = data;
	job->n = 1;
	job->ids[0] = id;
	if (!entry_add(k, id, job)) {
		free(job);
		return FUTURED_NO_MEMORY;
	}
	*handle = job;
	return FUTURED_OK;
}

void
watch_on_progress(struct watch_job *job,
	void (*progress)(double done, double total, const char *note, size_t note_len, void *data))
{
	job->progress = progress;
}

void
watch_cancel(struct watch_job *job)
{
	job->done = NULL;
	job->progress = NULL;
}

/* ---- news ---- */

static void
tell(struct entry *e, uint64_t id, const struct futured_reply *reply)
{
	while (e != NULL) {
		struct entry *next = e->next;

		if (reply != NULL)
			job_call(e->job, id, reply);
		job_drop(e->job, 1);
		free(e);
		e = next;
	}
}

bool
watch_done(struct core *k, uint64_t id, const struct futured_reply *reply)
{
	struct watch *w;
	struct entry *first;

	HASH_FIND(hh, k->watch, &id, sizeof id, w);
	if (w == NULL)
		return false;
	first = w->first;
	HASH_DEL(k->watch, w); /* before calling: a callback may watch this id again */
	free(w);
	tell(first, id, reply);
	return true;
}

/* progress [id, done, total|nil, note]. A callback may watch the id again, but an entry goes only when its future is done. */
bool
watch_progress(struct core *k, const struct message *m)
{
	struct reader r = m->params;
	double done, total = -1;
	const char *note;
	bool taken = false;
	struct watch *w;
	size_t len;
	uint64_t id;

	if (m->param_count < 4 || !read_uint(&r, &id) || !read_number(&r, &done) || (!read_nil(&r) && !read_number(&r, &total)) ||
	    !read_str(&r, &note, &len))
		return false;
	HASH_FIND(hh, k->watch, &id, sizeof id, w);
	for (struct entry *e = w != NULL ? w->first : NULL; e != NULL; e = e->next)
		if (e->job->progress != NULL) {
			e->job->progress(done, total, note, len, e->job->data);
			taken = true;
		}
	return taken;
}

size_t
watch_list(const struct core *k, bool results, uint64_t *ids)
{
	size_t n = 0;

	for (const struct watch *w = k->watch; w != NULL; w = w->hh.next) {
		bool any = false;

		for (const struct entry *e = w->first; e != NULL; e = e->next)
			any |= e->job->results;
		if (any != results)
			continue;
		if (ids != NULL)
			ids[n] = w->id;
		n++;
	}
	return n;
}

void
watch_end(struct core *k, const struct futured_reply *reply)
{
	struct watch *w;

	while ((w = k->watch) != NULL) {
		struct entry *first = w->first;
		uint64_t id = w->id;

		HASH_DEL(k->watch, w);
		free(w);
		tell(first, id, reply);
	}
}

void
watch_clear(struct core *k)
{
	rewatch_clear(k);
	/* Requests under way hold their jobs, and nobody will answer them. */
	for (size_t i = 0; i < k->cap; i++) {
		struct core_request *s = &k->slot[i];

		if (s->msgid != 0 && s->done == on_watched)
			job_drop(s->data, 1);
		if (s->msgid != 0 && s->done == on_fetched) {
			struct fetch *f = s->data;

			for (; f->job->fetched < f->job->fetches; f->job->fetched++)
				job_drop(f->job, 1);
			job_drop(f->job, 2);
			free(f);
		}
	}
	watch_end(k, NULL);
}

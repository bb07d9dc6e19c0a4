/* The methods of a future, one blocking function each. */
#include "client/connection.h"
#include "client/packer.h"
#include "client/submission.h"

#include <stdlib.h>

static const char *const state_names[] = { "PENDING", "RUNNING", "CANCELLED", "FINISHED" };

const char *
futured_state_name(enum futured_state state)
{
	return (unsigned)state < sizeof state_names / sizeof state_names[0] ? state_names[state] : "";
}

/* Calls and reads the answer with `take`, which says whether it is as it should be. */
static enum futured_status
call_and_take(struct futured *c, const char *method, const struct futured_pack *p,
	bool (*take)(struct futured_value v, void *out), void *out)
{
	struct futured_reply *reply;
	enum futured_status status = futured_call(c, method, p, -1, &reply);

	if (status == FUTURED_OK && !take(futured_reply_value(reply), out))
		status = connection_failed(c, FUTURED_PROTOCOL, "the daemon's answer is of another type than it should be");
	futured_reply_free(reply);
	return status;
}

static bool
take_id(struct futured_value v, void *out)
{
	return futured_value_uint(v, out);
}

enum futured_status
futured_submit(struct futured *c, uint64_t *id, const char *pool, const char *fn, const char *format, ...)
{
	enum futured_status status;
	struct futured_pack args;
	va_list ap;

	packer_init(&args);
	va_start(ap, format);
	submission_args(&args, format, ap);
	va_end(ap);
	if (futured_pack_status(&args) == FUTURED_VALUE)
		status = connection_failed(c, FUTURED_VALUE, "the format of the arguments is wrong");
	else
		status = futured_submit_with(c, id, pool, fn, &args, NULL);
	packer_clear(&args);
	return status;
}

enum futured_status
futured_submit_with(struct futured *c, uint64_t *id, const char *pool, const char *fn, const struct futured_pack *args,
	const struct futured_options *options)
{
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	submission_pack(c, &p, pool, fn, args, options, false);
	status = call_and_take(c, "submit", &p, take_id, id);
	packer_clear(&p);
	return status;
}

static bool
take_run(struct futured_value v, void *out)
{
	struct futured_value inside, first, count;
	uint64_t *run = out;
	size_t n;

	return futured_value_array(v, &n, &inside) && futured_value_next(&inside, &first) &&
	       futured_value_next(&inside, &count) && futured_value_uint(first, &run[0]) && futured_value_uint(count, &run[1]);
}

enum futured_status
futured_map(struct futured *c, uint64_t *first, uint64_t *count, const char *pool, const char *fn,
	const struct futured_pack *items, const struct futured_options *options)
{
	enum futured_status status;
	struct futured_pack p;
	uint64_t run[2];

	packer_init(&p);
	submission_pack(c, &p, pool, fn, items, options, false);
	status = call_and_take(c, "map", &p, take_run, run);
	packer_clear(&p);
	if (status == FUTURED_OK) {
		*first = run[0];
		*count = run[1];
	}
	return status;
}

static void
pack_timeout(struct futured_pack *p, double timeout)
{
	if (timeout < 0)
		futured_pack_nil(p);
	else
		futured_pack_double(p, timeout);
}

static enum futured_status
call_outcome(struct futured *c, const char *method, uint64_t id, double timeout, struct futured_reply **reply)
{
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	futured_pack_uint(&p, id);
	pack_timeout(&p, timeout);
	status = futured_call(c, method, &p, -1, reply);
	packer_clear(&p);
	return status;
}

enum futured_status
futured_result(struct futured *c, uint64_t id, double timeout, struct futured_reply **reply)
{
	return call_outcome(c, "result", id, timeout, reply);
}

enum futured_status
futured_exception(struct futured *c, uint64_t id, double timeout, struct futured_reply **reply)
{
	return call_outcome(c, "exception", id, timeout, reply);
}

static bool
take_state(struct futured_value v, void *out)
{
	struct futured_value inside, name;
	enum futured_state *state = out;
	size_t n;

	if (!futured_value_array(v, &n, &inside) || !futured_value_next(&inside, &name))
		return false;
	for (unsigned i = 0; i < sizeof state_names / sizeof state_names[0]; i++)
		if (futured_value_is_str(name, state_names[i])) {
			*state = (enum futured_state)i;
			return true;
		}
	return false;
}

enum futured_status
futured_state(struct futured *c, uint64_t id, enum futured_state *state)
{
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	futured_packf(&p, "[u]", id);
	status = call_and_take(c, "state", &p, take_state, state);
	packer_clear(&p);
	return status;
}

struct marks {
	const uint64_t *ids;
	size_t n;
	bool *out;
};

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool
lists(struct futured_value list, uint64_t wanted)
{
	struct futured_value item;
	uint64_t id;

	while (futured_value_next(&list, &item) && futured_value_uint(item, &id))
		if (id == wanted)
			return true;
	return false;
}

/* The daemon lists each id once, however often it was asked for. */
static bool
take_done(struct futured_value v, void *out)
{
	struct marks *m = out;
	struct futured_value list, cursor, item;
	uint64_t *sorted, id;
	size_t count, n = 0;

	if (!futured_value_find(v, "done", &list) || !futured_value_array(list, &count, &list))
		return false;
	if (m->out == NULL)
		return true;
	cursor = list;
	sorted = calloc(count + 1, sizeof *sorted); /* where there is no memory for it, it only takes longer */
	while (sorted != NULL && futured_value_next(&cursor, &item) && futured_value_uint(item, &id))
		sorted[n++] = id;
	if (sorted != NULL)
		qsort(sorted, n, sizeof *sorted, by_value);
	for (size_t i = 0; i < m->n; i++)
		m->out[i] = sorted != NULL ? bsearch(&m->ids[i], sorted, n, sizeof *sorted, by_value) != NULL : lists(list, m->ids[i]);
	free(sorted);
	return true;
}

enum futured_status
futured_wait(struct futured *c, const uint64_t *ids, size_t n, enum futured_when when, double timeout, bool *done)
{
	static const char *const names[] = { "ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION" };
	struct marks m = { ids, n, done };
	enum futured_status status;
	struct futured_pack p;

	if ((unsigned)when >= sizeof names / sizeof names[0])
		return connection_failed(c, FUTURED_VALUE, "Invalid return condition");
	packer_init(&p);
	futured_pack_ids(&p, ids, n);
	futured_pack_str(&p, names[when]);
	pack_timeout(&p, timeout);
	status = call_and_take(c, "wait", &p, take_done, &m);
	packer_clear(&p);
	return status;
}

static bool
take_bools(struct futured_value v, void *out)
{
	struct marks *m = out;
	struct futured_value inside, item;
	size_t count;

	if (!futured_value_array(v, &count, &inside) || count != m->n)
		return false;
	for (size_t i = 0; m->out != NULL && i < count; i++)
		if (!futured_value_next(&inside, &item) || !futured_value_bool(item, &m->out[i]))
			return false;
	return true;
}

enum futured_status
futured_cancel(struct futured *c, const uint64_t *ids, size_t n, enum futured_how how, double grace, bool *cancelled)
{
	static const char *const names[] = { "no", "ask", "kill" };
	struct marks m = { ids, n, cancelled };
	enum futured_status status;
	struct futured_pack p;

	if ((unsigned)how >= sizeof names / sizeof names[0])
		return connection_failed(c, FUTURED_VALUE, "how to cancel: expected pending, ask or kill");
	packer_init(&p);
	futured_pack_ids(&p, ids, n);
	if (grace < 0)
		futured_packf(&p, "{ss}", "running", names[how]);
	else
		futured_packf(&p, "{ss sd}", "running", names[how], "grace", grace);
	status = call_and_take(c, "cancel", &p, take_bools, &m);
	packer_clear(&p);
	return status;
}

enum futured_status
futured_release(struct futured *c, const uint64_t *ids, size_t n)
{
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	futured_pack_ids(&p, ids, n);
	status = futured_call(c, "release", &p, -1, NULL);
	packer_clear(&p);
	return status;
}

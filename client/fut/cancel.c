/* fut cancel, release, retry: verbs that act on many futures at once. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/args.h"
#include "client/fut/list.h"
#include "client/fut/pools.h"
#include "client/fut/reach.h"

enum { CANCEL_ASK = OPTION_LONG, CANCEL_GRACE, BLOCK = 100000, ASK_MOST = 1000 };

struct some {
	uint64_t *ids;
	size_t n, cap;
};

static bool
on_future(struct futured_value map, void *data)
{
	struct some *s = data;

	if (s->n == s->cap)
		s->ids = need(realloc(s->ids, (s->cap = s->cap == 0 ? 256 : s->cap * 2) * sizeof *s->ids));
	s->n += futured_find_uint(map, "id", &s->ids[s->n]);
	return true;
}

/* All that is not done yet, of a pool or with a tag. */
static int
find_some(struct fut *f, struct list_filter filter, bool running, struct some *s)
{
	int status;

	filter.state = "PENDING";
	status = list_each(f, &filter, on_future, s);
	filter.state = "RUNNING";
	return status == EXIT_OK && running ? list_each(f, &filter, on_future, s) : status;
}

/* What it is, where it was not cancelled; NULL where that is not to be had, or not worth another question. */
static const char *
say_state(struct fut *f, uint64_t id, size_t among)
{
	enum futured_state state;

	if (among > ASK_MOST || f->quiet || futured_state(f->c, id, &state) != FUTURED_OK)
		return "is not pending any more; --kill stops a running one";
	switch (state) {
	case FUTURED_RUNNING:
		return "is running; --kill stops it";
	case FUTURED_FINISHED:
		return "has finished already";
	case FUTURED_STATE_CANCELLED:
		return "was cancelled already";
	default:
		return "is not cancelled";
	}
}

static void
say_cancelled(struct fut *f, uint64_t id, bool cancelled, enum futured_how how, size_t among)
{
	if (f->json)
		printf("{\"id\": %" PRIu64 ", \"cancelled\": %s}\n", id, cancelled ? "true" : "false");
	else if (cancelled)
		fut_note(f, "%" PRIu64 " is cancelled", id);
	else if (how == FUTURED_CANCEL_ASK)
		fut_note(f, "%" PRIu64 " was asked to stop, if it runs", id);
	else
		fut_note(f, "%" PRIu64 " %s", id, say_state(f, id, among));
}

static int
cancel_some(struct fut *f, const struct some *s, enum futured_how how, double grace)
{
	bool *cancelled = need(calloc(s->n + 1, sizeof *cancelled));
	enum futured_status called;
	int status = EXIT_OK;

	for (size_t at = 0; at < s->n && status == EXIT_OK; at += BLOCK) {
		size_t n = s->n - at < BLOCK ? s->n - at : BLOCK;

		if ((called = futured_cancel(f->c, s->ids + at, n, how, grace, cancelled + at)) != FUTURED_OK)
			status = fut_lost(f, called);
		for (size_t i = at; status == EXIT_OK && i < at + n; i++)
			say_cancelled(f, s->ids[i], cancelled[i], how, s->n);
	}
	for (size_t i = 0; i < s->n && status == EXIT_OK; i++)
		if (!cancelled[i] && how != FUTURED_CANCEL_ASK)
			status = EXIT_FAILED;
	free(cancelled);
	return status;
}

static int
cancel_main(struct fut *f, int argc, char **argv)
{
	enum futured_how how = FUTURED_CANCEL_PENDING;
	struct list_filter filter = { 0 };
	struct some s = { 0 };
	double grace = -1;
	struct args a;
	int key, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		switch (key) {
		case 'p':
			filter.pool = a.value;
			break;
		case 'T':
			filter.tag = a.value;
			break;
		case CANCEL_ASK:
			how = FUTURED_CANCEL_ASK;
			break;
		case 'k':
			how = FUTURED_CANCEL_KILL;
			break;
		case CANCEL_GRACE:
			if (!args_duration(f, "--grace", a.value, &grace))
				return EXIT_USAGE;
			break;
		default:
			return a.status;
		}
	if (filter.pool == NULL && filter.tag == NULL) {
		if (!args_all_ids(&a, &s.ids, &s.n))
			return a.status;
	} else if (!args_expect(&a, 0, 0))
		return a.status;
	status = reach(f, REACH_ONLY);
	if (status == EXIT_OK && filter.pool != NULL)
		status = pools_check(f, filter.pool);
	if (status == EXIT_OK && s.n == 0)
		status = find_some(f, filter, how != FUTURED_CANCEL_PENDING, &s);
	if (status == EXIT_OK)
		status = cancel_some(f, &s, how, grace);
	free(s.ids);
	return status;
}

static const struct option_row cancel_options[] = {
	{ 'p', "pool", "POOL", "all of this pool" },
	{ 'T', "tag", "TAG", "all with this tag" },
	{ CANCEL_ASK, "ask", NULL, "running ones are asked to stop too (TERM)" },
	{ 'k', "kill", NULL, "running ones are stopped too: TERM to the whole process tree, then KILL" },
	{ CANCEL_GRACE, "grace", "S", "seconds between the two" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_cancel = {
	.name = "cancel",
	.operands = "ID… | --pool P | --tag T",
	.summary = "cancel futures; --kill stops running ones",
	.examples = "  fut cancel 17              # if it has not begun\n"
		    "  fut cancel --kill 17-20    # in any case, with all their processes\n"
		    "  fut cancel --tag nightly   # all of these that wait\n"
		    "  Status: 0 if all of them are or will be cancelled, else 1.",
	.options = cancel_options,
	.run = cancel_main,
};

/* ---- release, retry ---- */

static bool
begin(struct fut *f, int argc, char **argv, struct some *s, int *status)
{
	struct args a;

	args_init(&a, f, argc, argv, false);
	if (args_next(&a) != ARGS_END || !args_all_ids(&a, &s->ids, &s->n)) {
		*status = a.status;
		return false;
	}
	*status = reach(f, REACH_ONLY);
	return *status == EXIT_OK;
}

static struct futured_pack *
pack_ids(const struct some *s)
{
	struct futured_pack *p = need(futured_pack_new());

	futured_pack_ids(p, s->ids, s->n);
	return p;
}

static int
release_main(struct fut *f, int argc, char **argv)
{
	struct futured_reply *reply;
	struct futured_pack *p;
	struct some s = { 0 };
	uint64_t n = 0;
	int status;

	if (!begin(f, argc, argv, &s, &status))
		return status;
	p = pack_ids(&s);
	if (futured_call(f->c, "release", p, -1, &reply) != FUTURED_OK)
		status = fut_refused(f, reply);
	else {
		futured_value_uint(futured_reply_value(reply), &n);
		if (f->json)
			printf("{\"released\": %" PRIu64 "}\n", n);
		else
			fut_note(f, "%" PRIu64 " released", n);
	}
	futured_reply_free(reply);
	futured_pack_free(p);
	free(s.ids);
	return status;
}

const struct verb verb_release = {
	.name = "release",
	.operands = "ID…",
	.summary = "let the daemon forget futures",
	.examples = "  fut release 17-20   # and what they printed; one that runs is forgotten when it ends",
	.run = release_main,
};

static int
retry_main(struct fut *f, int argc, char **argv)
{
	struct futured_value inside, item;
	struct futured_reply *reply;
	struct futured_pack *p;
	struct some s = { 0 };
	uint64_t id;
	int status;
	size_t n;

	if (!begin(f, argc, argv, &s, &status))
		return status;
	p = pack_ids(&s);
	if (futured_call(f->c, "retry", p, -1, &reply) != FUTURED_OK)
		status = fut_refused(f, reply);
	else if (futured_value_array(futured_reply_value(reply), &n, &inside))
		for (size_t i = 0; futured_value_next(&inside, &item) && futured_value_uint(item, &id); i++) {
			if (f->json && i < s.n)
				printf("{\"id\": %" PRIu64 ", \"retry_of\": %" PRIu64 "}\n", id, s.ids[i]);
			else
				printf("%" PRIu64 "\n", id);
		}
	futured_reply_free(reply);
	futured_pack_free(p);
	free(s.ids);
	return status;
}

const struct verb verb_retry = {
	.name = "retry",
	.operands = "ID…",
	.summary = "submit the same tasks again; prints the new ids",
	.examples = "  fut retry 17                                         # prints 42\n"
		    "  fut retry $(fut --json failures | jq .id)            # all that failed",
	.run = retry_main,
};

/* fut wait: until futures are done. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/args.h"
#include "client/fut/json.h"
#include "client/fut/list.h"
#include "client/fut/outcome.h"
#include "client/fut/pools.h"
#include "client/fut/reach.h"

enum { WAIT_ANY = OPTION_LONG, WAIT_ALL, WAIT_FIRST, WAIT_TIMEOUT, AT_ONCE = 256 };

struct wait {
	struct fut *f;
	uint64_t *ids;
	size_t n;
	enum futured_when when;
	double timeout;
	bool failed;
	size_t asked, answered;
};

/* The outcome of `exception` as that of `result` would be: an error in the place of a value becomes one. */
static void
print_outcome(struct wait *w, uint64_t id, const struct futured_error *e)
{
	char *words;

	if (w->f->json) {
		printf("{\"id\": %" PRIu64 ", \"error\": ", id);
		if (e != NULL)
			jsonout_error(stdout, e);
		else
			fputs("null", stdout);
		fputs("}\n", stdout);
	} else if (e != NULL && w->n > 1) {
		words = outcome_words(e);
		fut_note(w->f, "%" PRIu64 ": %s", id, words);
		free(words);
	}
}

struct asked {
	struct wait *w;
	uint64_t id;
};

static void
on_exception(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct asked *a = data;
	struct futured_error e;
	bool failed = futured_reply_error(reply, &e) || futured_error_read(futured_reply_value(reply), &e);

	(void)c;
	a->w->answered++;
	a->w->failed |= failed;
	print_outcome(a->w, a->id, failed ? &e : NULL);
	free(a);
}

/* What became of those that are done, in the order given. */
static int
ask_outcomes(struct wait *w, const bool *done)
{
	enum futured_status status;

	for (size_t i = 0; i < w->n || w->answered < w->asked;) {
		if (i < w->n && w->asked - w->answered < AT_ONCE) {
			struct asked *a;

			if (done[i]) {
				a = need(malloc(sizeof *a));
				*a = (struct asked){ w, w->ids[i] };
				w->asked++;
				if ((status = futured_requestf(w->f->c, on_exception, a, "exception", "ui", w->ids[i], 0)) != FUTURED_OK)
					return fut_lost_ids(w->f, status, w->ids, w->n);
			}
			i++;
			continue;
		}
		if ((status = futured_step(w->f->c, -1)) != FUTURED_OK)
			return fut_lost_ids(w->f, status, w->ids, w->n);
	}
	return EXIT_OK;
}

static bool
is_fulfilled(const struct wait *w, const bool *done)
{
	size_t count = 0;

	for (size_t i = 0; i < w->n; i++)
		count += done[i];
	if (w->when == FUTURED_FIRST_COMPLETED)
		return count > 0;
	return count == w->n || (w->when == FUTURED_FIRST_EXCEPTION && w->failed);
}

static int
wait_many(struct wait *w)
{
	bool *done = need(calloc(w->n, sizeof *done));
	enum futured_status waited;
	int status = EXIT_OK;

	if ((waited = futured_wait(w->f->c, w->ids, w->n, w->when, w->timeout, done)) != FUTURED_OK)
		status = fut_lost_ids(w->f, waited, w->ids, w->n);
	if (status == EXIT_OK)
		status = ask_outcomes(w, done);
	if (status == EXIT_OK && !is_fulfilled(w, done)) {
		fut_note(w->f, "timed out");
		status = EXIT_TIMED_OUT;
	} else if (status == EXIT_OK && w->failed)
		status = EXIT_FAILED;
	free(done);
	return status;
}

/* One id: its error in one round trip, and its own status. */
static int
wait_one(struct wait *w)
{
	struct futured_reply *reply;
	enum futured_status waited = futured_exception(w->f->c, w->ids[0], w->timeout, &reply);
	struct futured_error e;
	int status = EXIT_OK;

	if (waited == FUTURED_TIMEOUT) {
		fut_note(w->f, "timed out; %" PRIu64 " goes on", w->ids[0]);
		status = EXIT_TIMED_OUT;
	} else if (reply == NULL || waited == FUTURED_LOST)
		status = fut_lost_ids(w->f, waited, w->ids, 1);
	else if (futured_reply_error(reply, &e)) {
		status = outcome_status_of(&e);
		if (w->f->json && e.status == FUTURED_CANCELLED)
			print_outcome(w, w->ids[0], &e);
		else
			fut_refused(w->f, reply);
	} else if (futured_error_read(futured_reply_value(reply), &e)) {
		status = outcome_status_of(&e);
		if (w->f->json)
			print_outcome(w, w->ids[0], &e);
		else
			outcome_say(w->f, &e);
	} else
		print_outcome(w, w->ids[0], NULL);
	futured_reply_free(reply);
	return status;
}

/* With a tag all that have it, since some may be done already; of a pool those that are not. */
static int
find(struct wait *w, struct list_filter filter)
{
	int status = filter.pool != NULL ? pools_check(w->f, filter.pool) : EXIT_OK;

	if (filter.tag == NULL)
		filter.states = LIST_PENDING | LIST_RUNNING;
	if (status == EXIT_OK)
		status = list_ids(w->f, &filter, &w->ids, &w->n);
	if (status == EXIT_OK && w->n == 0 && filter.tag != NULL) {
		fut_error(w->f, FUTURED_VALUE, "nothing has the tag '%s'", filter.tag);
		status = fut_failed(w->f);
	}
	return status;
}

static int
wait_main(struct fut *f, int argc, char **argv)
{
	struct wait w = { .f = f, .timeout = -1 };
	struct list_filter filter = { 0 };
	struct args a;
	int key, when = 0, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		switch (key) {
		case WAIT_ANY:
		case WAIT_ALL:
		case WAIT_FIRST:
			if (when != 0 && when != key)
				return args_wrong(f, "--any, --all and --first-exception: one of them");
			when = key;
			w.when = key == WAIT_ANY ? FUTURED_FIRST_COMPLETED : key == WAIT_ALL ? FUTURED_ALL_COMPLETED : FUTURED_FIRST_EXCEPTION;
			break;
		case 'p':
			filter.pool = a.value;
			break;
		case 'T':
			filter.tag = a.value;
			break;
		case WAIT_TIMEOUT:
			if (!args_duration(f, "--timeout", a.value, &w.timeout))
				return fut_usage(f);
			break;
		default:
			return a.status;
		}
	if (filter.pool == NULL && filter.tag == NULL) {
		if (a.count == 0)
			return args_wrong(f, "there is no id to wait for; what should have listed some found none");
		if (!args_all_ids(&a, &w.ids, &w.n))
			return a.status;
	} else if (!args_expect(&a, 0, 0))
		return a.status;
	status = reach(f, REACH_ONLY);
	if (status == EXIT_OK && w.ids == NULL)
		status = find(&w, filter);
	if (status == EXIT_OK && w.n > 0)
		status = w.n == 1 ? wait_one(&w) : wait_many(&w);
	free(w.ids);
	return status;
}

static const struct option_row wait_options[] = {
	{ WAIT_ALL, "all", NULL, "until all are done (the default)" },
	{ WAIT_ANY, "any", NULL, "until one is done" },
	{ WAIT_FIRST, "first-exception", NULL, "until one has failed, or all are done" },
	{ 'T', "tag", "TAG", "for all with this tag, those that are done already, too" },
	{ 'p', "pool", "POOL", "for all of this pool that are not done yet" },
	{ WAIT_TIMEOUT, "timeout", "S", "wait no longer than that (status 124); the tasks go on" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_wait = {
	.name = "wait",
	.operands = "ID… | --tag T | --pool P",
	.summary = "wait until futures are done; exit as they did",
	.examples = "  fut wait 17                 # exits with 17's own status\n"
		    "  fut wait 17-20 23           # 0 if all went well, 1 if one failed\n"
		    "  fut wait --any 17 18        # the first of them\n"
		    "  fut wait --tag nightly      # all that have it\n"
		    "  fut wait --timeout 1m 17    # 124 if it takes longer",
	.options = wait_options,
	.run = wait_main,
	.flags = VERB_TASK,
};

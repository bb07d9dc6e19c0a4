/* fut cancel, release, retry: verbs that act on many futures at once. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/args.h"
#include "client/fut/list.h"
#include "client/fut/pools.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"

enum { CANCEL_ASK = OPTION_LONG, CANCEL_GRACE, BLOCK = 100000, FEW = 5 };

struct some {
	uint64_t *ids;
	size_t n;
};

static bool
on_count(struct futured_value map, void *data)
{
	(void)map;
	++*(size_t *)data;
	return true;
}

static struct futured_pack *
pack_ids(const uint64_t *ids, size_t n)
{
	struct futured_pack *p = need(futured_pack_new());

	futured_pack_ids(p, ids, n);
	return p;
}

/* ---- what became of them ---- */

enum fate { FATE_CANCELLED, FATE_RUNNING, FATE_FINISHED, FATE_OTHER, FATES };

static enum fate
fate_of(struct futured_value state)
{
	if (futured_value_is_str(state, "RUNNING"))
		return FATE_RUNNING;
	if (futured_value_is_str(state, "FINISHED"))
		return FATE_FINISHED;
	return futured_value_is_str(state, "CANCELLED") ? FATE_CANCELLED : FATE_OTHER;
}

/* Of all of them, in one go; OTHER where that is not to be had. */
static void
ask_fates(struct fut *f, const uint64_t *ids, size_t n, enum fate *fate)
{
	struct futured_value inside = { 0 }, state;
	struct futured_pack *p = pack_ids(ids, n);
	struct futured_reply *reply = NULL;
	size_t count;

	if (futured_call(f->c, "state", p, -1, &reply) == FUTURED_OK)
		futured_value_array(futured_reply_value(reply), &count, &inside);
	for (size_t i = 0; i < n; i++)
		fate[i] = inside.at != NULL && futured_value_next(&inside, &state) ? fate_of(state) : FATE_OTHER;
	futured_reply_free(reply);
	futured_pack_free(p);
}

/* One that is asked to stop may have done so before we look again, so those are looked at before. */
static int
cancel_block(struct fut *f, const uint64_t *ids, size_t n, enum futured_how how, double grace, enum fate *fate)
{
	bool *cancelled = need(calloc(n + 1, sizeof *cancelled)), all = true;
	enum futured_status called;

	if (how == FUTURED_CANCEL_ASK)
		ask_fates(f, ids, n, fate);
	called = futured_cancel(f->c, ids, n, how, grace, cancelled);
	for (size_t i = 0; i < n; i++)
		all &= cancelled[i];
	if (called == FUTURED_OK && how != FUTURED_CANCEL_ASK && !all)
		ask_fates(f, ids, n, fate);
	for (size_t i = 0; i < n; i++)
		fate[i] = cancelled[i] ? FATE_CANCELLED : fate[i];
	free(cancelled);
	return called == FUTURED_OK ? EXIT_OK : fut_lost(f, called);
}

static const char *
fate_text(enum fate fate, enum futured_how how)
{
	switch (fate) {
	case FATE_CANCELLED:
		return "is cancelled";
	case FATE_RUNNING:
		return how == FUTURED_CANCEL_ASK ? "was asked to stop" : "is running; --kill stops it";
	case FATE_FINISHED:
		return "has finished already";
	default:
		return "is not pending any more";
	}
}

/* Many in one line. */
static void
say_many(struct fut *f, const size_t count[FATES], size_t running, enum futured_how how)
{
	char *text = NULL;
	size_t size, asked = how == FUTURED_CANCEL_ASK ? count[FATE_RUNNING] : 0, left = running + count[FATE_RUNNING] - asked;
	FILE *out = need(open_memstream(&text, &size));

	fprintf(out, "%zu cancelled", count[FATE_CANCELLED]);
	if (asked > 0)
		fprintf(out, ", %zu %s asked to stop", asked, asked == 1 ? "was" : "were");
	if (left > 0)
		fprintf(out, ", %zu %s running (--kill stops %s)", left, left == 1 ? "is" : "are", left == 1 ? "it" : "them");
	if (count[FATE_FINISHED] + count[FATE_OTHER] > 0)
		fprintf(out, ", %zu had finished already", count[FATE_FINISHED] + count[FATE_OTHER]);
	if (fclose(out) != 0)
		need(NULL);
	fut_note(f, "%s", text);
	free(text);
}

static bool
is_as_wanted(enum fate fate, enum futured_how how)
{
	return fate == FATE_CANCELLED || (how == FUTURED_CANCEL_ASK && fate == FATE_RUNNING);
}

/* `running` are those that were not meant. */
static int
report(struct fut *f, const struct some *s, const enum fate *fate, size_t running, enum futured_how how)
{
	size_t count[FATES] = { 0 };
	int status = EXIT_OK;

	for (size_t i = 0; i < s->n; i++) {
		count[fate[i]]++;
		if (!is_as_wanted(fate[i], how))
			status = EXIT_FAILED;
		if (f->json)
			printf("{\"id\": %" PRIu64 ", \"cancelled\": %s}\n", s->ids[i], fate[i] == FATE_CANCELLED ? "true" : "false");
		else if (s->n <= FEW)
			fut_note(f, "%" PRIu64 " %s", s->ids[i], fate_text(fate[i], how));
	}
	if (!f->json && s->n > FEW)
		say_many(f, count, running, how);
	else if (!f->json && running > 0)
		fut_note(f, "%zu %s running; --kill stops %s", running, running == 1 ? "is" : "are", running == 1 ? "it" : "them");
	return status;
}

static int
cancel_some(struct fut *f, const struct some *s, size_t running, enum futured_how how, double grace)
{
	enum fate *fate = need(calloc(s->n + 1, sizeof *fate));
	int status = EXIT_OK;

	for (size_t at = 0; at < s->n && status == EXIT_OK; at += BLOCK)
		status = cancel_block(f, s->ids + at, s->n - at < BLOCK ? s->n - at : BLOCK, how, grace, fate + at);
	if (status == EXIT_OK)
		status = report(f, s, fate, running, how);
	free(fate);
	return status;
}

/* ---- of a pool, with a tag ---- */

/* All that is not done yet; of what runs only how much there is, where that goes on. */
static int
find_some(struct fut *f, struct list_filter filter, enum futured_how how, struct some *s, size_t *running)
{
	int status;

	filter.state = "PENDING";
	status = list_ids(f, &filter, &s->ids, &s->n);
	filter.state = "RUNNING";
	if (status != EXIT_OK)
		return status;
	return how == FUTURED_CANCEL_PENDING ? list_each(f, &filter, on_count, running) : list_ids(f, &filter, &s->ids, &s->n);
}

/* Nothing is left of them, or there never was. */
static int
say_none(struct fut *f, struct list_filter filter, size_t running)
{
	const char *pool = filter.pool != NULL ? filter.pool : "", *in = filter.pool != NULL ? " in pool " : "";
	size_t known = 0;
	int status = filter.pool != NULL ? pools_check(f, filter.pool) : EXIT_OK;

	filter.most = 1;
	if (status == EXIT_OK && filter.tag != NULL)
		status = list_each(f, &filter, on_count, &known);
	if (status != EXIT_OK)
		return status;
	if (filter.tag != NULL && known == 0) {
		fut_error(f, FUTURED_VALUE, "nothing%s%s has the tag '%s'", in, pool, filter.tag);
		return EXIT_FAILED;
	}
	if (f->json)
		return EXIT_OK;
	if (running > 0)
		fut_note(f, "nothing%s%s waits; %zu %s running (--kill stops %s)", in, pool, running, running == 1 ? "is" : "are", running == 1 ? "it" : "them");
	else
		fut_note(f, "nothing%s%s is left to cancel", in, pool);
	return EXIT_OK;
}

static int
cancel_these(struct fut *f, struct list_filter filter, enum futured_how how, double grace)
{
	struct some s = { 0 };
	size_t running = 0;
	int status = find_some(f, filter, how, &s, &running);

	if (status == EXIT_OK)
		status = s.n > 0 ? cancel_some(f, &s, running, how, grace) : say_none(f, filter, running);
	free(s.ids);
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
	if (status == EXIT_OK)
		status = s.n > 0 ? cancel_some(f, &s, 0, how, grace) : cancel_these(f, filter, how, grace);
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

enum { RELEASE_ASKED = 1000 };

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

/* Those that are forgotten only when they end: `state` refuses them all if one is not to be had, so they are asked for one by one. */
static size_t
count_unfinished(struct fut *f, const struct some *s, uint64_t *ids)
{
	enum futured_state state;
	size_t n = 0;

	for (size_t i = 0; i < s->n && i < RELEASE_ASKED; i++)
		if (futured_state(f->c, s->ids[i], &state) == FUTURED_OK && (state == FUTURED_PENDING || state == FUTURED_RUNNING))
			ids[n++] = s->ids[i];
	return n;
}

static void
say_released(struct fut *f, uint64_t released, uint64_t *later, size_t n)
{
	char *text = show_ids(later, n);

	/* The daemon counts those that it will forget. */
	released -= released > n ? n : released;
	if (f->json)
		printf("{\"released\": %" PRIu64 "}\n", released);
	else if (released > 0 || n == 0)
		fut_note(f, "%" PRIu64 " released", released);
	if (!f->json && n > 0)
		fut_note(f, "%s %s forgotten when %s", text, n == 1 ? "is" : "are", n == 1 ? "it ends" : "they end");
	free(text);
}

static int
release_main(struct fut *f, int argc, char **argv)
{
	uint64_t n = 0, later[RELEASE_ASKED];
	struct futured_reply *reply;
	struct futured_pack *p;
	struct some s = { 0 };
	size_t unfinished;
	int status;

	if (!begin(f, argc, argv, &s, &status))
		return status;
	unfinished = f->json || f->quiet ? 0 : count_unfinished(f, &s, later);
	p = pack_ids(s.ids, s.n);
	if (futured_call(f->c, "release", p, -1, &reply) != FUTURED_OK)
		status = fut_refused(f, reply);
	else {
		futured_value_uint(futured_reply_value(reply), &n);
		say_released(f, n, later, unfinished);
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
	p = pack_ids(s.ids, s.n);
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

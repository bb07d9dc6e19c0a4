/* fut show, why, failures: about single futures. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/args.h"
#include "client/fut/json.h"
#include "client/fut/list.h"
#include "client/fut/outcome.h"
#include "client/fut/page.h"
#include "client/fut/reach.h"
#include "client/fut/writer.h"

/* Options and the one id of show and why. */
static bool
begin(struct fut *f, int argc, char **argv, uint64_t **ids, size_t *n, int *status)
{
	struct args a;

	args_init(&a, f, argc, argv, false);
	if (args_next(&a) != ARGS_END || !args_all_ids(&a, ids, n)) {
		*status = a.status;
		return false;
	}
	if ((*status = reach(f, REACH_ONLY)) == EXIT_OK)
		return true;
	free(*ids);
	return false;
}

static int
each_show(struct fut *f, int argc, char **argv, bool apart, void (*print)(struct fut *f, uint64_t id, struct futured_value map))
{
	struct futured_reply *reply;
	uint64_t *ids;
	int status;
	size_t n;

	if (!begin(f, argc, argv, &ids, &n, &status))
		return status;
	for (size_t i = 0; i < n; i++) {
		if (futured_callf(f->c, &reply, "show", "u", ids[i]) == FUTURED_OK) {
			if (i > 0 && apart && !f->json)
				putchar('\n');
			print(f, ids[i], futured_reply_value(reply));
		} else
			status = fut_refused(f, reply);
		futured_reply_free(reply);
	}
	free(ids);
	return status;
}

static void
print_show(struct fut *f, uint64_t id, struct futured_value map)
{
	(void)id;
	page_future(f, map);
}

static int
show_main(struct fut *f, int argc, char **argv)
{
	return each_show(f, argc, argv, true, print_show);
}

const struct verb verb_show = {
	.name = "show",
	.operands = "ID…",
	.summary = "everything about a future",
	.examples = "  fut show 17                    # a page\n"
		    "  fut --json show 17 | jq .state # an object",
	.run = show_main,
};

static void
print_why(struct fut *f, uint64_t id, struct futured_value map)
{
	struct futured_value why;
	char *text;

	if (f->json) {
		printf("{\"id\": %" PRIu64 ", \"state\": ", id);
		futured_value_find(map, "state", &why);
		jsonout_value(stdout, why);
		fputs(", \"why\": ", stdout);
		futured_value_find(map, "why", &why);
		jsonout_value(stdout, why);
		fputs("}\n", stdout);
		return;
	}
	text = page_state(map);
	printf("%" PRIu64 ": %s\n", id, text);
	free(text);
}

static int
why_main(struct fut *f, int argc, char **argv)
{
	return each_show(f, argc, argv, false, print_why);
}

const struct verb verb_why = {
	.name = "why",
	.operands = "ID…",
	.summary = "why a future is not running yet",
	.examples = "  fut why 17      # 17: behind 4 in pool shell (about 38 s) (workers)\n"
		    "\n"
		    "  The word in parentheses at the end is the reason, for programs, too: after, delay, retry, workers, paused, draining,\n"
		    "  broken, no_pool.",
	.run = why_main,
};

/* ---- failures ---- */

static char *
id_cell(struct futured_value map, enum paint *paint)
{
	char *id = cell_number(map, "id");

	*paint = PAINT_BOLD;
	return id != NULL ? id : cell_number(map, "future");
}

static char *
error_cell(struct futured_value map, enum paint *paint)
{
	struct futured_value error;
	struct futured_error e;

	*paint = PAINT_RED;
	if ((futured_value_find(map, "error", &error) && futured_error_read(error, &e)) || futured_error_read(map, &e))
		return outcome_words(&e);
	return NULL;
}

static char *
task_cell(struct futured_value map, enum paint *paint)
{
	(void)paint;
	return list_title(map);
}

static char *
age_cell(struct futured_value map, enum paint *paint)
{
	(void)paint;
	return cell_since(map, "finished");
}

static const struct column failure_columns[] = {
	{ "ID", id_cell, true, false, 0 },
	{ "AGE", age_cell, true, false, 0 },
	{ "TASK", task_cell, false, true, 0 },
	{ "ERROR", error_cell, false, true, 0 },
	{ NULL, NULL, false, false, 0 },
};

enum { FAILURES_SEEN = OPTION_LONG };

static int
failures_main(struct fut *f, int argc, char **argv)
{
	struct futured_reply *reply;
	struct args a;
	bool seen = false;
	int key, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == FAILURES_SEEN)
			seen = true;
		else
			return a.status;
	if (!args_expect(&a, 0, 0))
		return a.status;
	if ((status = reach(f, REACH_ONLY)) != EXIT_OK)
		return status;
	if (futured_callf(f->c, &reply, "failures", "{sb}", "seen", (int)seen) == FUTURED_OK)
		writer_table(f, failure_columns, futured_reply_value(reply), "no unseen failures");
	else
		status = fut_refused(f, reply);
	futured_reply_free(reply);
	return status;
}

static const struct option_row failures_options[] = {
	{ FAILURES_SEEN, "seen", NULL, "they count as looked at from now on" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_failures = {
	.name = "failures",
	.operands = "",
	.summary = "errors that nobody has looked at yet",
	.examples = "  fut failures           # which they are\n"
		    "  fut failures --seen    # and be done with them",
	.options = failures_options,
	.run = failures_main,
};

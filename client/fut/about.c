/* fut show, why, failures: about single futures. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/args.h"
#include "client/fut/json.h"
#include "client/fut/list.h"
#include "client/fut/outcome.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"
#include "client/fut/text.h"
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
each_show(struct fut *f, int argc, char **argv, void (*print)(struct fut *f, uint64_t id, struct futured_value map))
{
	struct futured_reply *reply;
	uint64_t *ids;
	int status;
	size_t n;

	if (!begin(f, argc, argv, &ids, &n, &status))
		return status;
	for (size_t i = 0; i < n; i++) {
		if (futured_callf(f->c, &reply, "show", "u", ids[i]) == FUTURED_OK) {
			if (i > 0 && !f->json)
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
	static const char *const order[] = { "id", "name", "state", "why", "pool", "fn", "args", "tags", "owner", "priority", "position",
		"attempt", "submitted", "started", "finished", "pid", "rusage", "error", NULL };

	(void)id;
	writer_page(f, map, order);
}

static int
show_main(struct fut *f, int argc, char **argv)
{
	return each_show(f, argc, argv, print_show);
}

const struct verb verb_show = {
	.name = "show",
	.operands = "ID…",
	.summary = "everything about a future",
	.examples = "  fut show 17                    # a page\n"
		    "  fut --json show 17 | jq .state # an object",
	.run = show_main,
};

/* What there is to say of one that is not pending. */
static const char *
why_not(struct futured_value map)
{
	struct futured_value state;

	futured_value_find(map, "state", &state);
	if (futured_value_is_str(state, "RUNNING"))
		return "it is running";
	if (futured_value_is_str(state, "CANCELLED"))
		return "it was cancelled";
	if (futured_value_is_str(state, "FINISHED"))
		return "it has finished";
	return "the daemon gives no reason";
}

static void
print_why(struct fut *f, uint64_t id, struct futured_value map)
{
	struct futured_value why;
	const char *s;
	size_t len;

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
	printf("%" PRIu64 ": ", id);
	if (!futured_value_find(map, "why", &why) || !futured_find_text(why, "message", &s, &len)) {
		puts(why_not(map));
		return;
	}
	text_visible(stdout, s, len, TEXT_LINE);
	if (futured_find_text(why, "code", &s, &len))
		printf(" (%.*s)", (int)len, s);
	putchar('\n');
}

static int
why_main(struct fut *f, int argc, char **argv)
{
	return each_show(f, argc, argv, print_why);
}

const struct verb verb_why = {
	.name = "why",
	.operands = "ID…",
	.summary = "why a future is not running yet",
	.examples = "  fut why 17      # 17: behind 4 in pool shell (workers)",
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
	{ "ID", id_cell, true, false },
	{ "AGE", age_cell, true, false },
	{ "TASK", task_cell, false, true },
	{ "ERROR", error_cell, false, true },
	{ NULL, NULL, false, false },
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
		writer_table(f, failure_columns, futured_reply_value(reply), "no failure that nobody has looked at");
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

/* fut pool: look at pools, and hold or resize them. */
#include <stdlib.h>
#include <string.h>

#include "client/fut/action.h"
#include "client/fut/pools.h"
#include "client/fut/show.h"
#include "client/fut/writer.h"

enum { POOL_TIMEOUT = OPTION_LONG };

static char *
name_cell(struct futured_value map, enum paint *paint)
{
	*paint = PAINT_BOLD;
	return cell_text(map, "name");
}

/* The kind, and the runtime where it says more. */
static char *
kind_cell(struct futured_value map, enum paint *paint)
{
	char *kind = cell_text(map, "kind"), *runtime = cell_text(map, "runtime"), *text = NULL;

	(void)paint;
	if (runtime == NULL || *runtime == '\0' || (kind != NULL && strcmp(kind, runtime) == 0)) {
		free(runtime);
		return kind;
	}
	if (asprintf(&text, "%s/%s", kind != NULL ? kind : "", runtime) < 0)
		need(NULL);
	free(kind);
	free(runtime);
	return text;
}

static char *
workers_cell(struct futured_value map, enum paint *paint)
{
	char *busy = cell_number(map, "busy"), *workers = cell_number(map, "workers"), *text = NULL;

	(void)paint;
	if (asprintf(&text, "%s/%s", busy != NULL ? busy : "?", workers != NULL ? workers : "?") < 0)
		need(NULL);
	free(busy);
	free(workers);
	return text;
}

static char *
pending_cell(struct futured_value map, enum paint *paint)
{
	(void)paint;
	return cell_number(map, "pending");
}

static char *
mean_cell(struct futured_value map, enum paint *paint)
{
	double mean;

	(void)paint;
	return (futured_find_number(map, "mean_run_time", &mean) || futured_find_number(map, "mean", &mean)) && mean > 0 ?
		show_span(mean) : NULL;
}

static char *
state_cell(struct futured_value map, enum paint *paint)
{
	struct futured_value broken;
	bool paused = false, is_broken = false;

	if (futured_value_find(map, "broken", &broken) && futured_value_type(broken) != FUTURED_TYPE_NIL &&
	    (!futured_value_bool(broken, &is_broken) || is_broken)) {
		*paint = PAINT_RED;
		return need(strdup("broken"));
	}
	futured_find_bool(map, "paused", &paused);
	*paint = paused ? PAINT_YELLOW : PAINT_GREEN;
	return need(strdup(paused ? "paused" : "ready"));
}

static const struct column columns[] = {
	{ "POOL", name_cell, false, false, 0 },
	{ "KIND", kind_cell, false, false, 2 },
	{ "BUSY", workers_cell, true, false, 0 },
	{ "PENDING", pending_cell, true, false, 1 },
	{ "MEAN", mean_cell, true, false, 3 },
	{ "STATE", state_cell, false, false, 0 },
	{ NULL, NULL, false, false, 0 },
};

static int
pool_ls(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	int status = EXIT_OK;

	if (futured_callf(f->c, &reply, "pools", "") == FUTURED_OK)
		writer_table(f, columns, futured_reply_value(reply), "no pools");
	else
		status = fut_refused(f, reply);
	futured_reply_free(reply);
	return status;
}

static int
pool_show(struct args *a)
{
	struct fut *f = a->fut;
	static const char *const order[] = { "name", "kind", "runtime", "user", "workers", "alive", "busy", "running", "pending", "mean_run_time", "paused", "broken", "opened",
		"totals", NULL };
	struct futured_value inside, map, name;
	struct futured_reply *reply;
	int status = EXIT_FAILED;
	size_t n;

	if (futured_callf(f->c, &reply, "pools", "") != FUTURED_OK) {
		status = fut_refused(f, reply);
		futured_reply_free(reply);
		return status;
	}
	if (futured_value_array(futured_reply_value(reply), &n, &inside))
		while (status != EXIT_OK && futured_value_next(&inside, &map))
			if (futured_value_find(map, "name", &name) && futured_value_is_str(name, a->operands[0])) {
				writer_page(f, map, order);
				status = EXIT_OK;
			}
	if (status != EXIT_OK)
		pools_unknown(f, a->operands[0]);
	futured_reply_free(reply);
	return status;
}

static int
pool_pause(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	enum futured_status called = futured_callf(f->c, &reply, "pause", "s", a->operands[0]);

	return action_simple(a, called, reply);
}

static int
pool_resume(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	enum futured_status called = futured_callf(f->c, &reply, "resume", "s", a->operands[0]);

	return action_simple(a, called, reply);
}

static int
pool_drain(struct args *a)
{
	struct fut *f = a->fut;
	const double *timeout = a->wish;
	struct futured_reply *reply;
	enum futured_status called;

	if (*timeout >= 0)
		called = futured_callf(f->c, &reply, "drain", "d{ss}", *timeout, "pool", a->operands[0]);
	else
		called = futured_callf(f->c, &reply, "drain", "n{ss}", "pool", a->operands[0]);
	return action_simple(a, called, reply);
}

static int
pool_resize(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	enum futured_status called;
	int64_t n;

	if (!args_int(f, "resize", a->operands[1], 1, 1024, &n))
		return EXIT_USAGE;
	called = futured_callf(f->c, &reply, "resize", "sI", a->operands[0], n);
	return action_simple(a, called, reply);
}

static const struct action actions[] = {
	{ "ls", { NULL }, false, pool_ls },
	{ "show", { "POOL" }, false, pool_show },
	{ "pause", { "POOL" }, false, pool_pause },
	{ "resume", { "POOL" }, false, pool_resume },
	{ "drain", { "POOL" }, false, pool_drain },
	{ "resize", { "POOL", "N, a number of tasks at once" }, false, pool_resize },
	{ NULL, { NULL }, false, NULL },
};

static int
pool_main(struct fut *f, int argc, char **argv)
{
	double timeout = -1;
	struct args a;
	int key;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == ARGS_STOP || !args_duration(f, "--timeout", a.value, &timeout))
			return key == ARGS_STOP ? a.status : EXIT_USAGE;
	a.wish = &timeout;
	return action_run(&a);
}

static const struct option_row pool_options[] = {
	{ POOL_TIMEOUT, "timeout", "S", "drain: wait no longer than that" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_pool = {
	.name = "pool",
	.operands = "ls | show P | pause P | resume P | drain P | resize P N",
	.summary = "look at pools, hold or resize them",
	.examples = "  fut pool ls                # the pools, how busy they are\n"
		    "  fut pool pause shell       # nothing new begins\n"
		    "  fut pool resize shell 8    # eight at a time; shrinking lets running tasks finish\n"
		    "  fut pool drain shell       # until nothing runs there",
	.options = pool_options,
	.actions = actions,
	.run = pool_main,
};

/* fut pool: look at pools, and hold or resize them. */
#include <stdlib.h>
#include <string.h>

#include "client/fut/args.h"
#include "client/fut/common.h"
#include "client/fut/reach.h"
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
	{ "POOL", name_cell, false, false },
	{ "KIND", kind_cell, false, false },
	{ "BUSY", workers_cell, true, false },
	{ "PENDING", pending_cell, true, false },
	{ "MEAN", mean_cell, true, false },
	{ "STATE", state_cell, false, false },
	{ NULL, NULL, false, false },
};

static int
pool_ls(struct fut *f, struct args *a)
{
	struct futured_reply *reply;
	int status = EXIT_OK;

	(void)a;
	if (futured_callf(f->c, &reply, "pools", "") == FUTURED_OK)
		writer_table(f, columns, futured_reply_value(reply), "no pools");
	else
		status = fut_refused(f, reply);
	futured_reply_free(reply);
	return status;
}

static int
pool_show(struct fut *f, struct args *a)
{
	static const char *const order[] = { "name", "kind", "runtime", "workers", "busy", "pending", "paused", "broken", NULL };
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
			if (futured_value_find(map, "name", &name) && futured_value_is_str(name, a->operands[1])) {
				writer_page(f, map, order);
				status = EXIT_OK;
			}
	if (status != EXIT_OK)
		fut_say(f, "UnknownPoolError: there is no pool '%s'; `fut pool ls` lists the pools", a->operands[1]);
	futured_reply_free(reply);
	return status;
}

static int
pool_simple(struct fut *f, enum futured_status called, struct futured_reply *reply)
{
	int status = called == FUTURED_OK ? EXIT_OK : fut_refused(f, reply);

	if (called == FUTURED_OK && f->json)
		puts("{}");
	futured_reply_free(reply);
	return status;
}

static int
pool_pause(struct fut *f, struct args *a)
{
	struct futured_reply *reply;
	enum futured_status called = futured_callf(f->c, &reply, "pause", "s", a->operands[1]);

	return pool_simple(f, called, reply);
}

static int
pool_resume(struct fut *f, struct args *a)
{
	struct futured_reply *reply;
	enum futured_status called = futured_callf(f->c, &reply, "resume", "s", a->operands[1]);

	return pool_simple(f, called, reply);
}

static double drain_timeout;

static int
pool_drain(struct fut *f, struct args *a)
{
	struct futured_reply *reply;
	enum futured_status called;

	if (drain_timeout >= 0)
		called = futured_callf(f->c, &reply, "drain", "d{ss}", drain_timeout, "pool", a->operands[1]);
	else
		called = futured_callf(f->c, &reply, "drain", "n{ss}", "pool", a->operands[1]);
	return pool_simple(f, called, reply);
}

static int
pool_resize(struct fut *f, struct args *a)
{
	struct futured_reply *reply;
	enum futured_status called;
	int64_t n;

	if (!args_int(f, "resize", a->operands[2], 1, 1024, &n))
		return EXIT_USAGE;
	called = futured_callf(f->c, &reply, "resize", "sI", a->operands[1], n);
	return pool_simple(f, called, reply);
}

static const struct {
	const char *name;
	int operands;
	int (*run)(struct fut *f, struct args *a);
} actions[] = {
	{ "ls", 0, pool_ls },
	{ "show", 1, pool_show },
	{ "pause", 1, pool_pause },
	{ "resume", 1, pool_resume },
	{ "drain", 1, pool_drain },
	{ "resize", 2, pool_resize },
};

static int
unknown_action(struct fut *f, const char *name)
{
	const char *names[sizeof actions / sizeof actions[0] + 1] = { NULL }, *close;

	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		names[i] = actions[i].name;
	close = closest(name, names);
	return args_wrong(f, "there is no '%s'%s%s%s", name, close != NULL ? "; did you mean '" : "", close != NULL ? close : "",
		close != NULL ? "'?" : "");
}

static int
pool_main(struct fut *f, int argc, char **argv)
{
	struct args a;
	int key, status;

	drain_timeout = -1;
	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == ARGS_STOP || !args_duration(f, "--timeout", a.value, &drain_timeout))
			return key == ARGS_STOP ? a.status : EXIT_USAGE;
	if (!args_expect(&a, 1, -1))
		return a.status;
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(a.operands[0], actions[i].name) != 0)
			continue;
		if (!args_expect(&a, 1 + actions[i].operands, 1 + actions[i].operands))
			return a.status;
		status = reach(f, REACH_ONLY);
		return status == EXIT_OK ? actions[i].run(f, &a) : status;
	}
	return unknown_action(f, a.operands[0]);
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
	.run = pool_main,
};

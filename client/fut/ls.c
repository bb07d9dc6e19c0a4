/* fut ls: what there is. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/fut/args.h"
#include "client/fut/list.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"
#include "client/fut/writer.h"

enum { LS_SINCE = OPTION_LONG, LS_LIMIT };

struct ls {
	struct fut *f;
	struct list_filter filter;
	bool watch;
};

static char *
id_cell(struct futured_value map, enum paint *paint)
{
	*paint = PAINT_BOLD;
	return cell_number(map, "id");
}

static char *
pool_cell(struct futured_value map, enum paint *paint)
{
	(void)paint;
	return cell_text(map, "pool");
}

static char *
age_cell(struct futured_value map, enum paint *paint)
{
	(void)paint;
	return cell_since(map, "submitted");
}

/* How long it ran, or has been running. */
static char *
time_cell(struct futured_value map, enum paint *paint)
{
	double started, finished;

	(void)paint;
	if (!futured_find_number(map, "started", &started))
		return NULL;
	if (!futured_find_number(map, "finished", &finished))
		return cell_since(map, "started");
	return show_span(finished - started);
}

static char *
name_cell(struct futured_value map, enum paint *paint)
{
	(void)paint;
	return list_title(map);
}

static const struct column columns[] = {
	{ "ID", id_cell, true, false },
	{ "STATE", cell_state, false, false },
	{ "POOL", pool_cell, false, false },
	{ "AGE", age_cell, true, false },
	{ "TIME", time_cell, true, false },
	{ "TASK", name_cell, false, true },
	{ NULL, NULL, false, false },
};

static bool
on_page(struct futured_value map, void *data)
{
	table_add(data, map);
	return true;
}

static int
list_once(struct ls *ls)
{
	struct table *t = table_new(ls->f, columns);
	int status = list_each(ls->f, &ls->filter, on_page, t);

	table_end(t, status == EXIT_OK ? "no futures" : NULL);
	return status;
}

/* Redraws every second, and ends when stdout or the daemon does. */
static int
list_watch(struct ls *ls)
{
	int status;

	for (;;) {
		struct pollfd p = { .fd = futured_fd(ls->f->c), .events = POLLIN };

		if (ls->f->tty_out && !ls->f->json)
			fputs("\033[H\033[2J\033[3J", stdout);
		if ((status = list_once(ls)) != EXIT_OK || fflush(stdout) != 0)
			return status;
		if (poll(&p, 1, 1000) > 0 && futured_process(ls->f->c) != FUTURED_OK)
			return fut_lost(ls->f);
	}
}

/* A duration ago (10m), or a clock time today (14:30), or a day (2026-05-01). */
static bool
read_since(struct fut *f, const char *text, double *since)
{
	time_t now = time(NULL);
	struct tm tm, today;
	const char *end;
	double ago;

	localtime_r(&now, &today);
	memset(&tm, 0, sizeof tm);
	tm.tm_isdst = -1;
	if ((end = strptime(text, "%Y-%m-%d", &tm)) != NULL && (*end == '\0' || ((end = strptime(end, " %H:%M", &tm)) != NULL && *end == '\0'))) {
		*since = (double)mktime(&tm);
		return true;
	}
	tm = today;
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	if ((end = strptime(text, "%H:%M", &tm)) != NULL && *end == '\0') {
		*since = (double)mktime(&tm);
		return true;
	}
	if (!args_duration(f, "--since", text, &ago))
		return false;
	*since = (double)now - ago;
	return true;
}

static int
ls_main(struct fut *f, int argc, char **argv)
{
	struct ls ls = { .f = f };
	struct args a;
	int key, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		switch (key) {
		case 's':
			if (!list_state(f, a.value, &ls.filter.state))
				return EXIT_USAGE;
			break;
		case 'p':
			ls.filter.pool = a.value;
			break;
		case 'T':
			ls.filter.tag = a.value;
			break;
		case 'n':
			ls.filter.name = a.value;
			break;
		case LS_SINCE:
			if (!read_since(f, a.value, &ls.filter.since))
				return EXIT_USAGE;
			break;
		case LS_LIMIT:
			if (!args_int(f, "--limit", a.value, 1, 1 << 30, &ls.filter.most))
				return EXIT_USAGE;
			break;
		case 'w':
			ls.watch = true;
			break;
		default:
			return a.status;
		}
	if (!args_expect(&a, 0, 0))
		return a.status;
	if ((status = reach(f, REACH_ONLY)) != EXIT_OK)
		return status;
	return ls.watch ? list_watch(&ls) : list_once(&ls);
}

static const struct option_row ls_options[] = {
	{ 's', "state", "S", "pending, running, cancelled or finished" },
	{ 'p', "pool", "POOL", "only of this pool" },
	{ 'T', "tag", "TAG", "only with this tag" },
	{ 'n', "name", "NAME", "only with this name" },
	{ LS_SINCE, "since", "T", "submitted since: 10m, 14:30, 2026-05-01" },
	{ LS_LIMIT, "limit", "N", "at most so many" },
	{ 'w', "watch", NULL, "again every second" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_ls = {
	.name = "ls",
	.operands = "",
	.summary = "list futures",
	.examples = "  fut ls                              # all that is known\n"
		    "  fut ls --state running --watch      # what runs, every second\n"
		    "  fut ls --tag nightly --since 14:30  # of today's run\n"
		    "  fut --json ls | jq .id              # one object per line",
	.options = ls_options,
	.run = ls_main,
};

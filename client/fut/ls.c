/* fut ls: what there is. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/fut/args.h"
#include "client/fut/list.h"
#include "client/fut/pools.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"
#include "client/fut/text.h"
#include "client/fut/writer.h"

enum { LS_SINCE = OPTION_LONG, LS_LIMIT, LS_IDS, LS_COUNT };

struct ls {
	struct fut *f;
	struct list_filter filter;
	bool watch, ids, count;
	uint64_t counted;
};

/* What a watch that draws no screen has told of a future. */
struct seen {
	uint64_t id;
	char state[16];
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
	{ "ID", id_cell, true, false, 0 },
	{ "STATE", cell_state, false, false, 0 },
	{ "POOL", pool_cell, false, false, 1 },
	{ "AGE", age_cell, true, false, 2 },
	{ "TIME", time_cell, true, false, 0 },
	{ "TASK", name_cell, false, true, 0 },
	{ NULL, NULL, false, false, 0 },
};

static bool
on_page(struct futured_value map, void *data)
{
	table_add(data, map);
	return true;
}

/* Nothing was found of a pool: there may be none. One that is gone may have left futures. */
static int
check_pool(struct ls *ls, size_t found)
{
	return found == 0 && ls->filter.pool != NULL ? pools_check(ls->f, ls->filter.pool) : EXIT_OK;
}

static int
list_once(struct ls *ls)
{
	struct table *t = table_new(ls->f, columns);
	int status = list_each(ls->f, &ls->filter, on_page, t);

	if (status == EXIT_OK)
		status = check_pool(ls, table_rows(t));
	table_end(t, status == EXIT_OK ? "no futures" : NULL);
	return status;
}

/* ---- for scripts ---- */

static bool
on_id(struct futured_value map, void *data)
{
	struct ls *ls = data;
	uint64_t id;

	ls->counted++;
	if (ls->ids && futured_find_uint(map, "id", &id))
		printf(ls->f->json ? "{\"id\": %" PRIu64 "}\n" : "%" PRIu64 "\n", id);
	return true;
}

static int
print_ids(struct ls *ls)
{
	int status = list_each(ls->f, &ls->filter, on_id, ls);

	if (status == EXIT_OK)
		status = check_pool(ls, ls->counted);
	if (status == EXIT_OK && ls->count)
		printf(ls->f->json ? "{\"count\": %" PRIu64 "}\n" : "%" PRIu64 "\n", ls->counted);
	return status;
}

/* ---- watching ---- */

/* Those in these states that the filter wants, too; false: none. */
static bool
narrowed(const struct ls *ls, unsigned states, const char *wire, size_t most, struct list_filter *out)
{
	*out = ls->filter;
	out->states = out->states != 0 ? out->states & states : states;
	out->state = wire != NULL ? wire : out->state;
	out->most = (int64_t)most;
	out->newest = wire == NULL;
	return out->states != 0 && most > 0;
}

static int
count_some(struct ls *ls, unsigned states, const char *wire, size_t most, size_t *count)
{
	struct list_filter filter;
	uint64_t *ids = NULL;
	int status = EXIT_OK;

	*count = 0;
	if (narrowed(ls, states, wire, most, &filter))
		status = list_ids(ls->f, &filter, &ids, count);
	free(ids);
	return status;
}

static int
add_some(struct ls *ls, unsigned states, const char *wire, size_t most, struct table *t)
{
	struct list_filter filter;

	return narrowed(ls, states, wire, most, &filter) ? list_each(ls->f, &filter, on_page, t) : EXIT_OK;
}

/* The clock, and how much goes on. */
static void
draw_title(struct ls *ls, size_t running, size_t pending, size_t most)
{
	time_t now = time(NULL);
	char clock[16], text[160];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	if (ls->filter.states != 0 && (ls->filter.states & (LIST_RUNNING | LIST_PENDING)) == 0)
		snprintf(text, sizeof text, "%s", clock); /* not asked */
	else if (running + pending == 0)
		snprintf(text, sizeof text, "%s  nothing %s", clock, ls->filter.states == LIST_RUNNING ? "runs" : ls->filter.states == LIST_PENDING ? "waits" : "runs and nothing waits");
	else /* more than there is room for were not counted */
		snprintf(text, sizeof text, "%s  %zu%s running  %zu%s pending", clock, running > most ? most : running, running > most ? "+" : "",
			pending > most ? most : pending, pending > most ? "+" : "");
	printf("\033[H%s%.*s%s\033[K\n", paint_code(ls->f->paint_out, PAINT_DIM), (int)text_fit(text, writer_width(ls->f)), text, paint_end(ls->f->paint_out));
}

/* The screen is drawn over what it was, so that it does not flicker: what runs, what waits, what ended last. Where not all fit, each has a part. */
static int
draw_screen(struct ls *ls)
{
	enum { DONE = LIST_CANCELLED | LIST_SUCCEEDED | LIST_FAILED, PART = 4 };
	size_t height = writer_height(), most = height > 4 ? height - 3 : 1, running = 0, pending = 0, done = 0, left, r, p;
	struct table *t = table_new(ls->f, columns);
	int status;

	if (ls->filter.most > 0 && (size_t)ls->filter.most < most)
		most = (size_t)ls->filter.most;
	if ((status = count_some(ls, LIST_RUNNING, "RUNNING", most + 1, &running)) == EXIT_OK)
		status = count_some(ls, LIST_PENDING, "PENDING", most + 1, &pending);
	if (status == EXIT_OK)
		status = count_some(ls, DONE, NULL, running + pending + most / PART < most ? most - running - pending : most / PART, &done);
	left = most - done;
	p = pending < left / PART ? pending : left / PART;
	r = running < left - p ? running : left - p;
	p = pending < left - r ? pending : left - r;
	if (status == EXIT_OK && (status = add_some(ls, LIST_RUNNING, "RUNNING", r, t)) == EXIT_OK)
		status = add_some(ls, LIST_PENDING, "PENDING", p, t);
	left = table_rows(t);
	if (status == EXIT_OK)
		status = add_some(ls, DONE, NULL, done, t);
	table_reverse(t, left);
	draw_title(ls, running, pending, most);
	if (table_rows(t) == 0)
		fputs("no futures\033[K\n", stdout);
	table_redraw(t);
	table_end(t, NULL);
	fputs("\033[J", stdout);
	return status;
}

struct watch {
	struct ls *ls;
	struct seen *seen; /* by id */
	size_t count, at;
	struct seen *fresh;
	size_t fresh_count;
	struct table *table;
};

/* Both lists go up by id. */
static bool
on_watched(struct futured_value map, void *data)
{
	struct watch *w = data;
	struct seen now = { 0 };
	enum paint paint;
	char *state = cell_state(map, &paint);

	futured_find_uint(map, "id", &now.id);
	snprintf(now.state, sizeof now.state, "%s", state != NULL ? state : "");
	free(state);
	while (w->at < w->count && w->seen[w->at].id < now.id)
		w->at++;
	if (w->at == w->count || w->seen[w->at].id != now.id || strcmp(w->seen[w->at].state, now.state) != 0)
		table_add(w->table, map);
	if ((w->fresh_count & (w->fresh_count + 1)) == 0)
		w->fresh = need(realloc(w->fresh, (2 * w->fresh_count + 2) * sizeof *w->fresh));
	w->fresh[w->fresh_count++] = now;
	return true;
}

/* Where no screen is drawn: those that are new, or in another state than before. */
static int
print_changes(struct watch *w)
{
	int status;

	w->at = w->fresh_count = 0;
	w->fresh = NULL;
	w->table = table_new(w->ls->f, columns);
	status = list_each(w->ls->f, &w->ls->filter, on_watched, w);
	table_end(w->table, NULL);
	free(w->seen);
	w->seen = w->fresh;
	w->count = w->fresh_count;
	return status;
}

/* Looks every second, and ends when stdout or the daemon does. */
static int
list_watch(struct ls *ls)
{
	struct watch w = { .ls = ls };
	bool draws = ls->f->tty_out && !ls->f->json;
	enum futured_status heard;
	int status = ls->filter.pool != NULL ? list_each(ls->f, &ls->filter, on_id, ls) : EXIT_OK;

	if (status == EXIT_OK)
		status = check_pool(ls, ls->counted);
	if (draws && status == EXIT_OK)
		fputs("\033[H\033[2J", stdout);
	while (status == EXIT_OK) {
		struct pollfd p[2] = { { futured_fd(ls->f->c), POLLIN, 0 }, { draws ? -1 : STDOUT_FILENO, 0, 0 } };

		if ((status = draws ? draw_screen(ls) : print_changes(&w)) != EXIT_OK || !fut_flush())
			break;
		if (poll(p, 2, 1000) <= 0)
			continue;
		if ((p[1].revents & (POLLERR | POLLNVAL)) != 0)
			break; /* nobody reads it any more */
		if ((heard = futured_process(ls->f->c)) != FUTURED_OK)
			status = fut_lost(ls->f, heard);
	}
	free(w.seen);
	return status;
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
	if (!args_is_duration(text, &ago)) {
		args_wrong(f, "--since: expected how long ago (10m), a time of today (14:30) or a day (2026-05-01), got '%s'", text);
		return false;
	}
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
			if (!list_states(f, a.value, &ls.filter))
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
			ls.filter.newest = true;
			break;
		case 'w':
			ls.watch = true;
			break;
		case LS_IDS:
			ls.ids = true;
			break;
		case LS_COUNT:
			ls.count = true;
			break;
		default:
			return a.status;
		}
	if (!args_expect(&a, 0, 0))
		return a.status;
	if (ls.ids + ls.count + ls.watch > 1)
		return args_wrong(f, "--ids, --count and --watch: one of them");
	if ((status = reach(f, REACH_ONLY)) != EXIT_OK)
		return status;
	if (ls.ids || ls.count)
		return print_ids(&ls);
	return ls.watch ? list_watch(&ls) : list_once(&ls);
}

static const struct option_row ls_options[] = {
	{ 's', "state", "S[,S]", "pending, running, cancelled, finished; or of these succeeded, failed" },
	{ 'p', "pool", "POOL", "only of this pool" },
	{ 'T', "tag", "TAG", "only with this tag" },
	{ 'n', "name", "NAME", "only with this name" },
	{ LS_SINCE, "since", "T", "submitted since: 10m, 14:30, 2026-05-01" },
	{ LS_LIMIT, "limit", "N", "only the newest N" },
	{ LS_IDS, "ids", NULL, "only their ids" },
	{ LS_COUNT, "count", NULL, "only how many" },
	{ 'w', "watch", NULL, "every second, what runs first; where stdout is no terminal, what is new or in another state" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_ls = {
	.name = "ls",
	.operands = "",
	.summary = "list futures",
	.examples = "  fut ls                              # all that is known\n"
		    "  fut ls --watch                      # every second: what runs, what waits, what ended last\n"
		    "  fut ls --limit 10                   # the newest ten\n"
		    "  fut ls --tag nightly --since 14:30  # of today's run\n"
		    "  fut ls -s failed --ids | xargs -r fut retry\n"
		    "  fut ls -s pending,running --count   # how much is left\n"
		    "  fut --json ls | jq .id              # one object per line",
	.options = ls_options,
	.run = ls_main,
};

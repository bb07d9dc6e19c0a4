/* What top shows, asked of the daemon, and of /proc where the daemon is on this machine. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/fut/clock.h"
#include "client/fut/list.h"
#include "client/fut/text.h"
#include "client/fut/top.h"
#include "client/fut/writer.h"

enum { RUNNING_MOST = 1000, PENDING_MOST = 200, OUTPUT_MOST = 256 << 10 };
enum { PATIENCE_S = 10 };
#define RATE_S 0.9

static double
wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
since(struct futured_value map, const char *key)
{
	double t;

	if (!futured_find_number(map, key, &t))
		return 0;
	t = wall() - t;
	return t > 0 ? t : 0;
}

static double
number_or(struct futured_value map, const char *key, double otherwise)
{
	futured_find_number(map, key, &otherwise);
	return otherwise;
}

static uint64_t
count_of(struct futured_value map, const char *key)
{
	uint64_t n = 0;

	futured_find_uint(map, key, &n);
	return n;
}

/* NULL: it failed, or the connection did. */
static struct futured_reply *
ask(struct fut *f, const char *method, const struct futured_pack *p)
{
	struct futured_reply *reply = NULL;

	if (futured_call(f->c, method, p, PATIENCE_S, &reply) == FUTURED_OK)
		return reply;
	futured_reply_free(reply);
	return NULL;
}

static struct futured_reply *
ask_list(struct fut *f, const char *state, const char *pool, int most)
{
	struct futured_pack *p = need(futured_pack_new());
	struct futured_reply *reply;

	if (pool != NULL)
		futured_packf(p, "{ss ss si}", "state", state, "pool", pool, "limit", most);
	else
		futured_packf(p, "{ss si}", "state", state, "limit", most);
	reply = ask(f, "list", p);
	futured_pack_free(p);
	return reply;
}

/* ---- pools ---- */

static const struct top_pool *
same_pool(const struct top_look *look, const char *name)
{
	for (size_t i = 0; i < look->pool_count; i++)
		if (strcmp(look->pools[i].name, name) == 0)
			return &look->pools[i];
	return NULL;
}

/* Looks that follow a key come soon after another, and say little about a rate. */
static void
tell_rate(struct top_pool *p, const struct top_pool *was, double at)
{
	double fresh;

	p->rate_at = at;
	p->rate_ended = p->ended;
	if (was == NULL || p->ended < was->rate_ended)
		return;
	if (at - was->rate_at < RATE_S) {
		p->rate = was->rate;
		p->rate_at = was->rate_at;
		p->rate_ended = was->rate_ended;
		return;
	}
	fresh = (double)(p->ended - was->rate_ended) / (at - was->rate_at);
	p->rate = was->rate >= 0 ? was->rate * 0.5 + fresh * 0.5 : fresh;
	if (p->rate < 0.05)
		p->rate = fresh;
}

static char *
kind_words(struct futured_value map, const char *kind)
{
	char *runtime = cell_text(map, "runtime"), *both;

	if (asprintf(&both, "%s%s%s", kind, runtime != NULL && strcmp(kind, runtime) != 0 ? "/" : "",
		    runtime != NULL && strcmp(kind, runtime) != 0 ? runtime : "") < 0)
		need(NULL);
	free(runtime);
	return both;
}

static void
read_pool(struct top_pool *p, struct futured_value map, const struct top_look *before, double at)
{
	struct futured_value totals, broken;
	char *kind = cell_text(map, "kind");

	*p = (struct top_pool){ .oldest = -1, .rate = -1 };
	p->name = cell_text(map, "name");
	p->name = p->name != NULL ? p->name : need(strdup("?"));
	kind = kind != NULL ? kind : need(strdup(""));
	p->command = strcmp(kind, "command") == 0;
	p->alone = p->command || strcmp(kind, "process") == 0;
	p->kind = kind_words(map, kind);
	free(kind);
	p->workers = count_of(map, "workers");
	p->busy = count_of(map, "busy");
	p->pending = count_of(map, "pending");
	p->mean = number_or(map, "mean_run_time", -1);
	futured_find_bool(map, "paused", &p->paused);
	if (futured_value_find(map, "broken", &broken) && futured_value_type(broken) == FUTURED_TYPE_MAP) {
		p->reason = cell_text(broken, "message");
		p->reason = p->reason != NULL ? p->reason : need(strdup("it is broken"));
	}
	if (futured_value_find(map, "totals", &totals))
		p->ended = count_of(totals, "succeeded") + count_of(totals, "failed") + count_of(totals, "cancelled");
	tell_rate(p, same_pool(before, p->name), at);
}

static bool
ask_pools(struct fut *f, const struct top_look *before, struct top_look *look)
{
	struct futured_reply *reply = ask(f, "pools", NULL), *first;
	struct futured_value inside, map;
	size_t n;

	if (reply == NULL || !futured_value_array(futured_reply_value(reply), &n, &inside)) {
		futured_reply_free(reply);
		return false;
	}
	look->pools = need(calloc(n + 1, sizeof *look->pools));
	while (look->pool_count < n && futured_value_next(&inside, &map))
		read_pool(&look->pools[look->pool_count++], map, before, look->at);
	futured_reply_free(reply);
	for (size_t i = 0; i < look->pool_count; i++) {
		struct top_pool *p = &look->pools[i];

		if (p->pending == 0 || (first = ask_list(f, "PENDING", p->name, 1)) == NULL)
			continue;
		if (futured_value_array(futured_reply_value(first), &n, &inside) && futured_value_next(&inside, &map))
			p->oldest = since(map, "submitted");
		futured_reply_free(first);
	}
	return true;
}

/* ---- tasks ---- */

static const struct top_task *
same_task(const struct top_look *look, uint64_t id)
{
	for (size_t i = 0; i < look->task_count; i++)
		if (look->tasks[i].id == id)
			return &look->tasks[i];
	return NULL;
}

/* Only where each task has processes of its own can be said what it uses. */
static void
measure(struct top_task *t, int64_t pid, const struct top_look *before, const struct top_look *look, const struct processes *ps)
{
	const struct top_pool *pool = same_pool(look, t->pool);
	const struct top_task *was;
	struct usage u;

	if (pool == NULL || !pool->alone || !processes_has(ps, pid))
		return;
	u = processes_usage(ps, pid, pool->command);
	if (u.count == 0)
		return;
	t->cpu_used = u.cpu;
	t->memory = u.memory;
	if ((was = same_task(before, t->id)) != NULL && was->cpu_used >= 0 && look->at > before->at) {
		double used = (u.cpu - was->cpu_used) / (look->at - before->at);

		t->cpu = used > 0 ? used : 0;
	} else if (pool->command && t->age > 0.1)
		t->cpu = u.cpu / t->age; /* since it began */
}

static void
read_task(struct top_task *t, struct futured_value map, bool running)
{
	char *title = list_title(map);

	*t = (struct top_task){ .id = count_of(map, "id"), .running = running, .cpu = -1, .memory = -1, .cpu_used = -1 };
	t->pool = cell_text(map, "pool");
	t->pool = t->pool != NULL ? t->pool : need(strdup("?"));
	t->title = title != NULL ? text_escape(title, strlen(title), TEXT_LINE) : need(strdup(""));
	t->age = since(map, running ? "started" : "submitted");
	free(title);
}

static int
by_age(const void *a, const void *b)
{
	const struct top_task *x = a, *y = b;

	if (x->age != y->age)
		return x->age > y->age ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool
ask_tasks(struct fut *f, const char *state, int most, const struct top_look *before, struct top_look *look, const struct processes *ps)
{
	struct futured_reply *reply = ask_list(f, state, NULL, most);
	bool running = strcmp(state, "RUNNING") == 0;
	struct futured_value inside, map;
	size_t n, from = look->task_count;
	int64_t pid;

	if (reply == NULL || !futured_value_array(futured_reply_value(reply), &n, &inside)) {
		futured_reply_free(reply);
		return false;
	}
	look->tasks = need(realloc(look->tasks, (from + n + 1) * sizeof *look->tasks));
	while (look->task_count < from + n && futured_value_next(&inside, &map)) {
		struct top_task *t = &look->tasks[look->task_count++];

		read_task(t, map, running);
		if (running && futured_find_int(map, "pid", &pid))
			measure(t, pid, before, look, ps);
	}
	futured_reply_free(reply);
	qsort(look->tasks + from, look->task_count - from, sizeof *look->tasks, by_age);
	look->more |= n == (size_t)most;
	return true;
}

static bool
ask_stats(struct fut *f, struct top_look *look)
{
	struct futured_reply *reply = ask(f, "stats", NULL);
	struct futured_value map, futures;

	if (reply == NULL)
		return false;
	map = futured_reply_value(reply);
	if (futured_value_find(map, "futures", &futures)) {
		look->pending = count_of(futures, "PENDING");
		look->running = count_of(futures, "RUNNING");
		look->finished = count_of(futures, "FINISHED");
		look->cancelled = count_of(futures, "CANCELLED");
	}
	look->failures = count_of(map, "failures");
	look->connections = count_of(map, "connections");
	look->uptime = number_or(map, "uptime", 0);
	look->rss = number_or(map, "rss", -1);
	futured_reply_free(reply);
	return true;
}

bool
top_ask(struct fut *f, struct processes *p, const struct top_look *before, struct top_look *look)
{
	*look = (struct top_look){ .at = clock_seconds() };
	if (futured_daemon_pid(f->c) > 0)
		processes_read(p);
	return ask_stats(f, look) && ask_pools(f, before, look) && ask_tasks(f, "RUNNING", RUNNING_MOST, before, look, p) &&
	       ask_tasks(f, "PENDING", PENDING_MOST, before, look, p);
}

void
top_forget(struct top_look *look)
{
	for (size_t i = 0; i < look->pool_count; i++) {
		free(look->pools[i].name);
		free(look->pools[i].kind);
		free(look->pools[i].reason);
	}
	for (size_t i = 0; i < look->task_count; i++) {
		free(look->tasks[i].pool);
		free(look->tasks[i].title);
	}
	free(look->pools);
	free(look->tasks);
	*look = (struct top_look){ 0 };
}

/* ---- output ---- */

static void
split(struct top_output *o, const char *text, size_t len, bool whole)
{
	const char *end = text + len, *next;

	/* The first line is only part of one where the beginning is left out. */
	if (!whole && (next = memchr(text, '\n', len)) != NULL)
		text = next + 1;
	for (; text < end; text = next + 1) {
		if ((next = memchr(text, '\n', (size_t)(end - text))) == NULL)
			next = end;
		if ((o->count & (o->count + 1)) == 0)
			o->lines = need(realloc(o->lines, (2 * o->count + 2) * sizeof *o->lines));
		o->lines[o->count++] = text_escape(text, (size_t)(next - text) - (next > text && next[-1] == '\r'), TEXT_LINE);
	}
}

bool
top_ask_output(struct fut *f, uint64_t id, const char *stream, struct top_output *o)
{
	struct futured_pack *p = need(futured_pack_new());
	struct futured_reply *reply;
	struct futured_value lengths;
	const void *bytes;
	uint64_t from;
	size_t len;

	*o = (struct top_output){ 0 };
	futured_pack_uint(p, id);
	if ((reply = ask(f, "show", p)) != NULL) {
		if (futured_value_find(futured_reply_value(reply), "output", &lengths))
			o->length = count_of(lengths, stream);
		o->state = cell_text(futured_reply_value(reply), "state");
		futured_reply_free(reply);
		from = o->length > OUTPUT_MOST ? o->length - OUTPUT_MOST : 0;
		futured_packf(p, "{ss su}", "stream", stream, "offset", from);
		if ((reply = ask(f, "output", p)) != NULL && futured_value_bin(futured_reply_value(reply), &bytes, &len))
			split(o, bytes, len, from == 0);
		futured_reply_free(reply);
	}
	futured_pack_free(p);
	return futured_is_connected(f->c);
}

void
top_forget_output(struct top_output *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->lines[i]);
	free(o->lines);
	free(o->state);
	*o = (struct top_output){ 0 };
}

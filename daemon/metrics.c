/* Pools are labels; a pool that a client opened counts for the one it is like, since its own name comes and goes. Seconds and bytes throughout, as
 * Prometheus wants it. */
#include "daemon/metrics.h"

#include <event2/buffer.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/bytes.h"
#include "daemon/clock.h"
#include "daemon/conn.h"
#include "daemon/future.h"
#include "daemon/login.h"
#include "daemon/output.h"
#include "daemon/pool.h"
#include "daemon/resident.h"
#include "daemon/server.h"
#include "daemon/store.h"
#include "daemon/tally.h"
#include "daemon/turn.h"

typedef unsigned long long ull;

static struct evbuffer *out;
static bool good;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	good &= evbuffer_add_vprintf(out, fmt, ap) >= 0;
	va_end(ap);
}

static void
begin(const char *name, const char *type, const char *help)
{
	say("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
single(const char *name, const char *type, const char *help, double value)
{
	begin(name, type, help);
	say("%s %.17g\n", name, value);
}

/* Of a pool, or (NULL) of the daemon. */
static void
histogram(const char *name, const char *pool, const struct histogram *h)
{
	char first[100] = "", only[100] = "";
	uint64_t sum = 0;

	if (pool) {
		snprintf(first, sizeof first, "pool=\"%s\",", pool);
		snprintf(only, sizeof only, "{pool=\"%s\"}", pool);
	}
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		sum += h->bucket[i];
		say("%s_bucket{%sle=\"%g\"} %llu\n", name, first, (double)histogram_bounds_us[i] / 1e6, (ull)sum);
	}
	sum += h->bucket[HISTOGRAM_BOUNDS];
	say("%s_bucket{%sle=\"+Inf\"} %llu\n", name, first, (ull)sum);
	say("%s_sum%s %.6f\n", name, only, (double)h->sum_us / 1e6);
	say("%s_count%s %llu\n", name, only, (ull)sum);
}

/* ---- pools ---- */

/* What a pool and those opened like it have now. */
struct now {
	const struct pool *pool;
	uint64_t pending, running, oldest_us;
	unsigned wanted, alive, busy;
};

static void
add(struct now *n, const struct pool *p)
{
	uint64_t oldest = queue_oldest_us(p->queue);

	n->pending += p->states[FUTURE_PENDING];
	n->running += p->states[FUTURE_RUNNING];
	n->wanted += p->workers;
	n->alive += pool_alive(p);
	n->busy += pool_busy(p);
	if (oldest && (!n->oldest_us || oldest < n->oldest_us))
		n->oldest_us = oldest;
}

/* One for each pool that is like none; new. NULL without memory. */
static struct now *
look(unsigned *count)
{
	unsigned pools = 0;
	struct now *all;

	for (struct pool *p = pool_first(); p; p = p->next, pools++)
		pool_look(p);
	if (!(all = calloc(pools + 1, sizeof *all)))
		return NULL;
	*count = 0;
	for (const struct pool *p = pool_first(); p; p = p->next)
		if (!p->like)
			all[(*count)++].pool = p;
	for (const struct pool *p = pool_first(); p; p = p->next) {
		const struct pool *base = p;
		while (base->like)
			base = base->like;
		for (unsigned i = 0; i < *count; i++)
			if (all[i].pool == base)
				add(&all[i], p);
	}
	return all;
}

static void
say_tasks(const struct now *n)
{
	say("futured_tasks_total{pool=\"%s\",outcome=\"succeeded\"} %llu\n", n->pool->name, (ull)n->pool->tally.succeeded);
	say("futured_tasks_total{pool=\"%s\",outcome=\"failed\"} %llu\n", n->pool->name, (ull)n->pool->tally.failed);
	say("futured_tasks_total{pool=\"%s\",outcome=\"cancelled\"} %llu\n", n->pool->name, (ull)n->pool->tally.cancelled);
}

static void
say_retries(const struct now *n)
{
	say("futured_retries_total{pool=\"%s\"} %llu\n", n->pool->name, (ull)n->pool->tally.retried);
}

static void
say_pending(const struct now *n)
{
	say("futured_pending{pool=\"%s\"} %llu\n", n->pool->name, (ull)n->pending);
}

static void
say_running(const struct now *n)
{
	say("futured_running{pool=\"%s\"} %llu\n", n->pool->name, (ull)n->running);
}

static void
say_oldest(const struct now *n)
{
	say("futured_queue_age_seconds{pool=\"%s\"} %.6f\n", n->pool->name, n->oldest_us ? (double)(clock_now() - n->oldest_us) / 1e6 : 0.0);
}

static void
say_workers(const struct now *n)
{
	say("futured_workers{pool=\"%s\",state=\"wanted\"} %u\n", n->pool->name, n->wanted);
	say("futured_workers{pool=\"%s\",state=\"alive\"} %u\n", n->pool->name, n->alive);
	say("futured_workers{pool=\"%s\",state=\"busy\"} %u\n", n->pool->name, n->busy);
}

static void
say_broken(const struct now *n)
{
	say("futured_pool_broken{pool=\"%s\"} %d\n", n->pool->name, bytes_len(&n->pool->broken) != 0);
}

static void
say_paused(const struct now *n)
{
	say("futured_pool_paused{pool=\"%s\"} %d\n", n->pool->name, n->pool->paused);
}

static void
say_waits(const struct now *n)
{
	histogram("futured_wait_seconds", n->pool->name, &n->pool->tally.waits);
}

static void
say_runs(const struct now *n)
{
	histogram("futured_run_seconds", n->pool->name, &n->pool->tally.runs);
}

static const struct {
	const char *name, *type, *help;
	void (*say)(const struct now *n);
} families[] = {
	{ "futured_tasks_total", "counter", "Tasks that came to an end.", say_tasks },
	{ "futured_retries_total", "counter", "Attempts that failed and were followed by another.", say_retries },
	{ "futured_pending", "gauge", "Tasks that have not begun.", say_pending },
	{ "futured_running", "gauge", "Tasks that run.", say_running },
	{ "futured_queue_age_seconds", "gauge", "How long ago the oldest task in the queue was submitted; 0: none is queued.", say_oldest },
	{ "futured_workers", "gauge", "Workers that the pool should have, has, and that have a task.", say_workers },
	{ "futured_pool_broken", "gauge", "1: the pool's workers cannot start.", say_broken },
	{ "futured_pool_paused", "gauge", "1: the pool begins no tasks.", say_paused },
	{ "futured_wait_seconds", "histogram", "From the submit of a task to its first attempt.", say_waits },
	{ "futured_run_seconds", "histogram", "How long attempts ran.", say_runs },
};

static void
say_pools(void)
{
	unsigned count;
	struct now *all = look(&count);

	good &= all != NULL;
	for (unsigned i = 0; all && i < sizeof families / sizeof *families; i++) {
		begin(families[i].name, families[i].type, families[i].help);
		for (unsigned j = 0; j < count; j++)
			families[i].say(&all[j]);
	}
	free(all);
}

/* ---- the daemon ---- */

static void
say_daemon(void)
{
	struct future_totals t = future_totals();
	struct conn_traffic traffic = conn_traffic();
	struct store_counts c = store_counts();
	char why[300];

	begin("futured_info", "gauge", "Version and store.");
	say("futured_info{version=\"%s\",store=\"%s\"} 1\n", FUTURED_VERSION, store_kind());
	single("futured_uptime_seconds", "gauge", "Since the start of the daemon.", server_uptime());
	single("futured_ready", "gauge", "1: as /readyz.", server_is_ready(why, sizeof why));
	single("futured_submitted_total", "counter", "Tasks submitted.", (double)t.submitted);
	single("futured_finished", "gauge", "Finished and cancelled futures that are kept.", (double)(t.states[FUTURE_FINISHED] + t.states[FUTURE_CANCELLED]));
	single("futured_failures_unseen", "gauge", "Failed futures whose error nobody has looked at.", (double)t.unseen);
	single("futured_connections", "gauge", "Open connections.", conn_count());
	single("futured_connections_total", "counter", "Connections accepted.", (double)traffic.accepted);
	single("futured_connections_unauthenticated", "gauge", "Network connections that have not said who they are.", login_waited_for());
	single("futured_logins_total", "counter", "Network connections that said who they are.", (double)login_accepted());
	single("futured_logins_refused_total", "counter", "Network connections that did not, or failed to.", (double)login_refused());
	single("futured_connections_refused_total", "counter", "Connections refused for want of room.", (double)traffic.refused);
	single("futured_received_bytes_total", "counter", "Bytes read from clients.", (double)traffic.received);
	single("futured_sent_bytes_total", "counter", "Bytes that clients took.", (double)traffic.sent);
	single("futured_payload_bytes", "gauge", "Bytes of arguments and results held.", (double)block_total());
	single("futured_spilled_bytes", "gauge", "Bytes of output on disk.", (double)output_spilled());
	single("futured_resident_bytes", "gauge", "Memory of the daemon itself.", (double)resident_bytes(getpid()));
	single("futured_turns_total", "counter", "Turns of the event loop.", (double)turn_gauges().turns);
	begin("futured_loop_lag_seconds", "histogram", "How late a timer fires that is due once a second.");
	histogram("futured_loop_lag_seconds", NULL, tally_lags());
	begin("futured_store_commit_seconds", "histogram", "From the end of a turn to its batch being durable; none with a store in memory.");
	histogram("futured_store_commit_seconds", NULL, tally_commits());
	single("futured_store_batches_total", "counter", "Batches given to the store.", (double)c.batches);
	single("futured_store_failures_total", "counter", "Commits that failed.", (double)c.failures);
	single("futured_store_bytes", "gauge", "Bytes in use in the store.", (double)c.bytes);
}

bool
metrics_write(struct evbuffer *into)
{
	out = into;
	good = true;
	say_daemon();
	say_pools();
	out = NULL;
	return good;
}

#include "daemon/broken.h"

#include <string.h>

#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/workers.h"
#include "proto/error.h"

enum { START_BUDGET = 5, START_WINDOW_S = 10, BACKOFF_MAX_S = 60 };

static void on_healing(struct timer *t);

void
broken_heal(struct pool *p)
{
	p->backoff_us = 0;
	timer_unset(&p->healing);
	bytes_drop(&p->broken);
}

void
broken_fail_queue(struct pool *p)
{
	struct future *f;
	while (turn_budget() && (f = queue_pop(p->queue))) {
		turn_count(1, 0);
		future_fail_finally(f, bytes_share(p->broken));
	}
}

static void
break_pool(struct pool *p, struct bytes error)
{
	bytes_drop(&p->broken);
	p->broken = error;
	p->backoff_us = p->backoff_us ? p->backoff_us * 2 : SECOND;
	if (p->backoff_us > BACKOFF_MAX_S * SECOND)
		p->backoff_us = BACKOFF_MAX_S * SECOND;
	p->broken_until_us = clock_now() + p->backoff_us;
	p->failed_starts = p->unready = 0;
	timer_set(&p->healing, p->broken_until_us, on_healing);
	log_about(LOG_LEVEL_ERROR, "pool", &(struct log_about){ .pool = p->name }, "%s: broken; the next try is in %g s", p->name, (double)p->backoff_us / 1e6);
	pool_wake(p);
}

/* The pause is over: one worker is tried. */
static void
on_healing(struct timer *t)
{
	struct pool *p = container(t, struct pool, healing);
	if (!bytes_len(&p->broken) || p->gone || pool_is_frozen())
		return;
	if (p->starting) /* the last try is not over */
		timer_set(&p->healing, clock_now() + SECOND, on_healing);
	else if (workers_try(p))
		log_about(LOG_LEVEL_INFO, "pool", &(struct log_about){ .pool = p->name }, "%s: tries to start a worker", p->name);
}

static struct bytes
broken_error(const struct pool *p, const struct bytes *why)
{
	struct error_view view = { .message_len = 0 };
	struct reader r;

	reader_init(&r, bytes_data(why), bytes_len(why));
	if (bytes_len(why))
		error_read(&r, &view);
	if (!view.message_len)
		view = (struct error_view){ .message = "its workers end", .message_len = strlen("its workers end") };
	return error_bytes(STATUS_BROKEN_POOL, 0, "pool %s: %.*s", p->name, (int)(view.message_len < 900 ? view.message_len : 900), view.message);
}

void
broken_host_failed(struct pool *p, struct bytes error, bool for_sure)
{
	uint64_t now = clock_now();

	if (p->gone || (bytes_len(&p->broken) && now < p->broken_until_us)) { /* another of those that were started at the same time */
		bytes_drop(&error);
		return;
	}
	if (now - p->failed_since_us > START_WINDOW_S * SECOND) {
		p->failed_since_us = now;
		p->failed_starts = 0;
	}
	p->failed_starts++;
	p->unready += bytes_len(&error) != 0;
	if (for_sure || p->failed_starts >= START_BUDGET || p->unready >= START_BUDGET || bytes_len(&p->broken))
		break_pool(p, broken_error(p, &error));
	else
		pool_wake(p);
	bytes_drop(&error);
}

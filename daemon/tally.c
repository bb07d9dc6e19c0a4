#include "daemon/tally.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/spec.h"
#include "proto/error.h"
#include "proto/reader.h"

const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS + 1] = {
	100, 500, MS, 5 * MS, 10 * MS, 50 * MS, 100 * MS, 500 * MS,
	SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, 60 * SECOND, 300 * SECOND, 1800 * SECOND, 3600 * SECOND, UINT64_MAX,
};

static struct histogram commits, lags;
static enum tally_tasks logged;

void
tally_log_tasks(const char *which)
{
	logged = strcmp(which, "all") == 0 ? TALLY_LOG_ALL : strcmp(which, "failed") == 0 ? TALLY_LOG_FAILED : TALLY_LOG_NONE;
}

/* The exit code that a value or an error tells of; false if it tells of none. */
static bool
find_exit(const struct bytes *value, int64_t *code)
{
	struct reader r;
	uint32_t pairs;
	const char *key;
	size_t len;

	reader_init(&r, bytes_data(value), bytes_len(value));
	if (!bytes_len(value) || reader_peek(&r) != READER_MAP || !read_map(&r, &pairs))
		return false;
	while (pairs-- && read_str(&r, &key, &len)) {
		if (len == 4 && memcmp(key, "exit", 4) == 0)
			return read_int(&r, code);
		if (!read_skip(&r))
			return false;
	}
	return false;
}

static void
log_end(const struct future *f, const uint64_t *us)
{
	struct log_about about = { .future = f->id, .pool = f->spec->pool->name, .state = future_state_name((enum future_state)f->state), .us = us };
	struct error_view view = { .type = "", .message = "" };
	uint32_t uid = (uint32_t)f->spec->owner->uid;
	struct reader r;
	int64_t code;

	if (f->spec->owner->kind == OWNER_UID)
		about.uid = &uid;
	if (pool_is_command(f->spec->pool) && find_exit(&f->value, &code))
		about.exit = &code;
	reader_init(&r, bytes_data(&f->value), bytes_len(&f->value));
	if (f->failed)
		error_read(&r, &view);
	log_about(f->failed ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "future", &about, "%" PRIu64 " (pool %s, %s) %s after %.3f s%s%.*s%s%.*s", f->id,
	    about.pool, f->spec->owner->name, f->failed ? "failed" : f->state == FUTURE_CANCELLED ? "was cancelled" : "finished",
	    us ? (double)*us / 1e6 : 0.0, f->failed ? ": " : "", (int)view.type_len, view.type, f->failed ? ": " : "",
	    (int)(view.message_len < 300 ? view.message_len : 300), view.message);
}

static struct tally *
tally_of(struct pool *p)
{
	while (p->like)
		p = p->like;
	return &p->tally;
}

void
tally_change(const struct future *f, enum future_state from)
{
	struct tally *t = tally_of(f->spec->pool);

	if (f->state == FUTURE_RUNNING) {
		if (f->attempt == 1)
			histogram_add(&t->waits, f->started_us - f->submitted_us);
		return;
	}
	uint64_t us = f->started_us && clock_now() > f->started_us ? clock_now() - f->started_us : 0;
	if (from == FUTURE_RUNNING)
		histogram_add(&t->runs, us);
	if (f->state == FUTURE_FINISHED && !f->failed)
		t->succeeded++;
	else if (f->state == FUTURE_FINISHED)
		t->failed++;
	else if (f->state == FUTURE_CANCELLED)
		t->cancelled++;
	else
		t->retried++;
	if (logged != TALLY_LOG_NONE && future_is_final(f) && (f->failed || logged == TALLY_LOG_ALL))
		log_end(f, f->started_us ? &us : NULL);
}

void
tally_commit(uint64_t us)
{
	histogram_add(&commits, us);
}

void
tally_lag(uint64_t us)
{
	histogram_add(&lags, us);
}

const struct histogram *
tally_commits(void)
{
	return &commits;
}

const struct histogram *
tally_lags(void)
{
	return &lags;
}

/* pools, pause, resume, resize, open_pool, close_pool, drain: the places where tasks run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/clock.h"
#include "daemon/closing.h"
#include "daemon/describe.h"
#include "daemon/handlers.h"
#include "daemon/host.h"
#include "daemon/pool.h"
#include "daemon/program.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/store.h"
#include "daemon/workers.h"
#include "proto/pack.h"
#include "proto/worker.h"

void
req_pools(struct request *r)
{
	struct buf whole;
	size_t count = 0;

	buf_init(&whole);
	for (const struct pool *p = pool_first(); p; p = p->next)
		count += access_may_look(r->conn, p);
	pack_array(&whole, count);
	for (struct pool *p = pool_first(); p; p = p->next)
		if (access_may_look(r->conn, p))
			describe_pool(&whole, p);
	request_encoded(r, &whole);
}

/* One that it may manage. NULL: answered already. */
static struct pool *
find_pool(struct request *r, const char *name, size_t len)
{
	struct pool *p = request_pool(r, name, len);

	if (!p || access_may_manage(r->conn, p))
		return p;
	request_fail(r, STATUS_PERMISSION, 0, "%s: pool %s is not yours: that is for admins", r->method->name, p->name);
	return NULL;
}

/* The only parameter of several methods. NULL: answered already. */
static struct pool *
read_pool(struct request *r)
{
	const char *name;
	size_t len;
	return param_str(r, "pool", &name, &len) ? find_pool(r, name, len) : NULL;
}

void
req_pause(struct request *r)
{
	struct pool *p = read_pool(r);

	if (!p)
		return;
	if (server_is_ending() || p->closed) { /* it must come to an end */
		request_fail(r, STATUS_SHUTDOWN, 0, "pool %s is being shut down: it cannot be paused", p->name);
		return;
	}
	if (pool_pause_by_hand(p, true, r->conn->owner))
		request_nil(r);
	else
		request_no_memory(r);
}

void
req_resume(struct request *r)
{
	struct pool *p = read_pool(r);

	if (!p)
		return;
	if (pool_pause_by_hand(p, false, NULL))
		request_nil(r);
	else
		request_no_memory(r);
}

static bool
read_workers(struct request *r, int64_t *workers)
{
	struct reader value = r->params;

	if (!r->left)
		value.at = value.end;
	if (!option_int(r, "workers", &value, 1, WORKER_SLOTS_MAX, workers))
		return false;
	read_skip(&r->params);
	r->left--;
	return true;
}

/* An opened pool's bound. */
static bool
workers_allowed(struct request *r, uint64_t workers)
{
	uint64_t most = server_client_workers();

	if (workers <= most)
		return true;
	request_fail(r, STATUS_LIMIT, 0, "client_pools.workers: expected at most %llu workers, got %llu", (unsigned long long)most, (unsigned long long)workers);
	return false;
}

void
req_resize(struct request *r)
{
	struct pool *p;
	const char *name;
	size_t len;
	int64_t workers;

	if (!param_str(r, "pool", &name, &len) || !read_workers(r, &workers) || !(p = find_pool(r, name, len)) || (p->like && !workers_allowed(r, (uint64_t)workers)))
		return;
	if (pool_resize_by_hand(p, (unsigned)workers))
		request_nil(r);
	else
		request_no_memory(r);
}

/* ---- open_pool ---- */

static unsigned draining_all; /* drains of all pools under way */

struct opening {
	struct pool *like;
	int64_t workers;
	char *initializer;
	struct bytes initargs;
	struct program_options program;
	int64_t max_tasks;
	bool bound;
};

static bool
read_like(struct request *r, struct reader *value, struct opening *o)
{
	const char *s;
	size_t len;

	if (!option_str(r, "like", value, 1024, &s, &len))
		return false;
	return (o->like = request_pool(r, s, len)) != NULL;
}

static bool
read_initializer(struct request *r, struct reader *value, struct opening *o)
{
	const char *s;
	size_t len;

	if (!option_text(r, "initializer", value, 4096, &s, &len))
		return false;
	free(o->initializer);
	o->initializer = strndup(s, len);
	return o->initializer != NULL;
}

static bool
read_initargs(struct request *r, struct reader *value, struct opening *o)
{
	if (reader_peek(value) != READER_ARRAY || reader_depth(value) > WORKER_VALUE_DEPTH + 1)
		return option_wrong(r, "initargs", "an array nested at most 24 deep", value);
	bytes_drop(&o->initargs);
	return bytes_copy(&o->initargs, value->at, (size_t)(value->end - value->at));
}

static bool
read_opening(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct opening *o = arg;
	struct reader nil = *value;

	if (key_is(key, len, "like"))
		return read_like(r, value, o);
	if (program_option(&o->program, key, len, value))
		return true;
	bool known = key_is(key, len, "workers") || key_is(key, len, "initializer") || key_is(key, len, "initargs") ||
	    key_is(key, len, "max_tasks_per_worker") || key_is(key, len, "bound");
	if (!known)
		return option_unknown(r, key, len);
	if (read_nil(&nil))
		return true;
	if (key_is(key, len, "workers"))
		return option_int(r, "workers", value, 1, WORKER_SLOTS_MAX, &o->workers);
	if (key_is(key, len, "initializer"))
		return read_initializer(r, value, o);
	if (key_is(key, len, "initargs"))
		return read_initargs(r, value, o);
	if (key_is(key, len, "max_tasks_per_worker"))
		return option_int(r, "max_tasks_per_worker", value, 0, INT64_MAX, &o->max_tasks);
	return option_bool(r, "bound", value, &o->bound);
}

/* By this owner; NULL: by all. */
static uint64_t
opened_pools(const struct owner *o)
{
	uint64_t n = 0;
	for (const struct pool *p = pool_first(); p; p = p->next)
		n += p->like && (!o || p->owner == o);
	return n;
}

/* One who is no admin may have half of them. */
static bool
may_open_more(struct request *r)
{
	uint64_t most = server_config()->client_pools_max, half = (most + 1) / 2;

	if (opened_pools(NULL) >= most) {
		request_fail(r, STATUS_LIMIT, 0, "client_pools.max: %llu pools are open already", (unsigned long long)most);
		return false;
	}
	if (r->conn->role == ROLE_ADMIN || opened_pools(r->conn->owner) < half)
		return true;
	request_fail(r, STATUS_LIMIT, 0, "client_pools.max: %s has opened %llu pools, half of the %llu that there may be", r->conn->owner->name,
	    (unsigned long long)half, (unsigned long long)most);
	return false;
}

static bool
may_open(struct request *r, const struct opening *o)
{
	const struct config *c = server_config();
	if (!o->like) {
		request_fail(r, STATUS_VALUE, 0, "open_pool: like: expected the name of a pool, got nothing");
		return false;
	}
	if (!c->client_pools) {
		request_fail(r, STATUS_PERMISSION, 0, "open_pool: the configuration does not allow it (client_pools)");
		return false;
	}
	if (!access_may_open_pool(r->conn)) {
		request_fail(r, STATUS_PERMISSION, 0, "open_pool: %s may not open pools (allow.open_pool)", r->conn->owner->name);
		return false;
	}
	if (!request_may_use(r, o->like))
		return false;
	if (o->initializer && pool_is_command(o->like)) {
		request_fail(r, STATUS_UNSUPPORTED, 0, "open_pool: initializer: pool %s, of kind command, has no functions", o->like->name);
		return false;
	}
	if (o->max_tasks > 0 && workers_share_host(o->like)) {
		request_fail(r, STATUS_UNSUPPORTED, 0, "open_pool: max_tasks_per_worker: the workers of pool %s, of kind %s, share one process", o->like->name,
		    pool_kind_name(o->like));
		return false;
	}
	if (!workers_allowed(r, o->workers ? (uint64_t)o->workers : o->like->workers))
		return false;
	if (!may_open_more(r))
		return false;
	if (server_is_ending()) {
		request_fail(r, STATUS_SHUTDOWN, 0, "cannot open a pool after shutdown");
		return false;
	}
	if (draining_all) {
		request_fail(r, STATUS_SHUTDOWN, 0, "cannot open a pool while all are being drained");
		return false;
	}
	return true;
}

void
req_open_pool(struct request *r)
{
	struct opening o = { .max_tasks = -1 };
	struct program *program = NULL;
	struct pool *p;

	if (!options_read(r, read_opening, &o) || !may_open(r, &o) || !program_read(r, o.like, &o.program, &program))
		goto done;
	if (!(p = pool_open(o.like, (unsigned)o.workers, r->conn->owner, o.bound ? r->conn->id : 0))) {
		request_fail(r, STATUS_LIMIT, 0, "the daemon is out of memory");
		goto done;
	}
	if (o.initializer) {
		pool_set_initializer(p, o.initializer, o.initargs);
		o.initializer = NULL; /* the pool's now, and its arguments */
		o.initargs = (struct bytes){ .len = 0 };
	}
	if (o.max_tasks >= 0)
		p->own.max_tasks_per_worker = (uint64_t)o.max_tasks;
	program_give(p, program);
	program = NULL;
	if (store_pool(p)) {
		pack_cstr(request_result(r), p->name);
	} else {
		request_no_memory(r);
		pool_remove(p);
	}
done:
	program_free(program);
	free(o.initializer);
	bytes_drop(&o.initargs);
}

/* ---- close_pool, drain: answered when it is quiet ---- */

struct member {
	struct pool_waiter waiter;
	struct quiet *quiet;
	struct pool *pool; /* counted */
	bool waiting;
};

struct quiet {
	struct pending pending;
	struct timer timer;
	bool close;        /* wait until the pool is gone, else until nothing runs */
	bool all;          /* a drain of all pools: none is opened meanwhile */
	size_t count, left;
	struct member member[];
};

#define container(ptr, type, field) ((type *)(void *)((char *)(ptr) - offsetof(type, field)))

static void
quiet_free(struct quiet *q)
{
	timer_unset(&q->timer);
	draining_all -= q->all;
	for (size_t i = 0; i < q->count; i++) {
		struct member *m = &q->member[i];
		if (m->waiting)
			pool_unwait_quiet(m->pool, &m->waiter);
		if (!q->close) {
			m->pool->draining--;
			pool_wake(m->pool);
		}
		pool_drop(m->pool);
	}
	free(q);
}

static bool
on_quiet(struct pool_waiter *w, struct pool *p)
{
	struct member *m = container(w, struct member, waiter);
	struct quiet *q = m->quiet;
	struct conn *c = conn_find(q->pending.conn_id);

	if (q->close ? !p->gone || p->hosts != NULL : !pool_is_quiet(p))
		return false;
	m->waiting = false;
	if (--q->left)
		return true;
	conn_unpend(&q->pending);
	pack_nil(answer_result(c, q->pending.msgid));
	quiet_free(q);
	return true;
}

static void
on_abandon(struct pending *pending)
{
	quiet_free(container(pending, struct quiet, pending));
}

static void
on_timeout(struct timer *t)
{
	struct quiet *q = container(t, struct quiet, timer);
	struct conn *c = conn_find(q->pending.conn_id);
	unsigned long long running = 0;
	bool quiet = true;

	for (size_t i = 0; i < q->count; i++) {
		running += pool_busy(q->member[i].pool);
		quiet &= pool_is_quiet(q->member[i].pool);
	}
	conn_unpend(&q->pending);
	if (quiet) /* "at once" comes before anybody has looked */
		pack_nil(answer_result(c, q->pending.msgid));
	else
		answer_fail(c, q->pending.msgid, STATUS_TIMEOUT, 0, "%llu tasks still run", running);
	quiet_free(q);
}

/* Of one pool, or (NULL) of all there are. NULL: answered already. */
static struct quiet *
wait_until_quiet(struct request *r, struct pool *one, bool close)
{
	size_t count = 0, i = 0;
	struct quiet *q;

	for (struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p))
		count += !one || p == one;
	if (!(q = calloc(1, sizeof *q + count * sizeof *q->member))) {
		request_fail(r, STATUS_LIMIT, 0, "the daemon is out of memory");
		return NULL;
	}
	q->close = close;
	if (!request_pend(r, &q->pending, on_abandon)) {
		free(q);
		return NULL;
	}
	q->count = q->left = count;
	q->all = !one && !close;
	draining_all += q->all;
	for (struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p)) {
		if (one && p != one)
			continue;
		q->member[i] = (struct member){ .quiet = q, .pool = pool_hold(p), .waiting = true, .waiter.wake = on_quiet };
		pool_wait_quiet(p, &q->member[i++].waiter);
		p->draining += !close;
	}
	return q;
}

struct close_options {
	struct closing how;
	bool wait;
};

static bool
read_close(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct close_options *o = arg;

	if (key_is(key, len, "wait"))
		return option_bool(r, "wait", value, &o->wait);
	if (key_is(key, len, "cancel_futures"))
		return option_bool(r, "cancel_futures", value, &o->how.cancel_futures);
	if (key_is(key, len, "terminate"))
		return option_bool(r, "terminate", value, &o->how.terminate);
	if (key_is(key, len, "kill"))
		return option_bool(r, "kill", value, &o->how.kill);
	return option_unknown(r, key, len);
}

void
req_close_pool(struct request *r)
{
	struct close_options o = { .wait = true };
	struct pool *p;
	const char *name;
	size_t len;

	if (!param_str(r, "pool", &name, &len) || !options_read(r, read_close, &o) || !(p = request_pool(r, name, len)))
		return;
	if (!p->like) { /* nobody can close it, so nobody is told that they may not */
		request_fail(r, STATUS_VALUE, 0, "close_pool: name: expected an opened pool, got %s, which the configuration names", p->name);
		return;
	}
	if (o.wait && !wait_until_quiet(r, p, true))
		return;
	closing_begin(p, &o.how);
	if (!o.wait)
		request_nil(r);
}

static bool
read_drain(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct pool **p = arg;
	const char *s;
	size_t n;

	if (!key_is(key, len, "pool"))
		return option_unknown(r, key, len);
	if (!option_str(r, "pool", value, 1024, &s, &n))
		return false;
	return (*p = find_pool(r, s, n)) != NULL;
}

void
req_drain(struct request *r)
{
	struct pool *p = NULL;
	uint64_t timeout_us;
	struct quiet *q;

	if (!param_timeout(r, &timeout_us) || !options_read(r, read_drain, &p))
		return;
	if (!p && r->conn->role != ROLE_ADMIN) {
		request_fail(r, STATUS_PERMISSION, 0, "drain: all pools are for admins to drain");
		return;
	}
	if (!(q = wait_until_quiet(r, p, false)))
		return;
	for (size_t i = 0; i < q->count; i++)
		pool_take_back_ahead(q->member[i].pool);
	if (timeout_us != UINT64_MAX)
		timer_set(&q->timer, clock_now() + timeout_us, on_timeout);
}

/* hello, ping, events, stats, shutdown, reload, backup: the daemon itself. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "daemon/access.h"
#include "daemon/commit.h"
#include "daemon/container.h"
#include "daemon/events.h"
#include "daemon/handlers.h"
#include "daemon/host.h"
#include "daemon/log.h"
#include "daemon/login.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/request.h"
#include "daemon/resident.h"
#include "daemon/run.h"
#include "daemon/server.h"
#include "daemon/slot.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "proto/message.h"
#include "proto/pack.h"
#include "proto/utf8.h"

/* ---- hello ---- */

struct greeting {
	int64_t protocol;
	const char *client, *task, *token;
	size_t client_len, task_len, token_len;
};

static bool
read_greeting(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct greeting *g = arg;
	struct reader nil = *value;

	if (key_is(key, len, "protocol"))
		return option_int(r, "protocol", value, 1, 1, &g->protocol);
	if (!key_is(key, len, "client") && !key_is(key, len, "token") && !key_is(key, len, "task"))
		return option_unknown(r, key, len);
	if (read_nil(&nil))
		return true;
	if (key_is(key, len, "client"))
		return option_str(r, "client", value, 1024, &g->client, &g->client_len);
	if (key_is(key, len, "token"))
		return option_str(r, "token", value, 4096, &g->token, &g->token_len);
	return option_str(r, "task", value, 1024, &g->task, &g->task_len);
}

/* The running task whose secret this is; NULL if none has it. */
static struct future *
find_task(const char *text, size_t len)
{
	uint8_t secret[SLOT_SECRET];

	if (!run_secret_parse(text, len, secret))
		return NULL;
	for (struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p)) {
		for (unsigned i = 0; i < p->slots; i++) {
			struct future *f = slot_find_secret(p->slot[i], secret);
			if (f)
				return f;
		}
	}
	return NULL;
}

static bool
become_task(struct request *r, const struct greeting *g)
{
	struct future *parent = find_task(g->task, g->task_len);

	if (!parent) {
		static const char none[] = "hello: task: no running task has this secret";
		if (r->conn->login)
			login_refuse(r->conn->login, r->msgid, none, none);
		else
			request_fail(r, STATUS_AUTHENTICATION, 0, "%s", none);
		return false;
	}
	conn_speak_in(r->conn, parent);
	spec_drop(r->conn->cache_spec); /* it is the former owner's */
	r->conn->cache_spec = NULL;
	if (conn_speak_for(r->conn, owner_hold(parent->spec->owner), groups_hold(parent->spec->owner->groups)))
		return true;
	conn_refuse(r->conn, r->msgid);
	return false;
}

void
req_hello(struct request *r)
{
	struct greeting g = { .protocol = 0 };
	unsigned methods = 0;

	if (!options_read(r, read_greeting, &g))
		return;
	if (!g.protocol) {
		request_fail(r, STATUS_VALUE, 0, "hello: protocol: expected 1, got nothing");
		return;
	}
	if (r->conn->login && !login_hello(r->conn->login, r->msgid, g.token, g.token_len))
		return; /* answered later; on a Unix socket the peer is known, whatever token it shows */
	if (g.task && !become_task(r, &g))
		return;
	if (g.client)
		log_about(LOG_LEVEL_DEBUG, "conn", &(struct log_about){ .conn = r->conn->id }, "%llu: hello from %.*s", (unsigned long long)r->conn->id, (int)g.client_len, g.client);
	while (request_methods[methods].name)
		methods++;
	struct buf *b = conn_say_now(r->conn); /* it tells of nothing that was done: whoever comes to look at a store that cannot be written gets in */
	message_result(b, r->msgid);
	pack_map(b, 7);
	pack_key(b, "protocol");
	pack_uint(b, 1);
	pack_key(b, "server");
	pack_cstr(b, "futured/" FUTURED_VERSION);
	pack_key(b, "instance");
	pack_cstr(b, server_instance());
	pack_key(b, "identity");
	pack_cstr(b, r->conn->owner->name);
	pack_key(b, "role");
	pack_cstr(b, role_name(r->conn->role));
	pack_key(b, "limits");
	pack_map(b, 1);
	pack_key(b, "message");
	pack_uint(b, conn_message_limit());
	pack_key(b, "methods");
	pack_array(b, methods);
	for (unsigned i = 0; i < methods; i++)
		pack_cstr(b, request_methods[i].name);
}

void
req_ping(struct request *r)
{
	const uint8_t *raw;
	size_t len;

	struct buf *b = conn_say_now(r->conn); /* it tells of nothing */
	message_result(b, r->msgid);
	if (r->left && read_raw(&r->params, &raw, &len))
		pack_raw(b, raw, len);
	else
		pack_nil(b);
}

/* ---- events ---- */

static bool
read_events(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct pool **p = arg;
	const char *s;
	size_t n;

	if (!key_is(key, len, "pool"))
		return option_unknown(r, key, len);
	if (!option_str(r, "pool", value, 1024, &s, &n))
		return false;
	return (*p = request_pool(r, s, n)) != NULL;
}

void
req_events(struct request *r)
{
	struct pool *p = NULL;

	if (!options_read(r, read_events, &p))
		return;
	request_nil(r);
	events_subscribe(r->conn, p);
}

/* ---- stats ---- */

static void
pack_counter(struct buf *b, const char *key, uint64_t value)
{
	pack_key(b, key);
	pack_uint(b, value);
}

static void
pack_futures(struct buf *b, const struct future_totals *t)
{
	pack_key(b, "futures");
	pack_map(b, FUTURE_STATES);
	for (int i = 0; i < FUTURE_STATES; i++)
		pack_counter(b, future_state_name((enum future_state)i), t->states[i]);
	pack_key(b, "totals");
	pack_map(b, 5);
	pack_counter(b, "submitted", t->submitted);
	pack_counter(b, "succeeded", t->succeeded);
	pack_counter(b, "failed", t->failed);
	pack_counter(b, "cancelled", t->cancelled);
	pack_counter(b, "retried", t->retried);
}

static void
pack_store(struct buf *b)
{
	struct store_counts c = store_counts();

	pack_key(b, "store");
	pack_map(b, 11u + !!c.failing);
	pack_key(b, "kind");
	pack_cstr(b, store_kind());
	pack_key(b, "durable");
	pack_bool(b, store_is_durable());
	if (c.failing) {
		pack_key(b, "failing");
		pack_text(b, c.failing, strlen(c.failing));
	}
	pack_counter(b, "bytes", c.bytes);
	pack_counter(b, "failures", c.failures);
	pack_counter(b, "commit_us", c.commit_us);
	pack_counter(b, "commit_us_max", c.commit_max_us);
	pack_counter(b, "accepted", c.accepted);
	pack_counter(b, "handed_over", c.handed_over);
	pack_counter(b, "finished", c.finished);
	pack_counter(b, "forgotten", c.forgotten);
	pack_counter(b, "batches", c.batches);
}

/* What concerns nobody else. */
static void
pack_own_stats(struct buf *b, const struct owner *o)
{
	pack_map(b, 7);
	pack_key(b, "version");
	pack_cstr(b, FUTURED_VERSION);
	pack_key(b, "uptime");
	pack_double(b, server_uptime());
	pack_counter(b, "connections", o->connections);
	pack_futures(b, &o->totals);
	pack_counter(b, "failures", o->totals.unseen);
	pack_counter(b, "bytes", o->bytes);
}

void
req_stats(struct request *r)
{
	for (struct pool *p = pool_first(); p; p = p->next)
		pool_look(p);
	if (r->conn->role != ROLE_ADMIN) {
		pack_own_stats(request_result(r), r->conn->owner);
		return;
	}
	struct future_totals totals = future_totals();
	struct turn_gauges turns = turn_gauges();
	/* Whoever looks at a store that cannot be written is not to wait for it; what is counted may not be durable yet. */
	struct buf *b = commit_is_failing() ? conn_say_now(r->conn) : conn_say(r->conn);

	message_result(b, r->msgid);
	pack_map(b, 14);
	pack_key(b, "version");
	pack_cstr(b, FUTURED_VERSION);
	pack_key(b, "uptime");
	pack_double(b, server_uptime());
	pack_counter(b, "pid", (uint64_t)getpid());
	pack_counter(b, "connections", conn_count());
	pack_futures(b, &totals);
	pack_counter(b, "failures", totals.unseen);
	pack_counter(b, "bytes", block_total());
	pack_counter(b, "spilled", output_spilled());
	pack_counter(b, "rss", resident_bytes(getpid()));
	pack_store(b);
	pack_counter(b, "turns", turns.turns);
	pack_counter(b, "turn_futures_max", turns.futures_max);
	pack_counter(b, "turn_bytes_max", turns.bytes_max);
}

/* ---- shutdown ---- */

struct ending {
	struct pending pending;
	struct server_waiter waiter;
};

static void
on_over(struct server_waiter *w)
{
	struct ending *e = container(w, struct ending, waiter);
	struct conn *c = conn_find(e->pending.conn_id);

	conn_unpend(&e->pending);
	pack_nil(answer_result(c, e->pending.msgid));
	free(e);
}

static void
on_abandon(struct pending *p)
{
	struct ending *e = container(p, struct ending, pending);
	server_unwait_over(&e->waiter);
	free(e);
}

struct shutdown_options {
	bool wait, cancel_futures;
};

static bool
read_shutdown(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct shutdown_options *o = arg;

	if (key_is(key, len, "wait"))
		return option_bool(r, "wait", value, &o->wait);
	if (key_is(key, len, "cancel_futures"))
		return option_bool(r, "cancel_futures", value, &o->cancel_futures);
	return option_unknown(r, key, len);
}

void
req_shutdown(struct request *r)
{
	struct shutdown_options o = { .wait = true };
	struct ending *e;

	if (!options_read(r, read_shutdown, &o))
		return;
	if (!o.wait) {
		request_nil(r);
	} else {
		if (!(e = calloc(1, sizeof *e))) {
			request_no_memory(r);
			return;
		}
		if (!request_pend(r, &e->pending, on_abandon)) {
			free(e);
			return;
		}
		e->waiter.over = on_over;
		server_wait_over(&e->waiter);
	}
	server_shutdown(o.cancel_futures);
}

/* ---- reload, backup ---- */

void
req_reload(struct request *r)
{
	char why[400];
	struct buf told;

	buf_init(&told);
	if (server_reload(&told, why, sizeof why))
		pack_raw(request_result(r), told.data, told.len);
	else
		request_fail(r, STATUS_VALUE, 0, "reload: %s", why);
	buf_clear(&told);
}

/* The whole configuration in effect. */
void
req_config(struct request *r)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool good;

	if (out)
		config_write(out, server_config(), run_address());
	good = out && !fclose(out) && text;
	if (good && utf8_is_valid(text, len))
		pack_text(request_result(r), text, len);
	else if (good)
		pack_bin(request_result(r), text, len); /* a path may be anything */
	else
		request_no_memory(r);
	free(text);
}

struct copying {
	struct pending pending;
	bool abandoned; /* the copy goes on */
};

static void
on_copied(void *arg, bool good, const char *why)
{
	struct copying *copy = arg;
	struct conn *c = copy->abandoned ? NULL : conn_find(copy->pending.conn_id);

	if (c) {
		conn_unpend(&copy->pending);
		if (good)
			pack_nil(answer_result(c, copy->pending.msgid));
		else
			answer_fail(c, copy->pending.msgid, STATUS_STORE, 0, "backup: %s", why);
	}
	free(copy);
}

static void
on_copying_abandoned(struct pending *p)
{
	container(p, struct copying, pending)->abandoned = true;
}

static void
begin_backup(struct request *r, const char *path, size_t len)
{
	struct copying *copy;
	char *name;

	if (!store_is_durable()) {
		request_fail(r, STATUS_UNSUPPORTED, 0, "backup: the store is memory: nothing is stored");
		return;
	}
	copy = calloc(1, sizeof *copy);
	name = strndup(path, len);
	if (name && access(name, F_OK) == 0) {
		request_fail(r, STATUS_VALUE, 0, "backup: path: expected the name of a new file, and %.300s exists", name);
	} else if (!copy || !name) {
		request_no_memory(r);
	} else if (!store_backup(name, on_copied, copy)) {
		request_fail(r, STATUS_STORE, 0, "backup: another copy is being made");
	} else {
		if (!request_pend(r, &copy->pending, on_copying_abandoned))
			copy->abandoned = true;
		copy = NULL; /* on_copied has it */
	}
	free(copy);
	free(name);
}

void
req_backup(struct request *r)
{
	const char *path;
	size_t len;

	if (!param_str(r, "path", &path, &len))
		return;
	if (!len || path[0] != '/' || memchr(path, 0, len))
		request_fail(r, STATUS_VALUE, 0, "backup: path: expected an absolute path without NUL, got '%.*s'", (int)(len < 100 ? len : 100), path);
	else
		begin_backup(r, path, len);
}

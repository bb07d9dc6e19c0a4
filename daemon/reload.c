#include "daemon/reload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/conn.h"
#include "daemon/identity.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/login.h"
#include "daemon/pool.h"
#include "daemon/tokens.h"
#include "daemon/tally.h"
#include "proto/pack.h"

static void
tell(struct buf *b, unsigned *count, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
tell(struct buf *b, unsigned *count, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_warn("reload", "%s", text);
	pack_text(b, text, strlen(text));
	++*count;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_strings(const struct config_strings *a, const struct config_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return false;
	return true;
}

static const struct config_pool *
find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->pools; i++)
		if (strcmp(c->pool[i].name, name) == 0)
			return &c->pool[i];
	return NULL;
}

static bool
same_limits(const struct config_pool *a, const struct config_pool *b)
{
	return a->umask == b->umask && a->nice == b->nice && memcmp(a->limit, b->limit, sizeof a->limit) == 0;
}

static void
change_pool(struct pool *p, const struct config_pool *next, struct buf *b, unsigned *count)
{
	const struct config_pool *before = p->config;

	if (!p->absent && (before->kind != next->kind || !same_strings(&before->runtime, &next->runtime))) {
		tell(b, count, "pools.%s: its kind and runtime need a restart", p->name);
		return;
	}
	if (!p->absent && (!same_text(before->user, next->user) || !same_text(before->group, next->group))) {
		tell(b, count, "pools.%s: its user and group need a restart", p->name);
		return;
	}
	if (next->kind != CONFIG_COMMAND && !same_limits(before, next))
		tell(b, count, "pools.%s: its limits, nice and umask hold for workers that are started from now on", p->name);
	pool_configure(p, next);
}

/* Pools of the configuration that is to be: changed, back again, or new. */
static void
apply_pools(const struct config *next, struct buf *b, unsigned *count)
{
	for (size_t i = 0; i < next->pools; i++) {
		const struct config_pool *c = &next->pool[i];
		struct pool *p = pool_find(c->name, strlen(c->name));
		char why[200];
		if (!identity_is_known(c, why, sizeof why)) {
			tell(b, count, "%s", why);
			continue;
		}
		if (!p)
			p = pool_return(c->name);
		if (p && p->like)
			tell(b, count, "pools.%s: a pool of that name was opened by a client", c->name);
		else if (p)
			change_pool(p, c, b, count);
		else if (!pool_new(c))
			tell(b, count, "pools.%s: out of memory", c->name);
	}
}

/* Pools that it no longer names. */
static void
retire_pools(const struct config *next)
{
	struct pool *p = pool_first(), *after;
	for (; p; p = after) {
		after = p->next;
		if (!p->like && !find(next, p->name))
			pool_retire(p);
	}
}

static bool
same_listeners(const struct config *a, const struct config *b)
{
	if (a->listens != b->listens)
		return false;
	for (size_t i = 0; i < a->listens; i++) {
		const struct config_listen *x = &a->listen[i], *y = &b->listen[i];
		if (strcmp(x->address, y->address) != 0 || x->plaintext != y->plaintext)
			return false;
	}
	return true;
}

bool
reload_prepare(const struct config *next, char *why, size_t size)
{
	if (listener_prepare(next, why, size) && tokens_prepare(next->tokens, why, size))
		return true;
	listener_discard();
	return false;
}

/* Whoever may no longer come, may no longer stay. */
static void
look_at_logins(void)
{
	struct conn *c = conn_first(), *after;

	for (; c; c = after) {
		struct ssl_ctx_st *context;
		const struct config_listen *listen = c->login ? listener_config(c->login->listen->address, &context) : NULL;
		after = c->next;
		if (!c->login || login_is_still_good(c->login, listen, context))
			continue;
		log_warn("login", "%llu: closed: %s from %s may no longer come", (unsigned long long)c->id, c->owner->name, c->login->from);
		conn_close(c, "its token or certificate was revoked");
	}
}

static void
apply_network(const struct config *next)
{
	tokens_commit();
	listener_commit(next);
	login_set_limits(next->limit_unauthenticated, next->limit_hello_us);
	conn_set_idle(next->limit_idle_us);
	look_at_logins();
}

unsigned
reload_apply(const struct config *before, const struct config *next, struct buf *b)
{
	unsigned count = 0;

	if (!same_listeners(before, next))
		tell(b, &count, "listen: needs a restart");
	if (before->socket_mode != next->socket_mode || before->socket_gid != next->socket_gid)
		tell(b, &count, "socket_mode and socket_group: need a restart");
	if (!same_text(before->store, next->store))
		tell(b, &count, "store: needs a restart");
	if (!same_text(before->state_dir, next->state_dir))
		tell(b, &count, "state_dir: needs a restart");
	if (!same_text(before->cgroup, next->cgroup))
		tell(b, &count, "cgroup: needs a restart");
	if (before->limit_message != next->limit_message)
		tell(b, &count, "limits.message: needs a restart");
	retire_pools(next);
	apply_pools(next, b, &count);
	if (!same_text(before->http, next->http))
		tell(b, &count, "http: needs a restart");
	log_set_level(log_level_find(next->log_level));
	apply_network(next);
	log_set_json(strcmp(next->log_format, "json") == 0);
	tally_log_tasks(next->log_tasks);
	conn_set_limits(before->limit_message, next->limit_connections, next->limit_requests, next->limit_output);
	return count;
}

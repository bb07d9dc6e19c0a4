/* Everything is answered from memory and in a few comparisons: users and groups are numbers since the configuration was read, and what
 * the lists say of a connection and a pool is kept until either changes. */
#include "daemon/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/conn.h"
#include "daemon/fault.h"
#include "daemon/login.h"
#include "daemon/pool.h"
#include "daemon/registry.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum { GROUPS_MAX = 65536 }; /* the kernel's NGROUPS_MAX */

/* Of one connection; connections of one user that have the same share them. */
struct groups {
	uint32_t count; /* holders */
	uint32_t size;
	gid_t gid[];
};

static const struct config *config;
static bool shared;
static uint32_t generation; /* of the configuration: what was worked out with an older one is worked out again */

/* ---- groups ---- */

struct groups *
groups_hold(struct groups *g)
{
	if (g)
		g->count++;
	return g;
}

void
groups_drop(struct groups *g)
{
	if (g && !--g->count)
		free(g);
}

struct groups *
access_groups(int fd)
{
	struct ucred cred;
	socklen_t cred_len = sizeof cred, len = 64 * sizeof(gid_t);
	struct groups *g = NULL, *bigger;
	int failed;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len))
		return NULL;
	do {
		if (!(bigger = realloc(g, sizeof *g + sizeof(gid_t) + len)))
			break;
		g = bigger;
		*g = (struct groups){ .count = 1, .size = 1 };
		g->gid[0] = cred.gid;
		failed = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, g->gid + 1, &len); /* too small: says how many there are */
		if (!failed)
			g->size += (uint32_t)(len / sizeof(gid_t));
	} while (failed && errno == ERANGE && len <= GROUPS_MAX * sizeof(gid_t));
	return g;
}

static bool
has_group(const struct groups *g, gid_t gid)
{
	for (uint32_t i = 0; g && i < g->size; i++)
		if (g->gid[i] == gid)
			return true;
	return false;
}

static bool
same_groups(const struct groups *a, const struct groups *b)
{
	return a && b && a->size == b->size && memcmp(a->gid, b->gid, a->size * sizeof *a->gid) == 0;
}

/* ---- lists and roles ---- */

static bool
is_named(const struct config_principal *p, const struct owner *o, const struct groups *g)
{
	switch (p->kind) {
	case CONFIG_ALL:
		return true;
	case CONFIG_USER:
		return o->kind == OWNER_UID && o->uid == p->id;
	case CONFIG_GROUP:
		return o->kind == OWNER_UID && has_group(g, p->id);
	default:
		return o->kind != OWNER_UID && strcmp(o->name, p->name) == 0;
	}
}

static bool
names(const struct config_principals *list, const struct conn *c)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_named(&list->item[i], c->owner, c->groups))
			return true;
	return false;
}

static enum role
role_of_owner(const struct conn *c)
{
	const struct owner *o = c->owner;

	if (o->kind == OWNER_UID && (o->uid == 0 || (!shared && o->uid == geteuid())))
		return ROLE_ADMIN;
	if (names(&config->admins, c))
		return ROLE_ADMIN;
	if (names(&config->read_only, c))
		return ROLE_READ_ONLY;
	if (o->kind == OWNER_UID)
		return ROLE_USER;
	return c->login && !c->parent ? c->login->role : o->role; /* one certificate may have another role at another listener */
}

/* A task of an admin's is none where others' tasks have its user id: they could read its secret. */
static enum role
role_of(const struct conn *c)
{
	enum role role = role_of_owner(c);
	return c->parent && shared && role == ROLE_ADMIN ? ROLE_USER : role;
}

void
access_join(struct conn *c, struct groups *groups)
{
	struct owner *o = c->owner;

	if (same_groups(groups, o->groups)) {
		groups_drop(groups);
		groups = groups_hold(o->groups);
	}
	if (o->groups != groups) {
		groups_drop(o->groups);
		o->groups = groups_hold(groups);
	}
	groups_drop(c->groups);
	c->groups = groups;
	c->role = role_of(c);
	c->access.generation = 0;
	if (o->kind == OWNER_UID)
		o->role = c->role;
}

void
access_configure(const struct config *c, bool is_shared)
{
	config = c;
	shared = is_shared;
	generation++;
	for (struct conn *one = conn_first(); one; one = one->next)
		if (one->owner)
			one->role = role_of(one);
}

bool
access_is_allowed(const struct config *c, bool is_shared, char *why, size_t size)
{
	const struct config_pool *p = config_own_uid_pool(c);

	if (!is_shared || c->shared_uid || !p)
		return true;
	snprintf(why, size, "shared_uid: expected true, got false: others than the daemon's own user can connect to a socket that it was given, and tasks of "
	    "pool %s run as that user", p->name);
	return false;
}

bool
access_is_personal(void)
{
	return !shared;
}

/* ---- methods ---- */

bool
access_may_call(const struct conn *c, enum right right)
{
	switch (FAULT(role_ignored) ? RIGHT_READ : right) {
	case RIGHT_READ:
		return true;
	case RIGHT_ADMIN:
		return c->role == ROLE_ADMIN;
	default:
		return c->role >= ROLE_USER;
	}
}

/* ---- pools ---- */

bool
access_may_find(const struct conn *c, const struct pool *p)
{
	return !p->like || p->owner == c->owner || c->role == ROLE_ADMIN;
}

/* Its functions are those of modules that the configuration names: a client cannot bring its own. */
static bool
is_fixed(const struct config_pool *p)
{
	return p->runtime.count == 1 && strcmp(p->runtime.item[0], "native") == 0;
}

/* What the configuration says about the pool now; an opened one is as free as what it is like. */
static const struct config_pool *
settings(const struct pool *p)
{
	while (p->like)
		p = p->like;
	return p->config;
}

static void
work_out(struct conn *c, const struct pool *p)
{
	const struct config_pool *s = settings(p);
	bool admin = c->role == ROLE_ADMIN;

	c->access.generation = generation;
	c->access.pool = p->serial;
	c->access.look = access_may_find(c, p) && (admin || names(&s->allow, c));
	c->access.refusal = NULL;
	if (admin || FAULT(allow_ignored))
		return;
	if (!c->access.look)
		c->access.refusal = "allow of the pool";
	else if (s->kind == CONFIG_COMMAND && !names(&config->allow_commands, c))
		c->access.refusal = "allow.commands";
	else if (s->kind != CONFIG_COMMAND && !is_fixed(s) && !names(&config->allow_exec, c))
		c->access.refusal = "allow.exec";
}

static void
look_up(struct conn *c, const struct pool *p)
{
	if (c->access.generation != generation || c->access.pool != p->serial)
		work_out(c, p);
}

bool
access_may_look(struct conn *c, const struct pool *p)
{
	look_up(c, p);
	return c->access.look;
}

const char *
access_refusal(struct conn *c, const struct pool *p)
{
	look_up(c, p);
	return c->access.refusal;
}

bool
access_may_open_pool(const struct conn *c)
{
	return c->role == ROLE_ADMIN || names(&config->allow_open_pool, c);
}

bool
access_may_manage(const struct conn *c, const struct pool *p)
{
	return c->role == ROLE_ADMIN || (c->role == ROLE_USER && p->like && p->owner == c->owner) || FAULT(pools_for_all);
}

/* ---- futures ---- */

bool
access_may_see(struct conn *c, const struct future *f)
{
	const struct pool *p = f->spec->pool;

	if (f->spec->owner == c->owner || c->role == ROLE_ADMIN || FAULT(anothers_seen))
		return true;
	return !p->like && p->config->shared && access_may_look(c, p);
}

bool
access_may_change(const struct conn *c, const struct future *f)
{
	return c->role == ROLE_ADMIN || (f->spec->owner == c->owner && c->role >= ROLE_USER) || FAULT(anothers_changed);
}

struct future *
access_find(struct conn *c, uint64_t id)
{
	struct future *f = registry_find(id);
	return f && access_may_see(c, f) ? f : NULL;
}

uint64_t
access_missing(struct conn *c, uint64_t first, uint64_t count)
{
	uint64_t id = first, end = first + count, missing;

	if (c->role == ROLE_ADMIN)
		return registry_missing(first, count);
	while (id < end) {
		uint64_t next = (id / REGISTRY_PAGE + 1) * REGISTRY_PAGE;
		if (next > end)
			next = end;
		if (registry_owner(id) == c->owner) {
			if ((missing = registry_missing(id, next - id)))
				return missing;
			id = next;
			continue;
		}
		for (; id < next; id++)
			if (!access_find(c, id))
				return id;
	}
	return 0;
}

uint64_t
access_foreign(struct conn *c, uint64_t first, uint64_t count)
{
	uint64_t id = first, end = first + count;

	if (c->role == ROLE_ADMIN)
		return 0;
	while ((id = registry_after(id)) && id < end) {
		if (c->role >= ROLE_USER && registry_owner(id) == c->owner) {
			id = (id / REGISTRY_PAGE + 1) * REGISTRY_PAGE;
			continue;
		}
		const struct future *f = registry_find(id);
		if (access_may_see(c, f) && !access_may_change(c, f))
			return id;
		id++;
	}
	return 0;
}

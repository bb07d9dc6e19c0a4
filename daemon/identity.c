#include "daemon/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fault.h"
#include "daemon/launcher.h"
#include "daemon/lock.h"
#include "launch/order.h"

enum { NAMES_MAX = 2 * LAUNCH_IDENTITIES };

struct identity {
	char *user, *group; /* as the configuration has them; NULL: not said */
	uid_t uid;
	int place;
	char *env[8];
};

static struct identity own = { .place = IDENTITY_OWN };
static struct identity unknown = { .uid = (uid_t)-1, .place = IDENTITY_NOBODY };
static struct identity named[NAMES_MAX]; /* our own user, too, where a pool names it */
static unsigned names;
static struct launch_list list;

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- looking up ---- */

static bool
number(const char *text, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *out < UINT32_MAX;
}

/* A name, or the number of a user who has a name. */
static const struct passwd *
find_user(const char *text)
{
	unsigned long n;
	return number(text, &n) ? getpwuid((uid_t)n) : getpwnam(text);
}

static const struct group *
find_group(const char *text)
{
	unsigned long n;
	return number(text, &n) ? getgrgid((gid_t)n) : getgrnam(text);
}

/* False with a sentence. */
static bool
look_up(const struct config_pool *c, struct launch_identity *out, char *why, size_t size)
{
	const struct passwd *pw = find_user(c->user);
	const struct group *gr = c->group ? find_group(c->group) : NULL;
	gid_t groups[LAUNCH_GROUPS];
	int count = LAUNCH_GROUPS;

	if (!pw || (c->group && !gr)) {
		snprintf(why, size, "pools.%s.%s: expected a %s of this machine, got '%.64s'", c->name, pw ? "group" : "user", pw ? "group" : "user",
		    pw ? c->group : c->user);
		return false;
	}
	*out = (struct launch_identity){ .uid = pw->pw_uid, .gid = gr ? gr->gr_gid : pw->pw_gid };
	if (getgrouplist(pw->pw_name, out->gid, groups, &count) < 0) {
		snprintf(why, size, "pools.%s.user: expected a user of at most %d groups, got '%.64s'", c->name, LAUNCH_GROUPS, c->user);
		return false;
	}
	for (int i = 0; i < count; i++)
		out->group[out->groups++] = groups[i];
	if (FAULT(groups_too_many))
		out->group[out->groups++] = 4;
	return true;
}

static bool
is_own(const struct launch_identity *i, const struct config_pool *c)
{
	return i->uid == geteuid() && (!c->group || i->gid == getegid());
}

static bool
is_root(const struct launch_identity *i)
{
	bool any = i->uid == 0 || i->gid == 0;
	for (uint32_t g = 0; g < i->groups; g++)
		any |= i->group[g] == 0;
	return any;
}

/* ---- those that there are ---- */

static struct identity *
find(const struct config_pool *c)
{
	for (unsigned i = 0; i < names; i++)
		if (same_text(named[i].user, c->user) && same_text(named[i].group, c->group))
			return &named[i];
	return NULL;
}

static bool
name(const struct config_pool *c, uid_t uid, int place)
{
	struct identity *i = &named[names];

	i->user = strdup(c->user);
	i->group = c->group ? strdup(c->group) : NULL;
	i->uid = uid;
	i->place = place;
	if (i->user && (i->group || !c->group)) {
		names++;
		return true;
	}
	free(i->user);
	free(i->group);
	return false;
}

/* `start`: while the list may still grow. */
static bool
add(const struct config_pool *c, bool start, char *why, size_t size)
{
	struct launch_identity found;

	if (!c->user || find(c))
		return true;
	if (!look_up(c, &found, why, size))
		return false;
	bool mine = is_own(&found, c);
	if (!mine && is_root(&found)) {
		snprintf(why, size, "pools.%s.user: expected a user who is not root and not in its group, got '%.64s'", c->name, c->user);
		return false;
	}
	if (names == NAMES_MAX || (!mine && list.count == LAUNCH_IDENTITIES)) {
		snprintf(why, size, "pools.%s.user: expected at most %d users and groups in all pools", c->name, LAUNCH_IDENTITIES);
		return false;
	}
	if (!mine && !start) {
		snprintf(why, size, "pools.%s.user: needs a restart", c->name);
		return false;
	}
	if (!mine && !launcher_may_be(c, why, size))
		return false;
	if (!name(c, found.uid, mine ? IDENTITY_OWN : (int)list.count)) {
		snprintf(why, size, "out of memory");
		return false;
	}
	if (!mine)
		list.identity[list.count++] = found;
	return true;
}

bool
identity_start(const struct config *c, char *why, size_t size)
{
	list.magic = LAUNCH_MAGIC;
	for (size_t i = 0; i < c->pools; i++)
		if (!add(&c->pool[i], true, why, size))
			return false;
	return !list.count || launcher_start(&list, why, size);
}

bool
identity_is_known(const struct config_pool *c, char *why, size_t size)
{
	return add(c, false, why, size);
}

const struct identity *
identity_of(const struct config_pool *c)
{
	const struct identity *i = c->user ? find(c) : &own;
	return i ? i : &unknown;
}

int
identity_place(const struct identity *i)
{
	return i->place;
}

int
identity_find_uid(uid_t uid)
{
	for (unsigned i = 0; i < names; i++)
		if (named[i].uid == uid && named[i].place >= 0)
			return named[i].place;
	return IDENTITY_OWN;
}

/* ---- the environment ---- */

static void
set(struct identity *i, unsigned n, const char *name, const char *value)
{
	if (value && asprintf(&i->env[n], "%s=%s", name, value) < 0)
		i->env[n] = NULL;
}

static void
make_env(struct identity *i)
{
	uid_t uid = i == &own ? getuid() : i->uid;
	const struct passwd *pw = getpwuid(uid);
	const char *lang = getenv("LANG");

	set(i, 0, "PATH", uid == 0 ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : "/usr/local/bin:/usr/bin:/bin");
	set(i, 1, "HOME", pw ? pw->pw_dir : "/");
	set(i, 2, "USER", pw ? pw->pw_name : "nobody");
	set(i, 3, "LOGNAME", pw ? pw->pw_name : "nobody");
	set(i, 4, "SHELL", pw && *pw->pw_shell ? pw->pw_shell : "/bin/sh");
	set(i, 5, "LANG", lang ? lang : "C.UTF-8");
	set(i, 6, LOCK_MARK, lock_mark());
}

char *const *
identity_env(const struct identity *i)
{
	struct identity *it = i == &own ? &own : i == &unknown ? &unknown : &named[i - named];

	if (!it->env[0])
		make_env(it);
	return i->env;
}

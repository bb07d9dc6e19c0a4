#include "daemon/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/access.h"

static struct owner *owners; /* few: one per principal that holds something */

/* The name says the kind too, so it alone tells them apart. */
static struct owner *
get(enum owner_kind kind, uid_t uid, const char *name, enum role role)
{
	struct owner *o;

	LL_FOREACH(owners, o) {
		if (strcmp(o->name, name) == 0) {
			o->role = role;
			return owner_hold(o);
		}
	}
	if (!(o = calloc(1, sizeof *o)))
		return NULL;
	o->count = 1;
	o->kind = kind;
	o->role = role;
	o->uid = uid;
	snprintf(o->name, sizeof o->name, "%s", name);
	LL_PREPEND(owners, o);
	return o;
}

struct owner *
owner_get(uid_t uid)
{
	char name[sizeof ((struct owner *)0)->name];

	snprintf(name, sizeof name, "uid:%u", (unsigned)uid);
	return get(OWNER_UID, uid, name, ROLE_ADMIN);
}

struct owner *
owner_named(enum owner_kind kind, const char *name, enum role role)
{
	char full[sizeof ((struct owner *)0)->name];

	snprintf(full, sizeof full, "%s:%.*s", kind == OWNER_TOKEN ? "token" : "cert", OWNER_NAME_MAX, name);
	return get(kind, (uid_t)-1, full, role);
}

struct owner *
owner_of_name(const char *name)
{
	struct owner *o;
	unsigned uid;

	LL_FOREACH(owners, o) {
		if (strcmp(o->name, name) == 0)
			return owner_hold(o);
	}
	if (sscanf(name, "uid:%u", &uid) == 1)
		return owner_get((uid_t)uid);
	const char *colon = strchr(name, ':');
	return owner_named(strncmp(name, "cert:", 5) == 0 ? OWNER_CERTIFICATE : OWNER_TOKEN, colon ? colon + 1 : name, ROLE_USER);
}

struct owner *
owner_first(void)
{
	return owners;
}

struct owner *
owner_hold(struct owner *o)
{
	o->count++;
	return o;
}

void
owner_drop(struct owner *o)
{
	if (!o || --o->count)
		return;
	turn_unschedule(&o->settling);
	LL_DELETE(owners, o);
	groups_drop(o->groups);
	free(o);
}

static const char *const roles[] = { [ROLE_READ_ONLY] = "read-only", [ROLE_USER] = "user", [ROLE_ADMIN] = "admin" };

const char *
role_name(enum role role)
{
	return roles[role];
}

bool
role_parse(const char *name, enum role *role)
{
	for (unsigned i = 0; i < sizeof roles / sizeof *roles; i++) {
		if (strcmp(roles[i], name) == 0) {
			*role = (enum role)i;
			return true;
		}
	}
	return false;
}

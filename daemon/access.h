/* Who may do what. Everything that a request does to something that has an owner is asked here, and nowhere else.
 *
 * A connection speaks for an owner with a role. read-only looks; user also submits, and does as it likes with what is its own; admin
 * does everything. What a user does not own, and nobody shared, is not there for it: the same answer as for what has expired.
 *
 * A daemon is personal when nobody but its own user (and root) can connect. Its user is an admin there. In a shared daemon its tasks
 * have that uid too, so there it is a user like any other, unless `admins` names it. */
#ifndef FUTURED_DAEMON_ACCESS_H
#define FUTURED_DAEMON_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/ids.h"
#include "daemon/owner.h"

struct conn;
struct future;
struct pool;

/* These hold from now on, for connections that are there too; borrowed until the next call. `shared` as config_is_shared says, or as
 * the sockets that were handed to us say. */
void access_configure(const struct config *c, bool shared);
bool access_is_personal(void);
/* Whether a daemon that is shared, or not, may run by this configuration. False, with a sentence. */
bool access_is_allowed(const struct config *c, bool shared, char *why, size_t size);

/* The groups of a Unix socket's peer, as the kernel knows them; counted. NULL: none. */
struct groups *access_groups(int fd);
struct groups *groups_hold(struct groups *g);
void groups_drop(struct groups *g);

/* c->owner is whom it speaks for from now on, with these groups (taken; NULL: none); works out its role. */
void access_join(struct conn *c, struct groups *groups);

/* Whether its role may call methods that need this right. */
bool access_may_call(const struct conn *c, enum right right);
/* To look at it: its own, those of shared pools, and for an admin all. */
bool access_may_see(struct conn *c, const struct future *f);
/* To cancel, release, feed, retry it; and to have looked at its error. */
bool access_may_change(const struct conn *c, const struct future *f);
/* Whether the pool is there for it at all: an opened pool is its owner's. */
bool access_may_find(const struct conn *c, const struct pool *p);
/* Whether it is among those who are allowed to use the pool, whatever its role: to see it in the list of pools. */
bool access_may_look(struct conn *c, const struct pool *p);
/* To submit there: NULL, or else the key of the configuration that forbids it. */
const char *access_refusal(struct conn *c, const struct pool *p);
bool access_may_open_pool(const struct conn *c);
/* To pause, resize, close, drain it. */
bool access_may_manage(const struct conn *c, const struct pool *p);

/* The future, if there is one of this id that may be seen. */
struct future *access_find(struct conn *c, uint64_t id);
/* The first id of the run that is not there for it; 0 if all are. One step per 256 ids where a page of the registry is all its own. */
uint64_t access_missing(struct conn *c, uint64_t first, uint64_t count);
/* The first id of the run that it may see and not change; 0 if there is none. */
uint64_t access_foreign(struct conn *c, uint64_t first, uint64_t count);

#endif

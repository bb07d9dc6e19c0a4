/* What one owner may take of the daemon, so that something is left for the others: pending futures, bytes, connections (limits.user).
 * Admins are not bound by it. */
#ifndef FUTURED_DAEMON_QUOTA_H
#define FUTURED_DAEMON_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/owner.h"

struct pool;
struct pool_waiter;

void quota_configure(const struct config *c);

/* Whether so many more pending futures are within its bound; those of maps that are being made count. */
bool quota_has_room(const struct owner *o, uint64_t futures);
uint64_t quota_pending(void); /* the bound */
/* Whether so many more bytes of arguments and results are. quota_make_bytes first forgets finished futures of its own for them. */
bool quota_has_bytes(const struct owner *o, uint64_t bytes);
void quota_make_bytes(const struct owner *o, uint64_t bytes);
uint64_t quota_bytes(void);
/* Forgets finished futures, `max` at most, of owners who hold more bytes than they may, since results are not refused; returns how many. */
unsigned quota_evict(unsigned max);
/* Whether it has more connections than it may. */
bool quota_is_crowded(const struct owner *o);
uint64_t quota_connections(void);

/* Blocked submits, served in order: as pool_wait_room, but wake gets no pool, or the one that closes. Who waits holds a count of the
 * owner. */
void quota_wait_room(struct owner *o, struct pool_waiter *w);
void quota_unwait_room(struct owner *o, struct pool_waiter *w);
/* It has fewer pending futures: who waits is looked at when the turn's events have been handled. */
void quota_settle(struct owner *o);
/* The pool takes no more, or the daemon ends: those who wait to submit there are woken, wherever they stand. */
void quota_let_go(struct pool *p);

#endif

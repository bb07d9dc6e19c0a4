/* How long finished futures are kept: one list per duration and owner, oldest first, so keeping and expiring are O(1). Where very many durations
 * are in use further ones are rounded up, by an eighth at most: to evict one costs a look at each list. */
#ifndef FUTURED_DAEMON_RETENTION_H
#define FUTURED_DAEMON_RETENTION_H

#include <stdint.h>

#include "daemon/future.h"

/* Keeps a final future for retain_us from now. */
void retention_keep(struct future *f, uint64_t retain_us);
void retention_unlink(struct future *f);
/* Forgets kept futures of `owner` (NULL: of all) that are finished and seen, oldest first, until at most `max` were; returns how many. */
unsigned retention_evict(unsigned max, const struct owner *owner);

#endif

/* A pool whose workers cannot start, or die of nothing, is broken: its tasks fail, and after a pause, longer each time, one worker is tried. */
#ifndef FUTURED_DAEMON_BROKEN_H
#define FUTURED_DAEMON_BROKEN_H

#include <stdbool.h>

#include "daemon/bytes.h"

struct pool;

/* A host could not start, or an initializer failed (`error`, taken; empty: it just died); `for_sure`: so would the next one. */
void broken_host_failed(struct pool *p, struct bytes error, bool for_sure);
/* It works again, or is to be tried anew. */
void broken_heal(struct pool *p);
/* Everything that waits in the queue of a broken one fails, over turns; what waits elsewhere fails when it gets there. */
void broken_fail_queue(struct pool *p);

#endif

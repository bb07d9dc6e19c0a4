/* Closing opened pools: Executor.shutdown, terminate_workers and kill_workers. */
#ifndef FUTURED_DAEMON_CLOSING_H
#define FUTURED_DAEMON_CLOSING_H

#include <stdbool.h>

struct pool;

struct closing {
	bool cancel_futures; /* what waits is cancelled */
	bool terminate;      /* what runs is stopped, and fails with BrokenPoolError */
	bool kill;           /* … without grace */
};

/* No more submits from now on; the pool goes when it is empty. Over turns where it is large. */
void closing_begin(struct pool *p, const struct closing *how);
/* The same for one that an earlier daemon was closing, and whose futures are about to be there. */
void closing_go_on(struct pool *p, bool cancel_futures);
/* Stops what runs in it, which fails with BrokenPoolError; with `kill` without grace. */
void closing_stop_running(struct pool *p, bool kill);
/* Cancels everything of the pool that is PENDING, over turns; none of it begins meanwhile. The pool takes no submits any more; maps that it took
 * before, and that are still being made, call it again when they are. */
void closing_cancel_pending(struct pool *p);

#endif

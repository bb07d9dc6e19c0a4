/* The tally: what is counted of tasks, commits and the loop for whoever watches the daemon, and the log's line about a task that ended. */
#ifndef FUTURED_DAEMON_TALLY_H
#define FUTURED_DAEMON_TALLY_H

#include <stdint.h>

#include "daemon/future.h"
#include "daemon/histogram.h"

enum tally_tasks { TALLY_LOG_NONE, TALLY_LOG_FAILED, TALLY_LOG_ALL };

/* Of a pool and of those that clients opened like it, whose names come and go. */
struct tally {
	struct histogram waits; /* from the submit to the first attempt */
	struct histogram runs;  /* of attempts */
	uint64_t succeeded, failed, cancelled, retried;
};

/* Which tasks get a line in the log when they end: "none", "failed" or "all"; anything else is none. */
void tally_log_tasks(const char *which);
/* A future has changed its state. Only future.c calls this. */
void tally_change(const struct future *f, enum future_state from);
/* The store took so long to make a batch durable. Only store.c calls this. */
void tally_commit(uint64_t us);
/* A timer fired so late: what anybody waits for a busy loop. */
void tally_lag(uint64_t us);

const struct histogram *tally_commits(void);
const struct histogram *tally_lags(void);

#endif

/* The runtime of command pools: one slot, one program at a time, and an answer for every process that it made. */
#ifndef FUTURED_WORKER_COMMAND_H
#define FUTURED_WORKER_COMMAND_H

#include "worker/host.h"

/* Serves until the daemon ends it. Returns the exit status of the host; leaves by exit() when the daemon is gone. One
 * thread only: nobody else in the process may have children or unblocked signals. */
int command_run(struct host *h);

#endif

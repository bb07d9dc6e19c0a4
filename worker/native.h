/* The native runtime: functions of C task modules (futured_task.h) for the kinds `process` and `thread`. */
#ifndef FUTURED_WORKER_NATIVE_H
#define FUTURED_WORKER_NATIVE_H

#include "worker/host.h"

/* Loads the modules that the hello's options name and serves until the daemon ends the host. Returns the exit status. */
int native_serve(struct host *h);

#endif

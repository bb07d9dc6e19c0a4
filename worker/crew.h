/* The threads of a host: one per slot, and the main thread, which listens on the control socket.
 *
 * What native and Lua hosts have in common: slots are opened on their own threads (where their initializers run as well), `ready`
 * is said when all of them are open, later slots may be added, and the host ends when the daemon says so or is gone. */
#ifndef FUTURED_WORKER_CREW_H
#define FUTURED_WORKER_CREW_H

#include <stdbool.h>

#include "proto/buf.h"
#include "worker/host.h"
#include "worker/slot.h"

struct crew_runtime {
	struct host_ready ready; /* what it says of itself; ready.grow decides whether slots may come later */
	void *shared;            /* handed to open */
	/* On the slot's thread, before its first task: sets s->run and what it needs. False: the pool is broken, for the error map
	 * that it has appended to *error; close is then not called. */
	bool (*open)(void *shared, struct host *h, struct slot *s, struct buf *error);
	/* On the slot's thread, after its last task. */
	void (*close)(struct slot *s);
};

/* Serves until the daemon says `end`; returns the exit status. Does not return when the daemon is gone, a slot cannot be
 * opened, or the contract is broken: a running function cannot be stopped, so the process ends on the spot. */
int crew_serve(struct host *h, const struct crew_runtime *runtime);

#endif

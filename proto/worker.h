/* Numbers and words of the worker contract (docs/worker-contract.md), shared by the daemon and the hosts. */
#ifndef FUTURED_PROTO_WORKER_H
#define FUTURED_PROTO_WORKER_H

enum {
	WORKER_PROTOCOL = 1,
	WORKER_CONTROL_FD = 3, /* one stream socket per host */
	WORKER_BOARD_FD = 4,   /* struct board [slots], to be mapped shared and closed */
	WORKER_SLOT_FD = 5,    /* the first of `slots` stream sockets */
	WORKER_SLOTS_MAX = 1024,
	WORKER_VALUE_DEPTH = 24, /* how deep a value may nest */
	WORKER_MESSAGE_MIN = 64 * 1024, /* the smallest `message` that a host is told */
	WORKER_ENVELOPE = 64 * 1024,    /* what a message to a host may have beside that: what clients did not send */
};

/* What a command host finds from descriptor FUTURED_BOX_FD on: its task's cgroup, and files of it, opened by the daemon. What there
 * is not is /dev/null. */
enum worker_box {
	WORKER_BOX_DIR,
	WORKER_BOX_PROCS,  /* cgroup.procs */
	WORKER_BOX_KILL,   /* cgroup.kill */
	WORKER_BOX_EVENTS, /* memory.events */
	WORKER_BOX_MEMORY, /* memory.max */
	WORKER_BOX_SWAP,   /* memory.swap.max */
	WORKER_BOX_PIDS,   /* pids.max */
	WORKER_BOX_CPU,    /* cpu.max */
	WORKER_BOX_FDS
};

#endif

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
};

#endif

/* What the daemon says to the launcher: structs of fixed size, as they are in memory, on a socket that keeps messages whole.
 *
 * The launcher is the only program with privileges. It is started once, by a daemon that has them; it is handed a list of identities, and from
 * then on it does two things, each as one of that list and never as root: start a program, and send a signal.
 *
 *     daemon ── list ──► launcher            once, from a file that is descriptor 4
 *     daemon ── order, descriptors ──► launcher ── answer ──► daemon
 *
 * Descriptors come with the order and, where they are many, with further messages of one byte, LAUNCH_FDS_EACH at a time. */
#ifndef FUTURED_LAUNCH_ORDER_H
#define FUTURED_LAUNCH_ORDER_H

#include <stdint.h>

#include "launch/become.h"

enum {
	LAUNCH_MAGIC = 0x6c617531,
	LAUNCH_SOCKET_FD = 3,
	LAUNCH_LIST_FD = 4,
	LAUNCH_IDENTITIES = 64,
	LAUNCH_GROUPS = 64,
	LAUNCH_FDS = 1100,      /* in one order */
	LAUNCH_FDS_EACH = 128,  /* in one message */
	LAUNCH_STRINGS = 8192,  /* arguments and variables in a plan */
	LAUNCH_PLAN_MAX = 4 * 1024 * 1024,
};

/* A user, with the groups that it is in. Never root. */
struct launch_identity {
	uint32_t uid, gid, groups;
	uint32_t group[LAUNCH_GROUPS];
};

struct launch_list {
	uint32_t magic, count;
	struct launch_identity identity[LAUNCH_IDENTITIES];
};

enum launch_verb {
	LAUNCH_START,  /* descriptors: plan, err (becomes 1 and 2), cgroup.procs, program, and then those that become 3, 4, … */
	LAUNCH_SIGNAL, /* descriptor: a pidfd */
};

enum { LAUNCH_FD_PLAN, LAUNCH_FD_ERR, LAUNCH_FD_CGROUP, LAUNCH_FD_PROGRAM, LAUNCH_FD_FIRST };

struct launch_order {
	uint32_t magic, verb;
	uint32_t identity;      /* its place in the list */
	uint32_t signal;        /* LAUNCH_SIGNAL */
	uint32_t fds;           /* descriptors that come with it, in all */
	uint32_t has_cgroup;    /* else the descriptor is any */
	uint32_t has_program;   /* likewise; it is what is executed, else the path that argv begins with */
	uint32_t zero;
	struct become become;   /* LAUNCH_START */
};

/* The file that says what to start, read only by who has become the user: this, then that many strings, each ended by NUL, argv first. */
struct launch_plan {
	uint32_t magic, args, variables;
};

struct launch_answer {
	int32_t pid;            /* LAUNCH_START: a child of the daemon; it has been started also where error is set, and must be reaped; -1: none */
	int32_t error;          /* errno; 0: done */
};

#endif

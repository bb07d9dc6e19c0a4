/* What a worker host is made into between fork and exec: its descriptors, and what exec would let it inherit.
 *
 * The daemon does it in a child that shares its memory (vfork), the launcher in one that has just become another user; so it calls
 * nothing but system calls. */
#ifndef FUTURED_LAUNCH_BECOME_H
#define FUTURED_LAUNCH_BECOME_H

#include <stdbool.h>
#include <stdint.h>

enum { BECOME_LIMITS = 8, BECOME_FILES = 1024 };

/* Without pointers, so that it can be sent as it is. */
struct become {
	uint32_t fds;          /* how many descriptors become 3, 4, … */
	uint32_t umask;
	uint32_t nice;         /* added to the parent's */
	uint32_t no_new_privs;
	uint32_t files;        /* soft limit of descriptors, unless a limit says otherwise */
	uint32_t limits;
	struct become_limit {
		uint32_t resource; /* RLIMIT_… */
		uint32_t zero;
		uint64_t value;    /* soft and hard */
	} limit[BECOME_LIMITS];
};

/* Where the descriptors are now; all are left as they are, but `fd` is written over. */
struct become_fds {
	int *fd;               /* b->fds of them */
	int out, err;          /* become 1 and 2 */
	int program;           /* is left as the one behind those, close-on-exec, for execveat; -1: none */
};

/* The first step, while we are still who we were: joins the cgroup whose cgroup.procs this is (-1: none). False with errno. */
bool become_joined(int cgroup);
/* 0, or errno of what failed: then the caller exits. No descriptor is left but 0 (/dev/null), 1, 2 and those from 3 on. */
int become(const struct become *b, const struct become_fds *f);

#endif

/* The cgroup that a command host's tasks run in, one after the other: its files, opened by the daemon, which need no right of ours to be
 * written. Where there is none, everything here does nothing and says so. */
#ifndef FUTURED_WORKER_BOX_H
#define FUTURED_WORKER_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/worker.h"
#include "worker/process.h"

struct box {
	int fd[WORKER_BOX_FDS]; /* -1: not there */
	bool set[WORKER_BOX_FDS]; /* to something else than "max", for the task that runs */
	bool was_killed;
};

/* Takes the descriptors that FUTURED_BOX_FD names. */
void box_open(struct box *b);
/* Kills all processes in it at once, whatever they are about to do. False: there is none. */
bool box_kill(struct box *b);
/* The directory to start tasks in, -1 where they have to join: Linux 6.18 was seen to kill whatever starts in a cgroup that was killed once. */
int box_dir(const struct box *b);
/* How many processes in it the kernel has killed because memory ran out. False: it does not count that. */
bool box_oom_kills(const struct box *b, uint64_t *count);
/* Takes from the plan the limits that it can hold, and those that nobody can, and sets the former. False, with *why as errno and the name of the
 * limit, if it cannot. */
bool box_limit(struct box *b, struct process_plan *plan, const char **name, int *error);
/* The task is over: nothing is limited. */
void box_unlimit(struct box *b);

#endif

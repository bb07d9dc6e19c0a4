/* A box: the cgroup that a worker host lives in, with its tasks, within the pool's limits.
 *
 *     futured-MARK/          named in the lock file
 *       N/                   the pool's limits; nobody can change them but the daemon
 *         host               the worker host
 *         task               command pools: the task that runs, within limits of its own; emptied after each
 *
 * Boxes are made once and used again. Where the daemon may not make cgroups there are none, which one line of the log says: then
 * limits are resource limits, and what a task leaves is killed process by process. */
#ifndef FUTURED_DAEMON_BOX_H
#define FUTURED_DAEMON_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "proto/worker.h"

struct box;

/* Finds out what can be had in the cgroup of this daemon (NULL: none), and says so in the log. */
void box_start(const char *cgroup);
/* Whether this limit is held by boxes, for all processes of a task together. */
bool box_holds(enum config_limit which);
/* One for a host of such a pool; NULL, with a sentence, if there are boxes but none can be made; NULL and "" if there are none. */
struct box *box_take(const struct config_pool *c, char *why, size_t why_size);
/* Kills what is left in it; it is used again once it is empty. NULL is allowed. */
void box_give_back(struct box *b);
/* Other limits, from now on. */
void box_set_limits(struct box *b, const struct config_pool *c);
/* Kills all that is in it, the host too. False if that cannot be done. */
bool box_kill(struct box *b);
/* How many processes in it the kernel has killed because memory ran out; false if it does not count that. */
bool box_oom_kills(const struct box *b, uint64_t *count);
/* cgroup.procs of what the host joins. */
int box_procs(const struct box *b);
/* The descriptors of its `task` for a command host, -1 where there is no such file; borrowed. */
const int *box_task_fds(const struct box *b);
/* The host has been started: what only it needs is closed here. NULL is allowed. */
void box_passed_on(struct box *b);

#endif

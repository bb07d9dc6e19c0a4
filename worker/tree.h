/* All descendants of this process: those a task made, wherever they have gone.
 *
 * A process group or a session misses whoever left it, and an environment can be cleared. But a descendant cannot leave its
 * ancestor when that is a subreaper: what its parent leaves behind becomes ours. So the tree is walked from the kernel's lists
 * of children. One thread, and nobody else in the process may have children. */
#ifndef FUTURED_WORKER_TREE_H
#define FUTURED_WORKER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes this process the subreaper of what it will start. False, with a sentence in why, where the kernel cannot do that or
 * does not list children. */
bool tree_init(char *why, size_t why_size);

/* Sends the signals, in order, once to each descendant that is there now. second: 0 for none. */
void tree_signal(int first, int second);
/* One round of KILL to every descendant: whole process groups first, so that one that forks without end cannot outrun us. */
void tree_kill(void);
/* KILL and reap, round by round, until no child is left, or until_us (CLOCK_MONOTONIC) has come: then false, and *pid is
 * one that would not end. SIGCHLD must be blocked. */
bool tree_end(uint64_t until_us, pid_t *pid);

#endif

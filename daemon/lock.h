/* One daemon per socket and store, and nothing of an earlier one beside it.
 *
 * The lock is a flock on a file that every host inherits. A new daemon runs nothing until it holds it: until the last host of the
 * old one, and with it that host's tasks, is gone; after ten seconds it kills the hosts that the file names. If daemon and hosts died together,
 * what their tasks left is found by the cgroup they ran in, else by a mark in their environment. */
#ifndef FUTURED_DAEMON_LOCK_H
#define FUTURED_DAEMON_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LOCK_MARK "FUTURED_MARK"

/* Takes the lock on this file (made if need be), waiting for the hosts of an earlier daemon to end, and ends what else it left. False, with
 * a sentence: another daemon has it, or it cannot be had. `cgroup` is where a cgroup for hosts is made, as the configuration has it. Blocks; for
 * start-up. */
bool lock_take(const char *path, const char *cgroup, char *why, size_t why_size);
void lock_release(void);
/* -1 before lock_take. */
int lock_fd(void);
/* What stands for this lock in the environment of what we start. */
const char *lock_mark(void);
/* A host was started: its pid goes into the file. */
void lock_note_host(pid_t pid);
/* It has been reaped: its line goes, in time. */
void lock_forget_host(pid_t pid);
/* The cgroup in which hosts and their tasks are to be; NULL where there is none to be had. */
const char *lock_cgroup(void);
/* Kills what is left in the cgroup, for a clean end. */
void lock_empty_cgroup(void);

#endif

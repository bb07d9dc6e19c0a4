/* Child processes: reaping those we started, and ending those we did not.
 *
 * The daemon is a subreaper. A process that it did not start becomes its child only when a host died and left it: it is killed. */
#ifndef FUTURED_DAEMON_CHILD_H
#define FUTURED_DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct launch;

struct child {
	pid_t pid;
	int pidfd; /* -1: none */
	/* It was reaped; the pid is nobody's now. */
	void (*on_exit)(struct child *c, int wait_status);
	int identity;     /* of the launcher's list, if it is not our own user's; else -1 */
	bool helper;      /* not a host: lives as long as we do */
	struct child *next, *prev;
};

/* Installs the SIGCHLD handler and becomes a subreaper. */
bool child_init(void);
void child_shutdown(void);
/* Starts what `l` says with its descriptors fds[0], … as 3, 4, … and `err` as 2; 0 is /dev/null, 1 our own 2. False with errno. Uses
 * vfork: the daemon's memory is never copied. */
bool child_spawn(struct child *c, const struct launch *l, const int *fds, int err);
/* Signals it, by pidfd where there is one; nothing happens when it has been reaped. */
void child_kill(struct child *c, int sig);
/* Looks for children that we did not start and kills them, until there are none. Returns at once: it goes on as they die. */
void child_kill_strays(void);
/* Whether any that we started is not reaped yet. */
bool child_any(void);
/* Whether any stray was alive when last looked. */
bool child_has_strays(void);

#endif

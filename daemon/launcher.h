/* Our end of the launcher, the program that may become other users (launch/order.h). What it does is done when these return. */
#ifndef FUTURED_DAEMON_LAUNCHER_H
#define FUTURED_DAEMON_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config_pool;
struct launch;
struct launch_list;

/* Whether this daemon was started with what the launcher needs; else a sentence about the pool's user. */
bool launcher_may_be(const struct config_pool *c, char *why, size_t why_size);
/* Starts it, and gives up what it has and we need no more. */
bool launcher_start(const struct launch_list *list, char *why, size_t why_size);
void launcher_stop(void);
/* As child_spawn, as one of the list; the new process is our child. -1 with errno. */
pid_t launcher_spawn(const struct launch *l, const int *fds, int err);
/* As one of the list sends a signal. False with errno. */
bool launcher_signal(int place, int pidfd, int sig);

#endif

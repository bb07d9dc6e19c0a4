/* What a host is started with: its program, its environment, its first message. And the base environment of command tasks. */
#ifndef FUTURED_DAEMON_LAUNCH_H
#define FUTURED_DAEMON_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "launch/become.h"
#include "proto/buf.h"

struct box;
struct pool;

struct launch {
	char **argv; /* argv[0] is a path */
	char **env;
	struct become become;
	int cgroup; /* cgroup.procs of what it joins; -1: none */
};

/* False without memory. launch_clear frees it. */
bool launch_prepare(const struct pool *p, unsigned slots, const struct box *box, struct launch *out);
void launch_clear(struct launch *l);
/* The map of the hello message. rings: where they begin in the descriptor of the boards. */
void launch_pack_hello(const struct pool *p, unsigned slots, uint64_t rings, struct buf *b);
/* The kernel's count of processes it killed because memory ran out; 0 if unknown. */
uint64_t launch_oom_kills(void);
/* The environment that every command task gets before the pool's and its own: PATH, HOME, USER, LOGNAME, SHELL, LANG, and
 * the mark by which a later daemon knows what this one left behind. NULL-terminated, made once. */
char *const *launch_base_env(void);

#endif

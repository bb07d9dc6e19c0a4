/* What a host is started with: its program, its environment, its first message. */
#ifndef FUTURED_DAEMON_LAUNCH_H
#define FUTURED_DAEMON_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launch/become.h"
#include "proto/buf.h"

struct box;
struct pool;

struct launch {
	char **argv; /* argv[0] is a path */
	char **env;
	struct become become;
	int cgroup;   /* cgroup.procs of what it joins; -1: none */
	int program;  /* what is executed instead of argv[0], borrowed; -1: argv[0] */
	int identity; /* its place in the launcher's list; -1: our own user */
};

/* False without memory. launch_clear frees it. */
bool launch_prepare(const struct pool *p, unsigned slots, const struct box *box, struct launch *out);
void launch_clear(struct launch *l);
/* The map of the hello message. rings: where they begin in the descriptor of the boards. */
void launch_pack_hello(const struct pool *p, unsigned slots, uint64_t rings, struct buf *b);
/* The kernel's count of processes it killed because memory ran out; 0 if unknown. */
uint64_t launch_oom_kills(void);
/* A copy of futured-worker that nobody may read, and so nobody may look into when it runs; -1: there can be none. The program is the same for all. */
int launch_sealed_worker(void);
/* It could not be executed: it is not used again. */
void launch_forget_sealed_worker(void);
/* One of our programs that is not for people, beside us in the build tree or where it is installed; if it is nowhere, where it was looked for first. */
bool launch_find(const char *name, char *path, size_t size);

#endif

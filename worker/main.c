/* futured-worker: the program that runs tasks. The kind of its pool, which the hello names, says what runs them. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "worker/command.h"
#include "worker/host.h"
#include "worker/lua.h"
#include "worker/native.h"

struct runtime {
	const char *kind;
	int (*run)(struct host *h);
};

static const struct runtime runtimes[] = {
	{ "command", command_run },
	{ "process", native_serve },
	{ "thread", native_serve },
	{ "interpreter", lua_serve },
};

/* What tasks and messages need for a moment goes back when it is freed, blocks of more than this at once; else malloc would raise its bounds with
 * every large block that it sees, and keep them. */
enum { MMAP_THRESHOLD = 4 << 20, TRIM_THRESHOLD = 16 << 20 };

int
main(void)
{
	size_t i, count = sizeof runtimes / sizeof runtimes[0];
	struct host host;
	int status = 1;

	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
	prctl(PR_SET_NAME, "futured-worker", 0L, 0L, 0L); /* one that is executed by descriptor has a number for a name */
	if (host_open(&host)) {
		for (i = 0; i < count && strcmp(runtimes[i].kind, host.kind) != 0; i++)
			;
		if (i < count)
			status = runtimes[i].run(&host);
		else
			host_failed(&host, "ValueError", "futured-worker cannot serve a pool of kind '%s'", host.kind);
	}
	host_close(&host);
	return status;
}

#include "worker/box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERIOD_US = 100000, EVENTS_SIZE = 512, LEAST_QUOTA_US = 1000 };

/* A place is kept by /dev/null where the kernel has no such file. */
static int
take(int fd)
{
	struct stat st;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	if (fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode))
		return fd;
	close(fd);
	return -1;
}

void
box_open(struct box *b)
{
	const char *text = getenv("FUTURED_BOX_FD");
	long first = text != NULL ? strtol(text, NULL, 10) : -1;

	memset(b, 0, sizeof *b);
	for (int i = 0; i < WORKER_BOX_FDS; i++)
		b->fd[i] = first > WORKER_SLOT_FD ? take((int)first + i) : -1;
}

static bool
put(const struct box *b, enum worker_box which, const char *text)
{
	return pwrite(b->fd[which], text, strlen(text), 0) >= 0;
}

bool
box_kill(struct box *b)
{
	b->was_killed = true;
	return b->fd[WORKER_BOX_KILL] >= 0 && put(b, WORKER_BOX_KILL, "1");
}

bool
box_oom_kills(const struct box *b, uint64_t *count)
{
	char text[EVENTS_SIZE];
	const char *line;
	ssize_t got;

	if (b->fd[WORKER_BOX_EVENTS] < 0)
		return false;
	got = pread(b->fd[WORKER_BOX_EVENTS], text, sizeof text - 1, 0);
	if (got < 0)
		return false;
	text[got] = '\0';
	line = strstr(text, "oom_kill ");
	*count = line != NULL ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
	return true;
}

int
box_dir(const struct box *b)
{
	return b->was_killed ? -1 : b->fd[WORKER_BOX_DIR];
}

static bool
set(struct box *b, enum worker_box which, const char *text)
{
	if (b->fd[which] < 0)
		return false;
	b->set[which] = true;
	return put(b, which, text);
}

/* Whether it was for the box. */
static bool
take_limit(struct box *b, const struct process_limit *l, bool *good)
{
	unsigned long long value = l->value.rlim_max;
	char text[64];

	snprintf(text, sizeof text, "%llu", value);
	switch (l->resource) {
	case RLIMIT_AS:
		if (b->fd[WORKER_BOX_MEMORY] < 0)
			return false;
		*good = set(b, WORKER_BOX_MEMORY, text);
		set(b, WORKER_BOX_SWAP, "0"); /* there is none where the kernel does not count it */
		return true;
	case RLIMIT_NPROC:
		if (b->fd[WORKER_BOX_PIDS] < 0)
			return false;
		*good = set(b, WORKER_BOX_PIDS, text);
		return true;
	case PROCESS_LIMIT_CPUS:
		value /= 1000000 / PERIOD_US;
		snprintf(text, sizeof text, "%llu %d", value < LEAST_QUOTA_US ? LEAST_QUOTA_US : value, PERIOD_US);
		if (b->fd[WORKER_BOX_CPU] >= 0)
			*good = set(b, WORKER_BOX_CPU, text);
		return true;
	default:
		return false;
	}
}

bool
box_limit(struct box *b, struct process_plan *plan, const char **name, int *error)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->limit_count; i++) {
		bool good = true;
		if (!take_limit(b, &plan->limit[i], &good)) {
			plan->limit[kept++] = plan->limit[i];
		} else if (!good) {
			*name = plan->limit[i].name;
			*error = errno;
			return false;
		}
	}
	plan->limit_count = kept;
	return true;
}

void
box_unlimit(struct box *b)
{
	static const enum worker_box limits[] = { WORKER_BOX_MEMORY, WORKER_BOX_SWAP, WORKER_BOX_PIDS, WORKER_BOX_CPU };

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		if (b->set[limits[i]])
			put(b, limits[i], "max");
		b->set[limits[i]] = false;
	}
}

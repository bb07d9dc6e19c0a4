/* Numbers are dealt from 0 up; a box that was given back is taken again as soon as the kernel says that nobody is in it. */
#include "daemon/box.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/cgroup.h"
#include "daemon/fault.h"
#include "daemon/log.h"

enum { PERIOD_US = 100000, EVENTS_SIZE = 512 };

struct box {
	unsigned number;
	int dir;
	int procs;                  /* of `host` */
	int task[WORKER_BOX_FDS];
	bool for_command;
	struct box *next;           /* of those given back */
};

static int top = -1; /* futured-MARK; -1: no boxes */
static unsigned made;
static struct box *given_back;
static bool holds[CONFIG_LIMITS];

/* What each limit needs. */
static const struct {
	enum config_limit limit;
	const char *controller;
} needs[] = {
	{ CONFIG_LIMIT_MEMORY, "memory" },
	{ CONFIG_LIMIT_PROCESSES, "pids" },
	{ CONFIG_LIMIT_CPUS, "cpu" },
};

bool
box_holds(enum config_limit which)
{
	return holds[which];
}

/* ---- starting ---- */

static bool
is_enabled(int dir, const char *controller)
{
	char text[1024];
	return cgroup_read(dir, "cgroup.subtree_control", text, sizeof text) && cgroup_lists(text, controller);
}

static void
enable(int dir, const char *controller)
{
	char text[1024];

	if (is_enabled(dir, controller) || !cgroup_read(dir, "cgroup.controllers", text, sizeof text) || !cgroup_lists(text, controller))
		return;
	snprintf(text, sizeof text, "+%s", controller);
	cgroup_write(dir, "cgroup.subtree_control", text);
}

/* Whether no process is in it but ourselves (where `with_us`); what other programs are there is not ours to move. */
static bool
is_ours_alone(int dir, bool with_us)
{
	char text[256];
	long pid;
	int at = 0, n;

	if (!cgroup_read(dir, "cgroup.procs", text, sizeof text))
		return false;
	for (; sscanf(text + at, "%ld%n", &pid, &n) == 1; at += n)
		if (!with_us || pid != (long)getpid())
			return false;
	return true;
}

static void
enable_all(int dir)
{
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		enable(dir, needs[i].controller);
}

/* A cgroup whose children have controllers may hold no process itself, but for the root. So where we are in the cgroup above the boxes, alone, we
 * step aside into one beside them. Where others are there too nothing is enabled: some controllers could be, but then the kernel lets no
 * process into the cgroups below. */
static void
enable_above(int above, const char *cgroup)
{
	char name[300], pid[16];

	if (faccessat(above, "cgroup.type", F_OK, 0) || is_ours_alone(above, false)) {
		enable_all(above);
		return;
	}
	snprintf(name, sizeof name, "%.250s.daemon", strrchr(cgroup, '/') + 1);
	if (!is_ours_alone(above, true) || (mkdirat(above, name, 0755) && errno != EEXIST))
		return;
	int aside = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	if (aside >= 0 && cgroup_write(aside, "cgroup.procs", pid) && is_ours_alone(above, false))
		enable_all(above);
	if (aside >= 0)
		close(aside);
}

/* In a thread root, which somebody else made of the cgroup above, no process can be put. */
static bool
is_usable(int dir)
{
	char text[64];

	if (faccessat(dir, "cgroup.kill", W_OK, 0)) /* a kernel before 5.14 */
		return false;
	return !cgroup_read(dir, "cgroup.type", text, sizeof text) || !strstr(text, "invalid");
}

static void
say_what_holds(const char *cgroup)
{
	log_info("box", "tasks are in cgroups in %s: memory %s, processes %s, cpus %s", cgroup, holds[CONFIG_LIMIT_MEMORY] ? "is held" : "is not",
	    holds[CONFIG_LIMIT_PROCESSES] ? "are held" : "are not", holds[CONFIG_LIMIT_CPUS] ? "are held" : "are not");
}

void
box_start(const char *cgroup)
{
	int above = -1;

	top = cgroup ? open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (top >= 0 && (above = openat(top, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		enable_above(above, cgroup);
		close(above);
	}
	if (top >= 0 && !is_usable(top)) {
		close(top);
		top = -1;
	}
	if (top < 0) {
		log_info("box", "no cgroup of our own: limits are those of each process, and what a task leaves is killed process by process");
		return;
	}
	enable_all(top);
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		holds[needs[i].limit] = is_enabled(top, needs[i].controller);
	say_what_holds(cgroup);
}

/* ---- limits ---- */

static void
write_number(int dir, const char *file, uint64_t value)
{
	char text[32] = "max";

	if (value != CONFIG_NO_LIMIT)
		snprintf(text, sizeof text, "%" PRIu64, value);
	if (!cgroup_write(dir, file, text) && errno != ENOENT)
		log_warn("box", "%s: %s: %s", file, text, strerror(errno));
}

void
box_set_limits(struct box *b, const struct config_pool *c)
{
	uint64_t processes = c->limit[CONFIG_LIMIT_PROCESSES], cpus = c->limit[CONFIG_LIMIT_CPUS];
	char text[64] = "max 100000";

	if (!b)
		return;
	if (holds[CONFIG_LIMIT_MEMORY]) {
		write_number(b->dir, "memory.max", c->limit[CONFIG_LIMIT_MEMORY]);
		write_number(b->dir, "memory.swap.max", c->limit[CONFIG_LIMIT_MEMORY] == CONFIG_NO_LIMIT ? CONFIG_NO_LIMIT : 0);
		/* All or nothing: a worker, or a task, of which a part was killed is no use. A command's host lives on. */
		write_number(b->dir, "memory.oom.group", !b->for_command);
	}
	if (holds[CONFIG_LIMIT_PROCESSES] && processes != CONFIG_NO_LIMIT && b->for_command)
		processes++; /* the host */
	if (holds[CONFIG_LIMIT_PROCESSES])
		write_number(b->dir, "pids.max", processes);
	if (cpus != CONFIG_NO_LIMIT)
		snprintf(text, sizeof text, "%" PRIu64 " %d", cpus / (1000000 / PERIOD_US), PERIOD_US);
	if (holds[CONFIG_LIMIT_CPUS] && !cgroup_write(b->dir, "cpu.max", text))
		log_warn("box", "cpu.max: %s: %s", text, strerror(errno));
}

/* ---- taking and giving back ---- */

static int
make_below(int dir, const char *name)
{
	if (mkdirat(dir, name, 0755) && errno != EEXIST)
		return -1;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
close_inner(struct box *b)
{
	for (unsigned i = 0; i < WORKER_BOX_FDS; i++) {
		if (b->task[i] >= 0)
			close(b->task[i]);
		b->task[i] = -1;
	}
	if (b->procs >= 0)
		close(b->procs);
	b->procs = -1;
}

static void
box_free(struct box *b)
{
	if (!b)
		return;
	close_inner(b);
	if (b->dir >= 0)
		close(b->dir);
	free(b);
}

static bool
make_host(struct box *b)
{
	int host = make_below(b->dir, "host");

	if (host < 0)
		return false;
	b->procs = openat(host, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	close(host);
	return b->procs >= 0;
}

/* The files of `task`, in the order of enum worker_box. */
static bool
make_task(struct box *b)
{
	static const struct {
		const char *name;
		int flags;
	} file[WORKER_BOX_FDS] = {
		[WORKER_BOX_DIR] = { ".", O_RDONLY | O_DIRECTORY },
		[WORKER_BOX_PROCS] = { "cgroup.procs", O_WRONLY },
		[WORKER_BOX_KILL] = { "cgroup.kill", O_WRONLY },
		[WORKER_BOX_EVENTS] = { "memory.events", O_RDONLY },
		[WORKER_BOX_MEMORY] = { "memory.max", O_WRONLY },
		[WORKER_BOX_SWAP] = { "memory.swap.max", O_WRONLY },
		[WORKER_BOX_PIDS] = { "pids.max", O_WRONLY },
		[WORKER_BOX_CPU] = { "cpu.max", O_WRONLY },
	};

	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if (holds[needs[i].limit])
			enable(b->dir, needs[i].controller);
	int task = make_below(b->dir, "task");
	for (unsigned i = 0; task >= 0 && i < WORKER_BOX_FDS; i++)
		if (b->task[i] < 0)
			b->task[i] = openat(task, file[i].name, file[i].flags | O_CLOEXEC);
	if (task >= 0 && holds[CONFIG_LIMIT_MEMORY])
		write_number(task, "memory.oom.group", 1);
	if (task >= 0)
		close(task);
	return b->task[WORKER_BOX_DIR] >= 0 && b->task[WORKER_BOX_PROCS] >= 0 && b->task[WORKER_BOX_KILL] >= 0;
}

/* The kernel says "populated 0" once the last zombie has been reaped. */
static bool
is_empty(const struct box *b)
{
	char text[EVENTS_SIZE];
	return !cgroup_read(b->dir, "cgroup.events", text, sizeof text) || cgroup_count(text, "populated") == 0;
}

/* What is inside is made anew: counters begin at 0, and nothing is charged to it. */
static struct box *
take_used(void)
{
	struct box *b;

	LL_FOREACH(given_back, b)
		if (is_empty(b))
			break;
	if (!b)
		return NULL;
	LL_DELETE(given_back, b);
	close_inner(b);
	unlinkat(b->dir, "task", AT_REMOVEDIR);
	unlinkat(b->dir, "host", AT_REMOVEDIR);
	if (make_host(b))
		return b;
	box_free(b); /* its number is not dealt again */
	return NULL;
}

static struct box *
make(void)
{
	struct box *b = calloc(1, sizeof *b);
	char name[16];

	if (!b)
		return NULL;
	b->procs = -1;
	for (unsigned i = 0; i < WORKER_BOX_FDS; i++)
		b->task[i] = -1;
	b->number = made++;
	snprintf(name, sizeof name, "%u", b->number);
	b->dir = make_below(top, name);
	if (b->dir >= 0 && make_host(b))
		return b;
	int saved = errno;
	box_free(b);
	errno = saved;
	return NULL;
}

struct box *
box_take(const struct config_pool *c, char *why, size_t size)
{
	*why = '\0';
	if (top < 0)
		return NULL;
	struct box *b = take_used();
	if (!b)
		b = make();
	if (b)
		b->for_command = c->kind == CONFIG_COMMAND;
	if (!b || (b->for_command && !make_task(b))) {
		snprintf(why, size, "its cgroup cannot be made: %s", strerror(errno));
		box_free(b);
		return NULL;
	}
	box_set_limits(b, c);
	return b;
}

void
box_give_back(struct box *b)
{
	if (!b)
		return;
	box_kill(b);
	LL_PREPEND(given_back, b);
}

bool
box_kill(struct box *b)
{
	return b && !FAULT(strays_spared) && cgroup_write(b->dir, "cgroup.kill", "1");
}

bool
box_oom_kills(const struct box *b, uint64_t *count)
{
	char text[EVENTS_SIZE];

	if (!b || !holds[CONFIG_LIMIT_MEMORY] || !cgroup_read(b->dir, "memory.events", text, sizeof text))
		return false;
	*count = cgroup_count(text, "oom_kill");
	return true;
}

void
box_passed_on(struct box *b)
{
	if (b)
		close_inner(b);
}

int
box_procs(const struct box *b)
{
	return b->procs;
}

const int *
box_task_fds(const struct box *b)
{
	return b->task;
}

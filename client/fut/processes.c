/* What processes of this machine use. */
#include "client/fut/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/fut.h"

struct process {
	int64_t pid, parent;
	double cpu, memory;
};

struct processes {
	struct process *all; /* by parent */
	size_t count, cap;
	double tick, page;
};

struct processes *
processes_new(void)
{
	struct processes *p = need(calloc(1, sizeof *p));

	p->tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	p->page = (double)sysconf(_SC_PAGESIZE);
	return p;
}

void
processes_free(struct processes *p)
{
	if (p != NULL)
		free(p->all);
	free(p);
}

/* The name in parentheses may hold anything, so the fields are counted from the last one that closes. */
static bool
read_stat(const struct processes *p, const char *name, struct process *out)
{
	unsigned long long utime, stime;
	long long cutime, cstime, rss;
	char path[300], text[1024], *at;
	int parent, fd;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/stat", name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	if ((at = strrchr(text, ')')) == NULL ||
	    sscanf(at + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d %*u %*u %lld", &parent, &utime,
		    &stime, &cutime, &cstime, &rss) != 6)
		return false;
	out->pid = atoll(name);
	out->parent = parent;
	out->cpu = ((double)utime + (double)stime + (double)cutime + (double)cstime) * p->tick;
	out->memory = (double)rss * p->page;
	return true;
}

static int
by_parent(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return x->parent < y->parent ? -1 : x->parent > y->parent;
}

void
processes_read(struct processes *p)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	p->count = 0;
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)*d->d_name))
			continue;
		if (p->count == p->cap)
			p->all = need(realloc(p->all, (p->cap = p->cap == 0 ? 256 : p->cap * 2) * sizeof *p->all));
		p->count += read_stat(p, d->d_name, &p->all[p->count]);
	}
	if (dir != NULL)
		closedir(dir);
	if (p->count > 0)
		qsort(p->all, p->count, sizeof *p->all, by_parent);
}

static const struct process *
find(const struct processes *p, int64_t pid)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->all[i].pid == pid)
			return &p->all[i];
	return NULL;
}

bool
processes_has(const struct processes *p, int64_t pid)
{
	return pid > 0 && find(p, pid) != NULL;
}

int64_t
processes_first_child(const struct processes *p, int64_t pid)
{
	int64_t first = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->all[i].parent == pid && (first == 0 || p->all[i].pid < first))
			first = p->all[i].pid;
	return first;
}

static void
add_children(const struct processes *p, int64_t pid, struct usage *u, int depth)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->all[middle].parent < pid)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < p->count && p->all[low].parent == pid; low++) {
		u->cpu += p->all[low].cpu;
		u->memory += p->all[low].memory;
		u->count++;
		if (depth < 64 && u->count < 100000)
			add_children(p, p->all[low].pid, u, depth + 1);
	}
}

struct usage
processes_usage(const struct processes *p, int64_t pid, bool below)
{
	const struct process *self = find(p, pid);
	struct usage u = { 0 };

	if (self == NULL)
		return u;
	if (!below)
		u = (struct usage){ self->cpu, self->memory, 1 };
	add_children(p, pid, &u, 0);
	return u;
}

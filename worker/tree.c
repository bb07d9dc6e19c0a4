/* KILL: each process is signalled before its own children are listed. One that has a KILL pending cannot fork any more, so what
 * is listed after it is all it will ever have. Children whose parent dies meanwhile come to us and are found in the next round.
 *
 * Other signals are sent once, so there is no next round: everybody is listed first, then signalled, ancestors before their
 * descendants. A shell that sees its command die of TERM before it has TERM itself would go on to the next command. Who is made
 * after the listing is left alone: it may be what a handler of TERM has started to clean up.
 *
 * A number from a list may belong to somebody else by the time it is used. So the process is held by a pidfd first, then asked
 * who it is: only if its parent is the one whose list it was in, or ourselves, or later if it began when it did when it was
 * listed, is it signalled, through the pidfd.
 *
 * A process group is killed by its number only for direct children: as long as we have not reaped them, their group cannot be
 * given to others. No group of ours can be among them, since every task begins with setsid. */
#include "worker/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/buf.h"
#include "worker/host.h"

enum {
	READ_SIZE = 4096,
	WAIT_FIRST_MS = 1, /* between two rounds; doubled up to: */
	WAIT_LAST_MS = 64,
};

/* A process to visit, and in whose list it was. */
struct visit {
	pid_t pid;
	pid_t parent;
	unsigned long long start; /* once it was looked at; 0: it was gone, or somebody else */
};

/* What a process says of itself. */
struct self {
	pid_t parent;
	pid_t group;
	unsigned long long start;
};

/* What is still to be visited: an array of struct visit in a buf, used from `at` on. */
struct walk {
	struct buf queue;
	size_t at;
};

bool
tree_init(char *why, size_t why_size)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) < 0) {
		snprintf(why, why_size, "cannot become a subreaper: %s", strerror(errno));
		return false;
	}
	if (access("/proc/thread-self/children", R_OK) < 0) {
		snprintf(why, why_size, "/proc does not list the children of a process (%s): tasks could not be ended",
		         strerror(errno));
		return false;
	}
	return true;
}

/* Appends a file's bytes, ended by NUL; false if it is gone. */
static bool
read_file(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	if (fd < 0)
		return false;
	while (buf_reserve(b, READ_SIZE)) {
		got = read(fd, b->data + b->len, b->cap - b->len - 1);
		if (got <= 0)
			break;
		b->len += (size_t)got;
	}
	close(fd);
	if (got != 0)
		return false;
	b->data[b->len] = '\0';
	return true;
}

static bool
read_stat(pid_t pid, struct self *self)
{
	char path[64], text[1024];
	const char *after;
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	after = strrchr(text, ')'); /* the name before it may contain anything */
	return after != NULL &&
	       sscanf(after, ") %*c %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &self->parent,
	              &self->group, &self->start) == 3;
}

/* Queues the children of one thread. */
static void
list_thread(struct walk *w, pid_t pid, const char *thread)
{
	struct visit v = { .parent = pid };
	struct buf text;
	char path[320], *at, *end;

	snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
	buf_init(&text);
	if (read_file(path, &text)) {
		for (at = (char *)text.data; (v.pid = (pid_t)strtol(at, &end, 10)) > 0 && end != at; at = end)
			buf_append(&w->queue, &v, sizeof v);
	}
	buf_clear(&text);
}

/* Queues the children of a process: each thread has a list of those it made. */
static void
list_children(struct walk *w, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	threads = opendir(path);
	if (threads == NULL)
		return;
	while ((entry = readdir(threads)) != NULL)
		if (entry->d_name[0] != '.')
			list_thread(w, pid, entry->d_name);
	closedir(threads);
}

/* Whether it is still the process that was in the list. */
static bool
is_listed(const struct visit *v, struct self *self)
{
	return read_stat(v->pid, self) && (self->parent == v->parent || self->parent == getpid());
}

static void
walk_begin(struct walk *w)
{
	memset(w, 0, sizeof *w);
	buf_init(&w->queue);
	list_children(w, getpid());
}

static bool
walk_next(struct walk *w, struct visit *v)
{
	if (w->queue.failed || w->at >= w->queue.len)
		return false;
	memcpy(v, w->queue.data + w->at, sizeof *v);
	w->at += sizeof *v;
	return true;
}

static void
signal_visited(const struct visit *v, int first, int second)
{
	struct self self;
	int fd = v->start != 0 ? pidfd_open(v->pid, 0) : -1;

	if (fd < 0)
		return;
	if (read_stat(v->pid, &self) && self.start == v->start) {
		pidfd_send_signal(fd, first, NULL, 0);
		if (second != 0)
			pidfd_send_signal(fd, second, NULL, 0);
	}
	close(fd);
}

void
tree_signal(int first, int second)
{
	struct self self;
	struct visit v;
	struct walk w;

	for (walk_begin(&w); walk_next(&w, &v);) {
		if (!is_listed(&v, &self))
			continue;
		v.start = self.start;
		memcpy(w.queue.data + w.at - sizeof v, &v, sizeof v);
		list_children(&w, v.pid);
	}
	for (w.at = 0; walk_next(&w, &v);)
		signal_visited(&v, first, second);
	buf_clear(&w.queue);
}

void
tree_kill(void)
{
	struct self self;
	struct visit v;
	struct walk w;
	int fd;

	for (walk_begin(&w); walk_next(&w, &v);) {
		fd = pidfd_open(v.pid, 0);
		if (fd < 0)
			continue;
		if (is_listed(&v, &self)) {
			if (self.parent == getpid() && self.group > 1 && self.group != getpgrp())
				kill(-self.group, SIGKILL);
			pidfd_send_signal(fd, SIGKILL, NULL, 0);
			list_children(&w, v.pid);
		}
		close(fd);
	}
	buf_clear(&w.queue);
}

/* Any child that has not been reaped, for the report on what will not end. */
static pid_t
any_child(void)
{
	struct visit v = { 0 };
	struct walk w;

	walk_begin(&w);
	walk_next(&w, &v);
	buf_clear(&w.queue);
	return v.pid;
}

bool
tree_end(uint64_t until_us, pid_t *pid)
{
	struct timespec wait = { 0 };
	long wait_ms = WAIT_FIRST_MS;
	sigset_t child;
	pid_t reaped;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while ((reaped = waitpid(-1, NULL, WNOHANG)) > 0)
			wait_ms = WAIT_FIRST_MS;
		if (reaped < 0)
			return true;
		if (now_us() >= until_us) {
			*pid = any_child();
			return false;
		}
		tree_kill();
		wait.tv_nsec = wait_ms * 1000000;
		sigtimedwait(&child, NULL, &wait);
		if (wait_ms < WAIT_LAST_MS)
			wait_ms *= 2;
	}
}

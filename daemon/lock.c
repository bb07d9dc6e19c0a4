#include "daemon/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/fault.h"
#include "daemon/log.h"

enum { WAIT_SECONDS = 10, POLL_MS = 5, DAEMON_LINE = 64, HOST_LINE = 64, LINES_KEPT = 200 };

static int fd = -1; /* read only, since hosts have it too, of other users among them: what the file says is believed */
static int write_fd = -1;
static char mark[64], cgroup[1024], head[DAEMON_LINE + 1100]; /* the file's first lines */
/* The hosts that live, and how many lines of hosts the file has. */
static struct noted {
	pid_t pid;
	unsigned long long start;
} *noted;
static size_t noted_count, noted_size, lines;
static bool incomplete; /* there was no memory to note one: the file has all */

int
lock_fd(void)
{
	return FAULT(lock_writable) ? write_fd : fd;
}

const char *
lock_mark(void)
{
	return mark;
}

static void
pause_briefly(void)
{
	poll(NULL, 0, POLL_MS);
}

/* FNV-1a of the file's real path: the same for every daemon that uses it. */
static void
make_mark(const char *path)
{
	char *real = realpath(path, NULL);
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *c = real ? real : path; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	snprintf(mark, sizeof mark, "%016llx", (unsigned long long)hash);
	free(real);
}

/* ---- processes by pid and start time, so that a pid used again is never taken for the old one ---- */

static unsigned long long
start_time(pid_t pid)
{
	char path[64], text[1024], *after;
	unsigned long long start = 0;
	char state = 'X';
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!(f = fopen(path, "re")))
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	if ((after = strrchr(text, ')'))) /* field 22, counted from the state behind the name */
		sscanf(after + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state, &start);
	return state == 'Z' || state == 'X' ? 0 : start; /* dead, and only not reaped yet */
}

static int reopen(int file, int flags);

/* The file without those that have ended. It is written over from its beginning and then cut: whoever reads it if we die in between finds more than is
 * true, which is checked before it is believed, and never less. */
static void
write_anew(void)
{
	size_t size = strlen(head) + noted_count * HOST_LINE + 1, at = strlen(head);
	char *text = malloc(size);
	int file = text ? reopen(fd, 0) : -1;

	if (file >= 0) {
		memcpy(text, head, at);
		for (size_t i = 0; i < noted_count; i++)
			at += (size_t)snprintf(text + at, size - at, "host %d %llu\n", (int)noted[i].pid, noted[i].start);
		if (write(file, text, at) == (ssize_t)at && ftruncate(file, (off_t)at) == 0)
			lines = noted_count;
		close(file);
	}
	free(text);
}

static void
note(pid_t pid, unsigned long long start)
{
	if (noted_count == noted_size) {
		size_t size = noted_size ? noted_size * 2 : 64;
		struct noted *bigger = realloc(noted, size * sizeof *bigger);
		if (!bigger) {
			incomplete = true;
			return;
		}
		noted = bigger;
		noted_size = size;
	}
	noted[noted_count++] = (struct noted){ .pid = pid, .start = start };
}

void
lock_note_host(pid_t pid)
{
	unsigned long long start = start_time(pid);
	char line[HOST_LINE];
	int n = snprintf(line, sizeof line, "host %d %llu\n", (int)pid, start);

	if (write_fd < 0)
		return;
	note(pid, start);
	if (write(write_fd, line, (size_t)n) < 0)
		log_warn("lock", "cannot note host %d: %s", (int)pid, strerror(errno));
	if (++lines > LINES_KEPT + 2 * noted_count && !incomplete)
		write_anew();
}

void
lock_forget_host(pid_t pid)
{
	for (size_t i = 0; i < noted_count; i++) {
		if (noted[i].pid == pid) {
			noted[i] = noted[--noted_count];
			return;
		}
	}
}

static void
kill_noted(const char *text)
{
	int pid;
	unsigned long long start;

	for (const char *line = text; (line = strstr(line, "host ")); line++) {
		if (sscanf(line, "host %d %llu", &pid, &start) != 2 || pid <= 1 || start_time((pid_t)pid) != start || !start)
			continue;
		int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd >= 0 && start_time((pid_t)pid) == start) {
			log_warn("lock", "host %d of an earlier daemon did not end: it is killed", pid);
			syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		}
		if (pidfd >= 0)
			close(pidfd);
	}
}

static char *
read_file(void)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) || st.st_size > 16 * 1024 * 1024 || !(text = calloc(1, (size_t)st.st_size + 1)))
		return NULL;
	if (pread(fd, text, (size_t)st.st_size, 0) < 0)
		*text = '\0';
	return text;
}

/* ---- what the tasks of a dead daemon and its dead hosts left ---- */

static bool
has_mark(const char *pid)
{
	char path[300], *text, wanted[128];
	size_t size = 1024 * 1024, n, wanted_len;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	if (!(f = fopen(path, "re")))
		return false;
	wanted_len = (size_t)snprintf(wanted, sizeof wanted, LOCK_MARK "=%s", mark);
	if ((text = malloc(size))) {
		n = fread(text, 1, size, f);
		found = n >= wanted_len && memmem(text, n, wanted, wanted_len) != NULL;
	}
	free(text);
	fclose(f);
	return found;
}

/* By the mark in their environment. True if there were any. */
static bool
kill_marked(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool any = false;

	while (proc && (entry = readdir(proc))) {
		int pid = atoi(entry->d_name);
		if (pid <= 1 || pid == (int)getpid() || !has_mark(entry->d_name))
			continue;
		int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd >= 0 && has_mark(entry->d_name)) {
			if (!any)
				log_warn("lock", "process %d was left by an earlier daemon: killed", pid);
			any = true;
			syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		}
		if (pidfd >= 0)
			close(pidfd);
	}
	if (proc)
		closedir(proc);
	return any;
}

static void
end_cgroup(const char *text)
{
	char path[1024];
	const char *line = strstr(text, "cgroup ");

	if (line && sscanf(line, "cgroup %1000[^\n]", path) == 1)
		cgroup_end(path);
}

/* A host may have let go of the lock and live. */
static void
end_remains(const char *text)
{
	kill_noted(text);
	end_cgroup(text);
	for (int tries = 0; *text && tries < WAIT_SECONDS * 1000 / POLL_MS && kill_marked(); tries++)
		pause_briefly();
}

/* ---- a cgroup for our own hosts ---- */

static void
make_cgroup(const char *where)
{
	char base[2000];

	if (strcmp(where, "none") == 0)
		return;
	if (strcmp(where, "auto") != 0)
		snprintf(base, sizeof base, "%s", where);
	else if (!cgroup_own(base, sizeof base))
		return;
	if (strlen(base) > 900)
		return;
	snprintf(cgroup, sizeof cgroup, "%.900s/futured-%.60s", base, mark);
	if (mkdir(cgroup, 0755) && errno != EEXIST) {
		if (strcmp(where, "auto") != 0)
			log_warn("lock", "%s: %s", cgroup, strerror(errno));
		*cgroup = '\0';
	}
}

const char *
lock_cgroup(void)
{
	return *cgroup ? cgroup : NULL;
}

void
lock_empty_cgroup(void)
{
	if (*cgroup)
		cgroup_end(cgroup);
}

/* ---- the lock ---- */

static bool
daemon_lives(const char *text)
{
	int pid;
	unsigned long long start;

	return sscanf(text, "daemon %d %llu", &pid, &start) == 2 && start && start_time((pid_t)pid) == start;
}

/* Waits for hosts of a dead daemon; false if a living daemon has the lock. */
static bool
wait_for_lock(char *why, size_t size)
{
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		char *text = read_file();
		bool lives = text && daemon_lives(text);
		if (text && !lives && tries == WAIT_SECONDS * 1000 / POLL_MS) {
			kill_noted(text);
			end_cgroup(text); /* hosts of other users, whom we may not signal */
		}
		free(text);
		if (lives && tries > 0) {
			snprintf(why, size, "another daemon has it");
			return false;
		}
		if (tries > 2 * WAIT_SECONDS * 1000 / POLL_MS) {
			snprintf(why, size, "the workers of an earlier daemon do not end");
			return false;
		}
		pause_briefly();
	}
	return true;
}

static void
close_files(void)
{
	if (fd >= 0)
		close(fd);
	if (write_fd >= 0)
		close(write_fd);
	fd = write_fd = -1;
}

/* The same file, to write. */
static int
reopen(int file, int flags)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	return open(path, O_WRONLY | O_CLOEXEC | flags);
}

bool
lock_take(const char *path, const char *where, char *why, size_t size)
{
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || (write_fd = reopen(fd, O_APPEND)) < 0) {
		snprintf(why, size, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	make_mark(path);
	if (!wait_for_lock(why, size)) {
		close_files();
		return false;
	}
	char *text = read_file();
	if (text && daemon_lives(text)) { /* it is there, and a host of its has let go of the lock */
		snprintf(why, size, "another daemon has it");
		free(text);
		close_files();
		return false;
	}
	if (text)
		end_remains(text);
	free(text);
	make_cgroup(where);
	int n = snprintf(head, sizeof head, "daemon %d %llu\n%s%s%s", (int)getpid(), start_time(getpid()), *cgroup ? "cgroup " : "", cgroup, *cgroup ? "\n" : "");
	if (ftruncate(write_fd, 0) || write(write_fd, head, (size_t)n) != n) {
		snprintf(why, size, "cannot write %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

void
lock_release(void)
{
	if (fd < 0)
		return;
	if (ftruncate(write_fd, 0)) /* nothing of ours is left: the next one need not look */
		log_warn("lock", "cannot empty the lock file: %s", strerror(errno));
	if (*cgroup)
		rmdir(cgroup);
	close_files();
	free(noted);
	noted = NULL;
	noted_count = noted_size = lines = 0;
}

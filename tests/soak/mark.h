/* What a task of the soak does, as a program and as a C function: it leaves marks that an independent checker reads.
 *
 *	mark LEDGER WORD SLEEP_US FAIL_UNTIL SIZE STRAY
 *
 * "B id attempt WORD" is appended to the ledger when it begins, "E …" just before it ends well, "F …" before it fails, which it does while
 * its attempt is below FAIL_UNTIL. Meanwhile it holds a lock on byte `id` of LEDGER.lock: "O …" says that another copy of it was alive. What it
 * gives back is WORD repeated up to SIZE bytes. STRAY leaves a process behind that has a session of its own, ignores TERM and keeps the lock. */
#ifndef FUTURED_SOAK_MARK_H
#define FUTURED_SOAK_MARK_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct mark {
	const char *ledger, *word;
	uint64_t id;
	unsigned attempt;
	int64_t sleep_us, fail_until, size, stray;
};

static void
mark_write(const struct mark *m, const char *what)
{
	char line[256];
	int fd = open(m->ledger, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int n = snprintf(line, sizeof line, "%s %llu %u %.100s\n", what, (unsigned long long)m->id, m->attempt, m->word);

	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

static int
mark_lock(const struct mark *m)
{
	char path[4096];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)m->id, .l_len = 1 };

	snprintf(path, sizeof path, "%s.lock", m->ledger);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	if (fcntl(fd, F_OFD_SETLK, &lock))
		mark_write(m, "O");
	return fd;
}

static void
mark_leave_stray(void)
{
	if (fork() != 0)
		return;
	setsid();
	signal(SIGTERM, SIG_IGN);
	if (fork() != 0)
		_exit(0);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (;;)
		sleep(1000);
}

static void
mark_sleep(int64_t us)
{
	struct timespec left = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
	while (us && nanosleep(&left, &left))
		;
}

/* Whether it ended well; then *out is new, *size bytes. */
static bool
mark_run(const struct mark *m, char **out)
{
	size_t len = strlen(m->word), size = (size_t)m->size;
	int fd = mark_lock(m);

	mark_write(m, "B");
	if (m->stray)
		mark_leave_stray();
	mark_sleep(m->sleep_us);
	bool good = m->attempt >= m->fail_until;
	if (good) {
		*out = malloc(size + 1);
		if (!*out)
			abort();
		for (size_t i = 0; i < size; i++)
			(*out)[i] = m->word[i % len];
	}
	mark_write(m, good ? "E" : "F");
	close(fd);
	return good;
}

#endif

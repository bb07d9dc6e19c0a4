#include "launch/become.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FIRST = 3, SIGNALS = 64 };

/* First all go above where they may be in each other's way, then down to their places. */
static bool
place_descriptors(const struct become *b, const struct become_fds *f)
{
	int last = FIRST + (int)b->fds, above = last + 1;

	for (uint32_t i = 0; i < b->fds; i++)
		if ((f->fd[i] = fcntl(f->fd[i], F_DUPFD, above)) < 0)
			return false;
	int program = f->program >= 0 ? fcntl(f->program, F_DUPFD, above) : -1;
	int out = fcntl(f->out, F_DUPFD, above), err = fcntl(f->err, F_DUPFD, above), null = open("/dev/null", O_RDONLY);
	if (out < 0 || err < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		return false;
	for (uint32_t i = 0; i < b->fds; i++)
		if (dup2(f->fd[i], FIRST + (int)i) < 0)
			return false;
	if (f->program >= 0 && (program < 0 || dup3(program, last, O_CLOEXEC) < 0))
		return false;
	return syscall(SYS_close_range, (unsigned)(program >= 0 ? above : last), ~0U, 0) == 0;
}

/* Every signal at its default, those that libc keeps for itself too, and none blocked. */
static void
reset_signals(void)
{
	static const uint64_t unset[8]; /* the kernel's sigaction: SIG_DFL */
	uint64_t none = 0;

	for (int n = 1; n <= SIGNALS; n++)
		syscall(SYS_rt_sigaction, n, &unset, NULL, sizeof none);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* What a service manager may have given its daemon is not for others. Where it may not be changed, it stays. */
static void
reset_oom_score(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "0", 1) < 0)
		errno = 0;
	close(fd);
}

static bool
set_limits(const struct become *b)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > b->files) {
		files.rlim_cur = b->files; /* more breaks select() in programs */
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (uint32_t i = 0; i < b->limits && i < BECOME_LIMITS; i++) {
		struct rlimit now, l = { .rlim_cur = b->limit[i].value, .rlim_max = b->limit[i].value };
		if (getrlimit((__rlimit_resource_t)b->limit[i].resource, &now))
			return false;
		if (now.rlim_max < l.rlim_max)
			l.rlim_cur = l.rlim_max = now.rlim_max; /* less already */
		if (setrlimit((__rlimit_resource_t)b->limit[i].resource, &l))
			return false;
	}
	return true;
}

bool
become_joined(int cgroup)
{
	if (cgroup >= 0 && write(cgroup, "0", 1) < 0)
		return false;
	reset_oom_score();
	return true;
}

int
become(const struct become *b, const struct become_fds *f)
{
	if (!place_descriptors(b, f))
		return errno;
	setsid();
	umask((mode_t)b->umask);
	errno = 0;
	if (b->nice && nice((int)b->nice) == -1 && errno)
		return errno;
	if (!set_limits(b)) /* last: with few files allowed the descriptors could not be placed */
		return errno;
	if (b->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return errno;
	reset_signals();
	return 0;
}

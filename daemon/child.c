/* SIGCHLD ─► reap: each dead child is looked up; ours gets on_exit, any other was a stray. After a host's death, and after each stray's, the list of
 * our children is read again: what a stray leaves behind becomes ours next. */
#include "daemon/child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/fault.h"
#include "daemon/identity.h"
#include "daemon/launch.h"
#include "daemon/launcher.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/turn.h"
#include "launch/become.h"

static struct child *children;
static struct event *sigchld;
static bool strays;

static struct child *
find(pid_t pid)
{
	struct child *c;
	DL_SEARCH_SCALAR(children, c, pid, pid);
	return c;
}

static void
reap(void)
{
	int status;
	pid_t pid;
	bool stray_died = false;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = find(pid);
		if (!c) {
			stray_died = true;
			continue;
		}
		DL_DELETE(children, c);
		if (c->pidfd >= 0)
			close(c->pidfd);
		c->pidfd = -1;
		c->on_exit(c, status);
	}
	if (stray_died || strays)
		child_kill_strays();
}

static void
on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	reap();
}

bool
child_init(void)
{
	sigchld = evsignal_new(turn_base(), SIGCHLD, on_sigchld, NULL);
	return sigchld && event_add(sigchld, NULL) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

void
child_shutdown(void)
{
	if (sigchld)
		event_free(sigchld);
	sigchld = NULL;
}

void
child_kill(struct child *c, int sig)
{
	if (c->pidfd >= 0) {
		if (syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0) && errno == EPERM && c->identity >= 0 && !launcher_signal(c->identity, c->pidfd, sig))
			log_error("child", "process %d could not be sent signal %d: %s", (int)c->pid, sig, strerror(errno));
	} else if (c->pid > 0 && find(c->pid) == c)
		kill(c->pid, sig); /* not reaped yet, so the pid is still its own */
}

/* It has another user: one of the launcher's list, or it is in a box, and was killed with that. */
static void
kill_others(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	int place = stat(path, &st) ? -1 : identity_find_uid(st.st_uid), pidfd = place < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return;
	if (!launcher_signal(place, pidfd, SIGKILL))
		log_error("child", "process %d could not be killed: %s", (int)pid, strerror(errno));
	close(pidfd);
}

void
child_kill_strays(void)
{
	char path[64];
	long pid;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	FILE *f = fopen(path, "re");
	strays = false;
	if (!f)
		return;
	while (fscanf(f, "%ld", &pid) == 1) {
		if (find((pid_t)pid))
			continue;
		if (!strays)
			log_info("child", "process %ld was left behind by a host that died: killed", pid);
		strays = true;
		if (FAULT(strays_spared))
			continue;
		if (kill((pid_t)pid, SIGKILL) && errno == EPERM) /* an unreaped child of ours: the pid cannot be anybody else's */
			kill_others((pid_t)pid);
	}
	fclose(f);
}

bool
child_any(void)
{
	const struct child *c;

	DL_FOREACH(children, c)
		if (!c->helper)
			return true;
	return false;
}

bool
child_has_strays(void)
{
	return strays;
}

/* -1 with errno. */
static pid_t
spawn(const struct launch *l, const int *fds, int err)
{
	volatile int failed = 0;
	unsigned n = l->become.fds;
	int *mine = malloc(n * sizeof *mine);
	sigset_t all, before;

	if (!mine)
		return -1;
	for (unsigned i = 0; i < n; i++)
		mine[i] = fds[i];
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
	CRASH_POINT(before_spawn);
	pid_t pid = vfork();
	if (pid == 0) {
		const struct become_fds at = { .fd = mine, .out = STDERR_FILENO, .err = err, .program = -1 };
		failed = become_joined(l->cgroup) ? become(&l->become, &at) : errno;
		if (!failed) {
			execve(l->argv[0], l->argv, l->env);
			failed = errno;
		}
		_exit(127);
	}
	int fork_errno = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(mine);
	if (pid > 0 && !failed)
		return pid;
	errno = pid < 0 ? fork_errno : failed;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return -1;
}

bool
child_spawn(struct child *c, const struct launch *l, const int *fds, int err)
{
	pid_t pid = l->identity < 0 ? spawn(l, fds, err) : launcher_spawn(l, fds, err);

	if (pid < 0)
		return false;
	c->pid = pid;
	c->identity = l->identity;
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	DL_APPEND(children, c);
	CRASH_POINT(after_spawn);
	return true;
}

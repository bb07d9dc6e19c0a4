#include "daemon/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/child.h"
#include "daemon/launch.h"
#include "daemon/log.h"
#include "config/config.h"
#include "launch/order.h"

static int sock = -1;
static struct child child = { .helper = true };

/* ---- starting ---- */

static bool
get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &header, data) == 0;
}

bool
launcher_may_be(const struct config_pool *c, char *why, size_t size)
{
	const unsigned needed = 1u << CAP_SETUID | 1u << CAP_SETGID;
	struct __user_cap_data_struct data[2];

	if (get_capabilities(data) && (data[0].effective & needed) == needed)
		return true;
	snprintf(why, size, "pools.%s.user: expected a daemon that is started as root, or with the capabilities CAP_SETUID and CAP_SETGID, to become '%.64s'; this one has user %u",
	    c->name, c->user, (unsigned)geteuid());
	return false;
}

/* A daemon that is not root has them for the launcher alone. And no task that has its user may look into it from here on, or it could use the
 * launcher. */
static void
give_up_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { .permitted = 0 } };

	if (geteuid() == 0)
		return;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L);
	if (syscall(SYS_capset, &header, none))
		log_error("launcher", "capabilities could not be given up: %s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
}

static void
on_exit_(struct child *c, int status)
{
	(void)c, (void)status;
	if (sock >= 0)
		log_error("launcher", "it has ended: pools with a user start no more workers until the daemon is started again");
}

static int
list_file(const struct launch_list *list)
{
	int fd = memfd_create("futured-list", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, list, sizeof *list) != (ssize_t)sizeof *list || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool
launcher_start(const struct launch_list *list, char *why, size_t size)
{
	char path[4200], *argv[] = { path, NULL }, *env[] = { NULL };
	struct launch l = { .argv = argv, .env = env, .cgroup = -1, .program = -1, .identity = -1, .become = { .fds = 2, .umask = 077, .files = 4 * LAUNCH_FDS } };
	int pair[2] = { -1, -1 }, fds[2] = { -1, -1 };
	bool started = false;

	launch_find("futured-launch", path, sizeof path);
	child.on_exit = on_exit_;
	fds[1] = list_file(list);
	if (fds[1] >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		fds[0] = pair[1];
		started = child_spawn(&child, &l, fds, STDERR_FILENO);
	}
	if (!started)
		snprintf(why, size, "%.300s: %s", path, strerror(errno));
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	sock = pair[0];
	give_up_capabilities();
	return started;
}

void
launcher_stop(void)
{
	if (sock < 0)
		return;
	close(sock);
	sock = -1;
	waitpid(child.pid, NULL, 0); /* it ends at the end of file */
}

/* ---- orders ---- */

/* One message with up to LAUNCH_FDS_EACH descriptors. */
static bool
send_message(const void *data, size_t size, const int *fds, unsigned count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(LAUNCH_FDS_EACH * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Sends an order with its descriptors and waits for the answer; its error is errno then. */
static bool
ask(const struct launch_order *o, const int *fds, struct launch_answer *a)
{
	unsigned sent = 0, each;
	ssize_t n;

	for (bool good = true; good && sent < o->fds; sent += each) {
		each = o->fds - sent < LAUNCH_FDS_EACH ? o->fds - sent : LAUNCH_FDS_EACH;
		good = sent ? send_message("", 1, fds + sent, each) : send_message(o, sizeof *o, fds, each);
		if (!good)
			return false;
	}
	while ((n = recv(sock, a, sizeof *a, 0)) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof *a) {
		errno = n < 0 ? errno : EPIPE;
		return false;
	}
	errno = a->error;
	return true;
}

static bool
write_strings(FILE *f, char *const *strings)
{
	for (; *strings; strings++)
		if (fwrite(*strings, strlen(*strings) + 1, 1, f) != 1)
			return false;
	return true;
}

static uint32_t
count_strings(char *const *strings)
{
	uint32_t n = 0;
	while (strings[n])
		n++;
	return n;
}

/* What the new process reads when it is no more than its user. */
static int
plan_file(const struct launch *l)
{
	struct launch_plan plan = { .magic = LAUNCH_MAGIC, .args = count_strings(l->argv), .variables = count_strings(l->env) };
	int fd = memfd_create("futured-plan", MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
	bool good = f && fwrite(&plan, sizeof plan, 1, f) == 1 && write_strings(f, l->argv) && write_strings(f, l->env);

	if (f && fclose(f))
		good = false;
	if (good)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

pid_t
launcher_spawn(const struct launch *l, const int *fds, int err)
{
	struct launch_order o = { .magic = LAUNCH_MAGIC, .verb = LAUNCH_START, .identity = (uint32_t)l->identity, .fds = LAUNCH_FD_FIRST + l->become.fds,
		.has_cgroup = l->cgroup >= 0, .has_program = l->program >= 0, .become = l->become };
	int all[LAUNCH_FDS], plan = plan_file(l);
	struct launch_answer a = { .pid = -1 };

	if (plan < 0)
		return -1;
	if (o.fds > LAUNCH_FDS) {
		close(plan);
		errno = EMFILE;
		return -1;
	}
	all[LAUNCH_FD_PLAN] = plan;
	all[LAUNCH_FD_ERR] = err;
	all[LAUNCH_FD_CGROUP] = l->cgroup >= 0 ? l->cgroup : err;
	all[LAUNCH_FD_PROGRAM] = l->program >= 0 ? l->program : err;
	memcpy(all + LAUNCH_FD_FIRST, fds, l->become.fds * sizeof *fds);
	bool answered = ask(&o, all, &a);
	int error = errno;
	close(plan);
	if (answered && !a.error)
		return a.pid;
	if (answered && a.pid > 0)
		waitpid(a.pid, NULL, 0);
	if (answered && a.error == EACCES && l->program >= 0)
		launch_forget_sealed_worker();
	errno = error;
	return -1;
}

bool
launcher_signal(int place, int pidfd, int sig)
{
	struct launch_order o = { .magic = LAUNCH_MAGIC, .verb = LAUNCH_SIGNAL, .identity = (uint32_t)place, .signal = (uint32_t)sig, .fds = 1 };
	struct launch_answer a;

	return ask(&o, &pidfd, &a) && a.error == 0;
}

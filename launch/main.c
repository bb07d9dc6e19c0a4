/* futured-launch: starts worker hosts as other users, and sends them signals (launch/order.h).
 *
 * It keeps the capabilities to change users and groups and gives up all others. It allocates nothing, looks nothing up, and opens only what it
 * is sent; what does not have the shape that it must have ends it. Each order is carried out by a child that has become the user of the
 * list for good before it looks at anything that could be parsed:
 *
 *     order ─► fork ─► join the cgroup ─► groups, group, user, no capabilities (checked) ─► descriptors, limits ─► read the plan ─► exec
 *
 * The child is the daemon's (CLONE_PARENT), so that the daemon reaps it and nobody has to pass its end on. PR_SET_PDEATHSIG is not used: the kernel
 * forgets it when a process changes its user. A host notices that the daemon is gone by its socket, and so do we. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/become.h"
#include "launch/order.h"

static struct launch_list list;
static int fds[LAUNCH_FDS];
static char *strings[LAUNCH_STRINGS + 2];
static volatile int *shared; /* with children: errno of what failed */

static _Noreturn void
die(const char *why)
{
	dprintf(STDERR_FILENO, "futured-launch: %s\n", why);
	_exit(1);
}

/* ---- becoming a user ---- */

/* Only these capabilities, and none that exec could pass on. */
static bool
keep_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .permitted = (uint32_t)mask, .effective = (uint32_t)mask },
		{ .permitted = (uint32_t)(mask >> 32), .effective = (uint32_t)(mask >> 32) },
	};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L);
	return syscall(SYS_capset, &header, data) == 0;
}

static bool
has_no_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &header, data) == 0 && !data[0].permitted && !data[1].permitted && !data[0].effective && !data[1].effective &&
	       !data[0].inheritable && !data[1].inheritable;
}

/* Groups first: who is no longer privileged cannot change them. Then it is checked, since everything rests on it. */
static bool
become_user(const struct launch_identity *i)
{
	uid_t uid[3];
	gid_t gid[3], group[LAUNCH_GROUPS];

	for (uint32_t n = 0; n < i->groups; n++)
		group[n] = i->group[n];
	if (setgroups(i->groups, group) || setresgid(i->gid, i->gid, i->gid) || setresuid(i->uid, i->uid, i->uid) || !keep_capabilities(0))
		return false;
	if (getresuid(&uid[0], &uid[1], &uid[2]) || getresgid(&gid[0], &gid[1], &gid[2]))
		return false;
	for (int n = 0; n < 3; n++)
		if (uid[n] != i->uid || gid[n] != i->gid)
			return false;
	if (!has_no_capability() || setuid(0) == 0 || setgid(0) == 0) {
		errno = EPERM;
		return false;
	}
	syscall(SYS_keyctl, 1L, 0L); /* KEYCTL_JOIN_SESSION_KEYRING: not the daemon's keys */
	return true;
}

/* ---- starting, in the child ---- */

/* From here on we are the user: what is wrong with the plan is the user's harm. */
static bool
read_plan(int fd)
{
	struct stat st;
	struct launch_plan plan;
	size_t count = 0;

	if (fstat(fd, &st) || st.st_size < (off_t)sizeof plan || st.st_size > LAUNCH_PLAN_MAX)
		return false;
	char *text = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), *end = text + st.st_size;
	if (text == MAP_FAILED)
		return false;
	memcpy(&plan, text, sizeof plan);
	text += sizeof plan;
	if (plan.magic != LAUNCH_MAGIC || plan.args < 1 || plan.args > LAUNCH_STRINGS || plan.variables > LAUNCH_STRINGS - plan.args || end[-1] != '\0')
		return false;
	for (uint32_t n = 0; n < plan.args + plan.variables; n++) {
		if (text >= end)
			return false;
		count += n == plan.args; /* NULL ends argv */
		strings[count++] = text;
		text += strlen(text) + 1;
	}
	strings[plan.args] = NULL;
	return true;
}

static _Noreturn void
start(const struct launch_order *o)
{
	struct become_fds at = { .fd = fds + LAUNCH_FD_FIRST, .out = fds[LAUNCH_FD_ERR], .err = fds[LAUNCH_FD_ERR],
		.program = o->has_program ? fds[LAUNCH_FD_PROGRAM] : -1 };
	char **env;

	errno = 0;
	if (!become_joined(o->has_cgroup ? fds[LAUNCH_FD_CGROUP] : -1) || !become_user(&list.identity[o->identity])) {
		*shared = errno ? errno : EPERM;
		_exit(127);
	}
	errno = EINVAL;
	if (!read_plan(fds[LAUNCH_FD_PLAN])) {
		*shared = errno;
		_exit(127);
	}
	for (env = strings; *env; env++)
		;
	*shared = become(&o->become, &at);
	if (!*shared) {
		if (o->has_program)
			syscall(SYS_execveat, 3 + (int)o->become.fds, "", strings, env + 1, AT_EMPTY_PATH);
		else
			execve(strings[0], strings, env + 1);
		*shared = errno;
	}
	_exit(127);
}

/* ---- orders ---- */

static struct launch_answer
carry_out_start(const struct launch_order *o)
{
	struct launch_answer a = { .pid = -1 };

	*shared = 0;
	/* CLONE_VFORK: it has called exec, or failed, when we go on. The memory is its own. */
	long pid = syscall(SYS_clone, (unsigned long)(CLONE_PARENT | CLONE_VFORK | SIGCHLD), 0L, 0L, 0L, 0L);
	if (pid == 0)
		start(o);
	a.pid = (int32_t)pid;
	a.error = pid < 0 ? errno : *shared;
	return a;
}

/* By a child that is the user, so that the kernel decides whom it may signal. */
static struct launch_answer
carry_out_signal(const struct launch_order *o)
{
	struct launch_answer a = { .pid = -1 };

	*shared = 0;
	pid_t pid = fork();
	if (pid == 0) {
		if (!become_user(&list.identity[o->identity]) || syscall(SYS_pidfd_send_signal, fds[0], (int)o->signal, NULL, 0))
			*shared = errno ? errno : EPERM;
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	a.error = pid < 0 ? errno : *shared;
	return a;
}

/* One message, with its descriptors behind those that are there. False at the end of file. */
static bool
receive(void *data, size_t size, uint32_t *count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(LAUNCH_FDS_EACH * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n;

	while ((n = recvmsg(LAUNCH_SOCKET_FD, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (n == 0)
		return false;
	if (n != (ssize_t)size || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		die("a message of another size");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		uint32_t more = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || more > LAUNCH_FDS - *count)
			die("more descriptors than there may be");
		memcpy(fds + *count, CMSG_DATA(c), more * sizeof(int));
		*count += more;
	}
	return true;
}

static bool
is_sound(const struct launch_order *o)
{
	if (o->magic != LAUNCH_MAGIC || o->identity >= list.count || o->fds > LAUNCH_FDS)
		return false;
	if (o->verb == LAUNCH_SIGNAL)
		return o->fds == 1 && o->signal <= 64;
	return o->verb == LAUNCH_START && o->become.fds <= LAUNCH_FDS && o->fds == LAUNCH_FD_FIRST + o->become.fds && o->become.limits <= BECOME_LIMITS;
}

/* False when the daemon is gone. */
static bool
serve(void)
{
	struct launch_order o;
	struct launch_answer a;
	uint32_t count = 0;
	char more;

	if (!receive(&o, sizeof o, &count))
		return false;
	if (!is_sound(&o))
		die("an order that makes no sense");
	while (count < o.fds)
		if (!receive(&more, 1, &count))
			return false;
	if (count != o.fds)
		die("other descriptors than were announced");
	a = o.verb == LAUNCH_START ? carry_out_start(&o) : carry_out_signal(&o);
	for (uint32_t n = 0; n < count; n++)
		close(fds[n]);
	return send(LAUNCH_SOCKET_FD, &a, sizeof a, MSG_NOSIGNAL) == (ssize_t)sizeof a;
}

/* ---- starting up ---- */

static void
read_list(void)
{
	if (read(LAUNCH_LIST_FD, &list, sizeof list) != (ssize_t)sizeof list || list.magic != LAUNCH_MAGIC || list.count > LAUNCH_IDENTITIES)
		die("not started by futured");
	close(LAUNCH_LIST_FD);
	for (uint32_t n = 0; n < list.count; n++) {
		struct launch_identity *i = &list.identity[n];
		if (i->uid == 0 || i->gid == 0 || i->groups > LAUNCH_GROUPS)
			die("root is nobody to become");
		for (uint32_t g = 0; g < i->groups; g++)
			if (i->group[g] == 0)
				die("root's group is nobody's to have");
	}
}

int
main(void)
{
	uid_t real, effective, saved;
	const uint64_t needed = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID;

	if (getresuid(&real, &effective, &saved) || real != effective || real != saved || getgid() != getegid())
		die("it must not be installed set-user-ID");
	prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
	read_list();
	syscall(SYS_close_range, LAUNCH_SOCKET_FD + 1U, ~0U, 0);
	fcntl(LAUNCH_SOCKET_FD, F_SETFD, FD_CLOEXEC);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !keep_capabilities(needed))
		die("it may not change users and groups");
	while (serve())
		;
	return 0;
}

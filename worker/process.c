/* clone with CLONE_VM and CLONE_VFORK, as posix_spawn does it, but with what posix_spawn cannot do: setsid before
 * anything else, a working directory, limits, close_range.
 *
 * The child runs on a stack of its own in our memory while we stand still. It calls nothing but system calls and
 * memcpy, and reports a failure by writing into our memory before it exits. */
#include "worker/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 256 * 1024 };

/* ASan cannot follow a function that runs on another stack and never returns. */
#define ON_LENT_STACK __attribute__((no_sanitize("address", "undefined"), noinline))

static char *stack_top;

struct start {
	bool in_cgroup; /* it is born there */
	const struct process_plan *plan;
	struct process_failure *why;
	volatile bool failed;
};

bool
process_init(void)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return false;
	stack_top = stack + STACK_SIZE;
	return true;
}

/* As execvp: a directory without the program is passed over, one that may not be entered is remembered. Returns errno. */
ON_LENT_STACK static int
exec_in_path(const struct process_plan *plan)
{
	const char *name = plan->argv[0], *from = plan->path, *to;
	size_t name_len = strlen(name), dir_len;
	char file[PATH_MAX];
	int error = ENOENT;

	for (;; from = to + 1) {
		to = strchrnul(from, ':');
		dir_len = (size_t)(to - from);
		if (dir_len + name_len + 2 <= sizeof file) {
			memcpy(file, from, dir_len);
			if (dir_len > 0)
				file[dir_len++] = '/'; /* an empty one is the working directory */
			memcpy(file + dir_len, name, name_len + 1);
			execve(file, plan->argv, plan->env);
			if (errno == EACCES)
				error = EACCES;
			else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV &&
			         errno != ETIMEDOUT && errno != ENAMETOOLONG && errno != ELOOP)
				return errno;
		}
		if (*to == '\0')
			return error;
	}
}

ON_LENT_STACK static int
exec_program(const struct process_plan *plan)
{
	if (strchr(plan->argv[0], '/') == NULL)
		return exec_in_path(plan);
	execve(plan->argv[0], plan->argv, plan->env);
	return errno;
}

/* All that changes the child before exec. Returns the errno of the step that failed, or of exec. */
ON_LENT_STACK static int
become(const struct process_plan *plan, bool in_cgroup, struct process_failure *why)
{
	int in = plan->in;
	sigset_t none;
	size_t i;

	why->step = PROCESS_CGROUP;
	if (!in_cgroup && plan->cgroup_procs >= 0 && write(plan->cgroup_procs, "0", 1) < 0)
		return errno;
	setsid();
	why->step = PROCESS_NICE;
	if (plan->nice != 0) {
		errno = 0;
		if (nice(plan->nice) == -1 && errno != 0)
			return errno;
	}
	why->step = PROCESS_DESCRIPTORS;
	/* opened for each: a description that tasks share would carry one's O_NONBLOCK or flock to the next */
	if (in < 0 && (in = open("/dev/null", O_RDONLY)) < 0)
		return errno;
	if (dup2(in, 0) < 0 || dup2(plan->out, 1) < 0 || dup2(plan->err, 2) < 0 || close_range(3, ~0U, 0) < 0)
		return errno;
	/* after the descriptors: with fewer than three files allowed they could not be placed */
	why->step = PROCESS_LIMIT;
	for (i = 0; i < plan->limit_count; i++) {
		why->limit = i;
		if (setrlimit((__rlimit_resource_t)plan->limit[i].resource, &plan->limit[i].value) < 0)
			return errno;
	}
	if (plan->has_umask)
		umask(plan->umask);
	why->step = PROCESS_CWD;
	if (plan->cwd != NULL && chdir(plan->cwd) < 0)
		return errno;
	why->step = PROCESS_EXEC;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return exec_program(plan);
}

ON_LENT_STACK static int
child(void *arg)
{
	struct start *start = arg;

	start->why->error = become(start->plan, start->in_cgroup, start->why);
	start->failed = true;
	syscall(SYS_exit_group, 127);
	return 127;
}

/* Into a cgroup from its first moment: joining one later takes a lock that all forks of the machine share. The library has no call for
 * it, and a plain system call could not go on on another stack. -1 with errno, ENOSYS where it is not written for the machine. */
ON_LENT_STACK static pid_t
clone_into(int cgroup, struct start *start)
{
#if defined(__x86_64__) && defined(CLONE_INTO_CGROUP)
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)(stack_top - STACK_SIZE),
		.stack_size = STACK_SIZE,
		.cgroup = (unsigned)cgroup,
	};
	long result;

	__asm__ volatile("syscall\n\t"
	                 "testq %%rax, %%rax\n\t"
	                 "jnz 1f\n\t"
	                 "movq %[arg], %%rdi\n\t"
	                 "call *%[entry]\n\t"
	                 "ud2\n"
	                 "1:"
	                 : "=a"(result)
	                 : "0"((long)SYS_clone3), "D"(&args), "S"(sizeof args), [entry] "r"(child), [arg] "r"(start)
	                 : "rcx", "r11", "cc", "memory");
	if (result >= 0)
		return (pid_t)result;
	errno = (int)-result;
#else
	(void)cgroup, (void)start;
	errno = ENOSYS;
#endif
	return -1;
}

/* As clone_into where that may be done; else it joins by itself. */
static pid_t
clone_child(struct start *start)
{
	static bool by_joining;
	pid_t pid;

	if (start->plan->cgroup >= 0 && !by_joining) {
		start->in_cgroup = true;
		pid = clone_into(start->plan->cgroup, start);
		if (pid >= 0 || errno == EAGAIN || errno == ENOMEM)
			return pid;
		by_joining = true; /* an older kernel, or a cgroup that is not our user's */
		start->in_cgroup = false;
	}
	return clone(child, stack_top, CLONE_VM | CLONE_VFORK | SIGCHLD, start);
}

pid_t
process_start(const struct process_plan *plan, struct process_failure *why)
{
	struct start start = { .plan = plan, .why = why };
	pid_t pid = clone_child(&start);

	if (pid < 0) {
		why->step = PROCESS_CLONE;
		why->error = errno;
		return -1;
	}
	if (!start.failed)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -1;
}

int
process_failure_exit(const struct process_failure *why)
{
	if (why->step != PROCESS_EXEC)
		return 126;
	return why->error == ENOENT || why->error == ENOTDIR || why->error == ENAMETOOLONG || why->error == ELOOP ? 127 : 126;
}

/* "No such file" is said of a program that is there, but whose interpreter or loader is not, too. */
static const char *
exec_sentence(const struct process_plan *plan, int error)
{
	struct stat st;

	if (error == ENOEXEC)
		return "neither a binary of this machine nor a script that begins with #!";
	if (error == ENOENT && plan->cwd == NULL && strchr(plan->argv[0], '/') != NULL && stat(plan->argv[0], &st) == 0)
		return "its interpreter was not found";
	return strerror(error);
}

void
process_failure_text(const struct process_plan *plan, const struct process_failure *why, char *text, size_t size)
{
	const char *reason = strerror(why->error), *name = plan->argv[0];

	switch (why->step) {
	case PROCESS_CLONE:
		snprintf(text, size, "cannot start %.1000s: no new process: %s", name, reason);
		break;
	case PROCESS_CGROUP:
		snprintf(text, size, "cannot start %.1000s: cannot put it into its cgroup: %s", name, reason);
		break;
	case PROCESS_CWD:
		snprintf(text, size, "cannot start %.1000s in the directory %.2000s: %s", name, plan->cwd, reason);
		break;
	case PROCESS_LIMIT:
		snprintf(text, size, "cannot start %.1000s: cannot set the limit %s to %llu: %s", name,
		         plan->limit[why->limit].name, (unsigned long long)plan->limit[why->limit].value.rlim_max, reason);
		break;
	case PROCESS_NICE:
		snprintf(text, size, "cannot start %.1000s: cannot change its nice value by %d: %s", name, plan->nice, reason);
		break;
	case PROCESS_DESCRIPTORS:
		snprintf(text, size, "cannot start %.1000s: cannot set up its descriptors: %s", name, reason);
		break;
	case PROCESS_EXEC:
		if (strchr(name, '/') == NULL && process_failure_exit(why) == 127)
			snprintf(text, size, "%.1000s: not found in %.2000s", name, plan->path);
		else
			snprintf(text, size, "cannot start %.2000s: %s", name, exec_sentence(plan, why->error));
		break;
	}
}

/* A program that does its worst to whoever has to end it.
 *
 *	nasty MODE…      carries the modes out in order; then, unless one of them ended it, waits for ever
 *
 *	fifo=PATH    opens a FIFO for writing, and so does every process made after it by inheritance: its reader sees end
 *	             of file exactly when all of them are dead. It survives closefds and clearenv
 *	pids=PATH    the pid of every process made after it is appended to that file
 *	ignore       ignores every signal that can be
 *	block        blocks every signal that can be
 *	clearenv     begins anew with an empty environment
 *	closefds     closes every descriptor but the FIFO
 *	daemon       leaves a process behind that has gone through fork, setsid, fork, and has /dev/null as its 0, 1, 2
 *	holdout      the same, but it keeps stdout and stderr
 *	thread       leaves a child behind that another thread made
 *	stopped      leaves a child behind that is stopped
 *	subreaper    leaves a subreaper behind that has an orphan
 *	tree=N       leaves a binary tree of N processes behind; every third begins a session, every second ignores TERM
 *	chain=N      leaves a chain behind: each forks the next and exits at once; the Nth stays
 *	bomb=N       leaves processes behind that all fork as fast as they can until there have been N
 *	sbomb=N      the same, each in a session of its own
 *	say=TEXT     prints a line
 *	exit=N  raise=N
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIFO_FD = 700, PIDS_FD = 701 };

static void
stay(void)
{
	for (;;)
		pause();
}

static void
note(pid_t pid)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%d\n", (int)pid);

	if (fcntl(PIDS_FD, F_GETFD) >= 0 && write(PIDS_FD, text, (size_t)len) != len)
		_exit(3);
}

/* fork, or the end: a bound on processes is no reason to go on as if nothing were. */
static pid_t
make(void)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(4);
	if (pid > 0)
		note(pid);
	return pid;
}

static void
open_at(const char *path, int flags, int place)
{
	int fd = open(path, flags, 0600);

	if (fd < 0 || dup2(fd, place) < 0) {
		perror(path);
		exit(3);
	}
	close(fd);
}

static void
each_signal(bool ignore)
{
	sigset_t all;

	for (int n = 1; ignore && n < NSIG; n++)
		signal(n, SIG_IGN);
	sigfillset(&all);
	if (!ignore)
		sigprocmask(SIG_SETMASK, &all, NULL);
}

static void
leave_daemon(bool quiet)
{
	pid_t pid = make();

	if (pid > 0) {
		waitpid(pid, NULL, 0);
		return;
	}
	setsid();
	if (make() > 0)
		_exit(0);
	if (quiet)
		for (int fd = 0; fd < 3; fd++)
			open_at("/dev/null", O_RDWR, fd);
	stay();
}

static void *
fork_in_thread(void *done)
{
	int *told = done;

	if (make() == 0)
		stay();
	if (write(*told, "", 1) != 1)
		_exit(3);
	stay(); /* the thread lives on: the child is in its list, not in the main thread's */
	return NULL;
}

static void
leave_thread_child(void)
{
	static int ends[2];
	pthread_t thread;
	char byte;

	if (pipe(ends) < 0 || pthread_create(&thread, NULL, fork_in_thread, &ends[1]) != 0 || read(ends[0], &byte, 1) != 1)
		exit(3);
}

static void
leave_stopped(void)
{
	pid_t pid = make();

	if (pid == 0) {
		raise(SIGSTOP);
		stay();
	}
	waitpid(pid, NULL, WUNTRACED);
}

static void
leave_subreaper(void)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		exit(3);
	if (make() > 0) {
		if (read(ends[0], &byte, 1) != 1)
			exit(3);
		return;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
	leave_daemon(true);
	if (write(ends[1], "", 1) != 1)
		_exit(3);
	stay();
}

static void
leave_tree(long n, long number)
{
	long left = (n - 1) / 2, right = n - 1 - left;

	if (n <= 0 || make() > 0)
		return;
	if (number % 3 == 0)
		setsid();
	if (number % 2 == 0)
		signal(SIGTERM, SIG_IGN);
	leave_tree(left, 2 * number);
	leave_tree(right, 2 * number + 1);
	stay();
}

static void
leave_chain(long n)
{
	if (make() > 0)
		return;
	for (; n > 1; n--)
		if (make() > 0)
			_exit(0);
	stay();
}

static void
leave_bomb(long n, bool sessions)
{
	atomic_long *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (count == MAP_FAILED)
		exit(3);
	if (make() > 0)
		return;
	while (atomic_fetch_add(count, 1) < n) {
		pid_t pid = fork(); /* the bound of the machine may be hit here: then try again */

		if (pid > 0)
			note(pid);
		else if (pid == 0 && sessions)
			setsid();
	}
	stay();
}

static void
close_descriptors(void)
{
	close_range(0, FIFO_FD - 1, 0);
	close_range(PIDS_FD + 1, ~0U, 0);
}

static const char *
value(const char *mode, const char *name)
{
	size_t len = strlen(name);

	return strncmp(mode, name, len) == 0 && mode[len] == '=' ? mode + len + 1 : NULL;
}

static long
number(const char *text)
{
	return strtol(text, NULL, 10);
}

static void
carry_out(const char *mode, char **rest, char *self)
{
	char *none[] = { NULL };
	const char *v;

	if ((v = value(mode, "fifo")) != NULL)
		open_at(v, O_WRONLY | O_NONBLOCK, FIFO_FD);
	else if ((v = value(mode, "pids")) != NULL)
		open_at(v, O_WRONLY | O_APPEND | O_CREAT, PIDS_FD);
	else if (strcmp(mode, "ignore") == 0)
		each_signal(true);
	else if (strcmp(mode, "block") == 0)
		each_signal(false);
	else if (strcmp(mode, "clearenv") == 0) {
		rest[0] = self; /* the mode's own place */
		execve("/proc/self/exe", rest, none);
		exit(3);
	} else if (strcmp(mode, "closefds") == 0)
		close_descriptors();
	else if (strcmp(mode, "daemon") == 0)
		leave_daemon(true);
	else if (strcmp(mode, "holdout") == 0)
		leave_daemon(false);
	else if (strcmp(mode, "thread") == 0)
		leave_thread_child();
	else if (strcmp(mode, "stopped") == 0)
		leave_stopped();
	else if (strcmp(mode, "subreaper") == 0)
		leave_subreaper();
	else if ((v = value(mode, "tree")) != NULL)
		leave_tree(number(v), 1);
	else if ((v = value(mode, "chain")) != NULL)
		leave_chain(number(v));
	else if ((v = value(mode, "bomb")) != NULL)
		leave_bomb(number(v), false);
	else if ((v = value(mode, "sbomb")) != NULL)
		leave_bomb(number(v), true);
	else if ((v = value(mode, "say")) != NULL)
		dprintf(1, "%s\n", v);
	else if ((v = value(mode, "exit")) != NULL)
		_exit((int)number(v));
	else if ((v = value(mode, "raise")) != NULL)
		raise((int)number(v));
	else {
		dprintf(2, "nasty: no mode %s\n", mode);
		_exit(2);
	}
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		carry_out(argv[i], &argv[i], argv[0]);
	stay();
}

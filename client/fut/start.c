/* Starting the user's own daemon in the background, as tmux starts its server.
 *
 * Two that start at once must end with one daemon: whoever gets the lock in the socket's directory looks again, starts it and
 * waits until it answers; the other then finds it there. The wait is for the directory to change, or for the daemon to die. */
#include "client/fut/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 15000, LOOK_MS = 50 };

/* The directory of the user's own socket: made private, and checked to be. */
static bool
own_directory(struct fut *f, char *path, size_t size)
{
	struct stat st;

	own_directory_path(path, size);
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		fut_error(f, FUTURED_NO_DAEMON, "cannot make %s: %s", path, strerror(errno));
		return false;
	}
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077) != 0) {
		fut_error(f, FUTURED_NO_DAEMON, "%s is not a directory that belongs to you alone (mode 0700), so no daemon is started there", path);
		return false;
	}
	return true;
}

/* futured beside this program, wherever both are. */
static bool
find_daemon(struct fut *f, char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0) {
		fut_error(f, FUTURED_NO_DAEMON, "cannot read /proc/self/exe: %s", strerror(errno));
		return false;
	}
	self[n] = '\0';
	snprintf(path, size, "%s/futured", dirname(self));
	if (access(path, X_OK) == 0)
		return true;
	fut_error(f, FUTURED_NO_DAEMON, "cannot start a daemon: %s: %s", path, strerror(errno));
	return false;
}

/* Where the daemon's words go: $XDG_STATE_HOME/futured/daemon.log. -1: nowhere. */
static int
open_log(char *path, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char dir[PATH_MAX];

	path[0] = '\0';
	if (state != NULL && *state == '/')
		snprintf(dir, sizeof dir, "%s", state);
	else if (home != NULL && *home == '/')
		snprintf(dir, sizeof dir, "%s/.local/state", home);
	else
		return -1;
	for (char *p = dir + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(dir, 0700);
		*p = '/';
	}
	mkdir(dir, 0700);
	if (snprintf(path, size, "%s/futured", dir) >= (int)size)
		return -1;
	mkdir(path, 0700);
	if (snprintf(path, size, "%s/futured/daemon.log", dir) >= (int)size)
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* In memory where there is no file, so that its reason can be told if it does not start. It does not grow: what follows is lost, as if it went
 * nowhere. */
static int
open_memory(void)
{
	enum { SIZE = 64 << 10 };
	int fd = memfd_create("daemon.log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, SIZE) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Runs in the child: out of this terminal, with nothing of ours. */
static void
become_daemon(const char *path, int log)
{
	char *argv[] = { (char *)"futured", NULL };
	struct sigaction sa = { .sa_handler = SIG_DFL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	setsid();
	for (int n = 1; n < NSIG; n++)
		sigaction(n, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(log >= 0 ? log : null, STDOUT_FILENO);
	dup2(log >= 0 ? log : null, STDERR_FILENO);
	syscall(SYS_close_range, 3U, ~0U, 0U);
	if (chdir("/") == 0)
		execv(path, argv);
	_exit(EXIT_FUTURED);
}

static void
show_log_end(struct fut *f, int log, off_t from)
{
	char path[64], text[2048];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", log);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	n = pread(fd, text, sizeof text, from);
	n = n > 0 ? (ssize_t)strnlen(text, (size_t)n) : n;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n > 0)
		fut_say(f, "it said:\n%.*s", (int)n, text);
	close(fd);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until it answers or has died. */
static bool
await_daemon(struct fut *f, pid_t pid, int watch)
{
	int64_t end = now_ms() + WAIT_MS;
	char events[4096];
	int status;

	while (now_ms() < end) {
		struct pollfd p = { .fd = watch, .events = POLLIN };

		if (reach_own(f) == FUTURED_OK)
			return true;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return reach_own(f) == FUTURED_OK;
		if (poll(&p, 1, LOOK_MS) > 0 && read(watch, events, sizeof events) < 0)
			break;
	}
	return false;
}

static int
start_locked(struct fut *f, const char *dir)
{
	char path[PATH_MAX], log_path[PATH_MAX];
	int watch, log, result = EXIT_FAILED;
	bool in_memory;
	off_t from;
	pid_t pid;

	if (!find_daemon(f, path, sizeof path))
		return result;
	watch = inotify_init1(IN_CLOEXEC);
	inotify_add_watch(watch, dir, IN_CREATE | IN_MOVED_TO | IN_ATTRIB);
	log = open_log(log_path, sizeof log_path);
	in_memory = log < 0;
	if (in_memory)
		log = open_memory();
	from = log >= 0 && !in_memory ? lseek(log, 0, SEEK_END) : 0;
	if ((pid = fork()) == 0)
		become_daemon(path, log);
	if (pid < 0)
		fut_error(f, FUTURED_NO_DAEMON, "cannot start %s: %s", path, strerror(errno));
	else if (await_daemon(f, pid, watch))
		result = EXIT_OK;
	else {
		fut_error(f, FUTURED_NO_DAEMON, "%s was started and does not answer%s%s", path, in_memory ? "" : "; its log is ",
			in_memory ? "" : log_path);
		if (log >= 0)
			show_log_end(f, log, from);
	}
	if (log >= 0)
		close(log);
	close(watch);
	return result;
}

int
start_own(struct fut *f)
{
	char dir[PATH_MAX - 16], path[PATH_MAX];
	int lock, result = fut_failed(f) == EXIT_FUTURED ? EXIT_FUTURED : EXIT_NO_DAEMON;

	if (!own_directory(f, dir, sizeof dir))
		return result;
	snprintf(path, sizeof path, "%s/start.lock", dir);
	if ((lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0 || flock(lock, LOCK_EX) < 0) {
		fut_error(f, FUTURED_NO_DAEMON, "%s: %s", path, strerror(errno));
		if (lock >= 0)
			close(lock);
		return result;
	}
	if (reach_own(f) == FUTURED_OK || start_locked(f, dir) == EXIT_OK)
		result = EXIT_OK;
	close(lock);
	return result;
}

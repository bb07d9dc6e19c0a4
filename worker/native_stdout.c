/* The pipe has two readers: the capturing thread, for output that should be seen while the task runs, and settle. Both read
 * without waiting and hold the slot's `sending` lock from before the read until the bytes are sent, so that the order is the
 * pipe's. Stdio is flushed outside the lock, since a full pipe waits for the capturing thread, which waits for the lock.
 *
 * The stream of a thread pool is one for all threads, and stdio holds its lock while we write. So there a thread sends only what
 * fits into its socket at once, and keeps the rest until its task ends: a slot that is not read must not stop the others.
 * Only what a task prints beyond KEEP_MAX waits under the lock. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "worker/native_stdout.h"

enum { LINE_SIZE = 4096, KEEP_MAX = 1024 * 1024 };

static bool threads;                /* the kind is `thread` */
static int pipe_fd = -1;            /* process: where the captured bytes come out */
static pthread_mutex_t attaching = PTHREAD_MUTEX_INITIALIZER;
static struct slot *attached;       /* process: the slot, while it is there; under `attaching` */

/* thread: what this thread has printed and not sent yet. */
static _Thread_local struct {
	struct slot *slot;
	struct buf text;
} line;

/* ---- process ---- */

/* Hands on what is in the pipe now. Under slot->sending. */
static void
drain(struct slot *s)
{
	char bytes[16 * 1024];
	ssize_t n;

	while ((n = read(pipe_fd, bytes, sizeof bytes)) > 0)
		slot_output_locked(s, SLOT_STDOUT, bytes, (size_t)n);
}

/* Output that comes while there is no slot belongs to the log. */
static void
drain_to_log(void)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(pipe_fd, bytes, sizeof bytes)) > 0)
		if (write(STDERR_FILENO, bytes, (size_t)n) < 0)
			return;
}

static void *
capture_main(void *arg)
{
	struct pollfd fd = {.fd = pipe_fd, .events = POLLIN};

	while (poll(&fd, 1, -1) >= 0 || errno == EINTR) {
		pthread_mutex_lock(&attaching);
		if (attached != NULL) {
			pthread_mutex_lock(&attached->sending);
			drain(attached);
			pthread_mutex_unlock(&attached->sending);
		} else {
			drain_to_log();
		}
		pthread_mutex_unlock(&attaching);
	}
	return arg;
}

/* The capturing thread takes no signals: handlers that tasks install run on the task's thread. */
static int
start_capturing(void)
{
	pthread_t thread;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, NULL, capture_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_detach(thread);
	return rc;
}

static bool
open_pipe(void)
{
	static char buffer[LINE_SIZE];
	int fds[2];
	int rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 || dup2(fds[1], STDOUT_FILENO) < 0)
		goto fail_pipe;
	close(fds[1]);
	pipe_fd = fds[0];
	setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
	rc = start_capturing();
	if (rc != 0) {
		errno = rc;
		return false;
	}
	return true;

fail_pipe:
	close(fds[0]);
	close(fds[1]);
	return false;
}

/* ---- thread ---- */

/* Sends what this thread has printed. Outside the stream's lock, unless there is too much of it. */
static void
line_flush(void)
{
	if (line.slot != NULL && line.text.len > 0)
		slot_output(line.slot, SLOT_STDOUT, line.text.data, line.text.len);
	line.text.len = 0;
	line.text.failed = false;
	if (line.text.cap > LINE_SIZE)
		buf_clear(&line.text);
}

/* Whether a message of LINE_SIZE can be sent without waiting: the kernel says so of a socket that is at most a quarter full. */
static bool
is_writable(const struct slot *s)
{
	struct pollfd p = {.fd = s->channel.fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static void
line_write(const char *bytes, size_t len)
{
	bool whole = len > 0 && bytes[len - 1] == '\n';

	if (!buf_append(&line.text, bytes, len)) {
		line_flush(); /* what is there first, to keep the order */
		slot_output(line.slot, SLOT_STDOUT, bytes, len);
		return;
	}
	if (line.text.len > KEEP_MAX || ((whole || line.text.len > LINE_SIZE / 2) && line.text.len <= LINE_SIZE
		&& is_writable(line.slot)))
		line_flush();
}

static ssize_t
on_stream_write(void *cookie, const char *bytes, size_t len)
{
	(void)cookie;
	if (line.slot == NULL)
		return write(STDERR_FILENO, bytes, len); /* a thread that a task started: nobody's */
	line_write(bytes, len);
	return (ssize_t)len;
}

/* Unbuffered, so that threads share nothing in it. */
static bool
open_stream(void)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_stream_write});

	if (stream == NULL)
		return false;
	setvbuf(stream, NULL, _IONBF, 0);
	stdout = stream;
	return true;
}

/* ---- both ---- */

bool
native_stdout_open(bool per_thread)
{
	threads = per_thread;
	return per_thread ? open_stream() : open_pipe();
}

void
native_stdout_attach(struct slot *s)
{
	if (threads) {
		line.slot = s;
		return;
	}
	pthread_mutex_lock(&attaching);
	attached = s;
	pthread_mutex_unlock(&attaching);
}

void
native_stdout_detach(struct slot *s)
{
	native_stdout_flush();
	if (threads) {
		line.slot = NULL;
		buf_clear(&line.text);
		return;
	}
	pthread_mutex_lock(&attaching);
	if (attached == s)
		attached = NULL;
	pthread_mutex_unlock(&attaching);
}

void
native_stdout_flush(void)
{
	if (threads)
		line_flush();
	else if (__fpending(stdout) > 0)
		fflush(stdout);
}

void
native_stdout_settle(struct slot *s)
{
	if (!threads)
		drain(s);
}

void
native_stdout_write(struct slot *s, const void *bytes, size_t len)
{
	if (!threads)
		fwrite(bytes, 1, len, stdout);
	else if (line.slot == s)
		line_write(bytes, len);
	else
		slot_output(s, SLOT_STDOUT, bytes, len);
}

/* The command host. One thread; the states of its only slot are places in the code:
 *
 *     next_run ──► run_task: claim ─► start ─► watch ─► finish ─► answer ──► next_run …
 *
 * watch is the poll loop while the task runs: outputs are read and passed on, stdin is fed, stops are carried out. It ends when the
 * leader has been reaped. finish kills and reaps what the leader left, and takes what the pipes still hold; nobody is left
 * then who could write more. Usually the leader leaves nothing, which the same wait4 that reaps it says for one call more.
 *
 * The good path costs seventeen system calls besides the child's own: recvmsg (for many tasks), two of pipe2 and fcntl, clone, poll,
 * read (SIGCHLD), two of wait4 and ioctl, four of close, send.
 *
 * How it goes wrong:
 *  - the program cannot be started: `exit` 127 or 126 with `failed`;
 *  - the daemon does not read: pipes are not read either, and the task waits;
 *  - the slot's socket closes: the task runs to its end, its answer goes nowhere, the host ends;
 *  - the control socket closes, or SIGTERM: abandon() kills everything and exits, from wherever we are;
 *  - something cannot be killed: after END_MAX_US the host names it on stderr and ends, which costs the slot. */
#include "proto/worker.h"
#include "worker/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/pack.h"
#include "worker/box.h"
#include "worker/capture.h"
#include "worker/early.h"
#include "worker/feed.h"
#include "worker/process.h"
#include "worker/task.h"
#include "worker/tree.h"

enum {
	CHUNK_MAX = 64 * 1024,      /* an output message */
	FLUSH_US = 5000,            /* how long output waits for more */
	END_MAX_US = 10 * 1000000,  /* how long what was killed may take to end */
	FILES = 1024,               /* soft limit of descriptors; more breaks select() in programs */
	WHY_MAX = 4096,
};

enum { ON_CONTROL, ON_SIGNAL, ON_SLOT, ON_STDOUT, ON_STDERR, ON_STDIN, ON_COUNT };

struct command {
	struct host *host;
	struct channel slot;
	struct board *board;
	struct box box;
	int signals;           /* signalfd: SIGCHLD, SIGTERM */
	uint64_t oom_kills;    /* of the machine, when last looked at */
	bool last;             /* no other task after this one */
	struct task task;
	struct capture out, err;
	struct feed feed;
	struct early early;

	/* the task that runs; leader is 0 when none does */
	pid_t leader;
	bool reaped;           /* the leader has been, with: */
	bool alone;            /* … and no child is left */
	int status;
	struct rusage usage;
	bool asked;            /* TERM was sent */
	bool killed;           /* KILL was sent by us */
	uint64_t flush_at_us;  /* 0 where there is nothing to wait for */
	uint64_t kill_at_us;
	uint64_t lost_at_us;
};

/* ---- the end of the host ---- */

static _Noreturn void
give_up(pid_t pid)
{
	host_complain("process %d does not end although it was killed", (int)pid);
	exit(1);
}

/* Nobody is there any more to run tasks for. */
static _Noreturn void
abandon(struct command *c, int status)
{
	pid_t pid;

	box_kill(&c->box);

	if (!tree_end(now_us() + END_MAX_US, &pid))
		give_up(pid);
	exit(status);
}

static _Noreturn void
broken(struct command *c, const char *what)
{
	host_complain("%s", what);
	abandon(c, 1);
}

/* ---- control ---- */

static void
kill_now(struct command *c)
{
	box_kill(&c->box); /* all at once, while the tree changes under who walks it */
	tree_kill();
	c->killed = true;
	c->kill_at_us = 0;
	if (c->lost_at_us == 0)
		c->lost_at_us = now_us() + END_MAX_US;
}

static void
stop(struct command *c, const struct control *m)
{
	uint64_t at;

	if (c->leader == 0 || m->id != c->task.id || c->killed)
		return;
	if (m->attempt && m->attempt != c->task.attempt) /* the one that was to be stopped is over */
		return;
	if (m->kill && m->grace_us == 0) {
		kill_now(c);
		return;
	}
	if (m->kill && c->kill_at_us == 0)
		tree_signal(SIGTERM, SIGCONT); /* a stopped process would not hear of it */
	else if (!m->kill)
		tree_signal(SIGTERM, 0);
	c->asked = true;
	if (m->kill) {
		at = now_us() + m->grace_us;
		if (c->kill_at_us == 0 || at < c->kill_at_us)
			c->kill_at_us = at;
	}
}

static void
tell_taken(struct command *c, uint64_t id, size_t n)
{
	struct buf b;

	buf_init(&b);
	run_answer(&b, "taken", id, 1);
	pack_uint(&b, n);
	host_say(c->host, &b);
	buf_clear(&b);
}

static void
feed_task(struct command *c)
{
	feed_write(&c->feed);
	if (c->feed.taken > 0)
		tell_taken(c, c->task.id, c->feed.taken);
	c->feed.taken = 0;
}

static void
input(struct command *c, const struct control *m)
{
	bool fits;

	if (c->leader != 0 && m->id == c->task.id) {
		fits = feed_held(&c->feed) + m->len <= c->host->message && feed_add(&c->feed, m->bytes, m->len, m->eof);
		if (fits)
			feed_task(c);
	} else {
		fits = early_add(&c->early, m->id, m->bytes, m->len, m->eof, c->host->message);
	}
	if (!fits)
		broken(c, "the daemon sent more input than it may before it is taken");
}

/* All that has come. */
static void
hear(struct command *c)
{
	struct control m;

	for (;;) {
		switch (host_control(c->host, CHANNEL_NOW, &m)) {
		case CONTROL_NONE:
			return;
		case CONTROL_STOP:
			stop(c, &m);
			break;
		case CONTROL_INPUT:
			input(c, &m);
			break;
		case CONTROL_END:
			c->last = true;
			break;
		case CONTROL_GONE:
			abandon(c, 0);
		case CONTROL_SLOT: /* we never said `grow` */
			close(m.fd);
			broken(c, "the daemon sent a slot to a host that has one");
		case CONTROL_BAD:
			abandon(c, 1);
		}
	}
}

/* ---- signals ---- */

static void
reap(struct command *c)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		if (pid != c->leader)
			continue; /* an orphan that came to us */
		c->status = status;
		c->usage = usage;
		c->reaped = true;
	}
	c->alone = pid < 0;
}

/* SIGTERM ends the host as the daemon's going would. What SIGCHLD brings is reaped by the caller. */
static void
take_signals(struct command *c)
{
	struct signalfd_siginfo info[2];
	ssize_t got = read(c->signals, info, sizeof info);

	for (size_t i = 0; got >= (ssize_t)((i + 1) * sizeof info[0]); i++)
		if (info[i].ssi_signo == SIGTERM)
			abandon(c, 0);
}

/* ---- output ---- */

/* Writes the answer or output that is encoded, however long the daemon takes to read. */
static void
send_all(struct command *c)
{
	struct pollfd on[] = {
		{ .fd = c->host->control.fd, .events = POLLRDHUP },
		{ .fd = c->signals, .events = POLLIN },
		{ .fd = c->slot.fd, .events = POLLOUT },
	};

	for (;;) {
		switch (channel_flush(&c->slot, CHANNEL_NOW)) {
		case CHANNEL_SENT:
			return;
		case CHANNEL_GONE:
			c->last = true;
			return;
		case CHANNEL_FULL:
			poll(on, sizeof on / sizeof on[0], -1);
			if (on[0].revents != 0)
				abandon(c, 0);
			if (on[1].revents != 0)
				take_signals(c);
			break;
		}
	}
}

/* Passes output on, if it is much or has waited long enough. While the socket has no room nothing more is encoded or read. */
static void
pass_on(struct command *c)
{
	struct capture *both[] = { &c->out, &c->err };
	bool waited = c->flush_at_us != 0 && now_us() >= c->flush_at_us;

	if (c->slot.out.len == 0) {
		for (size_t i = 0; i < 2; i++)
			if (both[i]->bytes.len > 0 && (waited || capture_is_full(both[i])))
				capture_pack(both[i], c->task.id, &c->slot.out);
		if (waited)
			c->flush_at_us = 0;
	}
	if (c->slot.out.len > 0 && channel_flush(&c->slot, CHANNEL_NOW) == CHANNEL_GONE)
		c->last = true;
}

static void
take_output(struct command *c, struct capture *capture)
{
	if (capture_read(capture, SIZE_MAX) > 0 && c->flush_at_us == 0)
		c->flush_at_us = now_us() + FLUSH_US;
}

/* All that is left in a pipe into which nobody of the task can write any more. */
static void
drain(struct command *c, struct capture *capture)
{
	size_t held = capture_held(capture), got;

	while (held > 0) {
		if (capture_is_full(capture)) {
			send_all(c);
			capture_pack(capture, c->task.id, &c->slot.out);
			send_all(c);
		}
		got = capture_read(capture, held);
		if (got == 0)
			break;
		held -= got;
	}
}

/* ---- one task ---- */

static int
wait_ms(const struct command *c)
{
	uint64_t at = UINT64_MAX, now;

	if (c->flush_at_us != 0 && c->slot.out.len == 0)
		at = c->flush_at_us;
	if (c->kill_at_us != 0 && c->kill_at_us < at)
		at = c->kill_at_us;
	if (c->lost_at_us != 0 && c->lost_at_us < at)
		at = c->lost_at_us;
	if (at == UINT64_MAX)
		return -1;
	now = now_us();
	if (at <= now)
		return 0;
	at = (at - now + 999) / 1000;
	return at < INT32_MAX ? (int)at : INT32_MAX;
}

/* What to listen to now; a descriptor of -1 is passed over by poll. */
static void
choose(const struct command *c, struct pollfd on[ON_COUNT])
{
	bool pending = c->slot.out.len > 0;
	short slot = (short)((pending ? POLLOUT : 0) | (c->last ? 0 : POLLRDHUP));

	on[ON_CONTROL] = (struct pollfd){ .fd = c->host->control.fd, .events = POLLIN };
	on[ON_SIGNAL] = (struct pollfd){ .fd = c->signals, .events = POLLIN };
	on[ON_SLOT] = (struct pollfd){ .fd = slot != 0 ? c->slot.fd : -1, .events = slot };
	on[ON_STDOUT] = (struct pollfd){ .fd = pending || capture_is_full(&c->out) ? -1 : c->out.from, .events = POLLIN };
	on[ON_STDERR] = (struct pollfd){ .fd = pending || capture_is_full(&c->err) ? -1 : c->err.from, .events = POLLIN };
	on[ON_STDIN] = (struct pollfd){ .fd = feed_is_waiting(&c->feed) ? c->feed.fd : -1, .events = POLLOUT };
}

static void
watch(struct command *c)
{
	struct pollfd on[ON_COUNT];

	while (!c->reaped) {
		choose(c, on);
		if (poll(on, ON_COUNT, wait_ms(c)) < 0)
			continue;
		if (on[ON_SIGNAL].revents != 0) {
			take_signals(c);
			reap(c);
		}
		if (on[ON_CONTROL].revents != 0)
			hear(c);
		if (on[ON_STDOUT].revents != 0)
			take_output(c, &c->out);
		if (on[ON_STDERR].revents != 0)
			take_output(c, &c->err);
		if (on[ON_STDIN].revents != 0)
			feed_task(c);
		if ((on[ON_SLOT].revents & ~POLLOUT) != 0)
			c->last = true;
		if (c->kill_at_us != 0 && now_us() >= c->kill_at_us)
			kill_now(c);
		if (c->lost_at_us != 0 && now_us() >= c->lost_at_us && !c->reaped)
			give_up(c->leader);
		if (!c->reaped)
			pass_on(c);
	}
}

/* How often the kernel's OOM killer has struck in our box; without one, on the machine since it was started. */
static uint64_t
count_oom_kills(const struct command *c)
{
	unsigned long long count = 0;
	uint64_t in_box;
	char line[128];
	FILE *f = NULL;

	if (box_oom_kills(&c->box, &in_box))
		return in_box;
	f = fopen("/proc/vmstat", "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "oom_kill %llu", &count) == 1)
			break;
	fclose(f);
	return count;
}

/* The counter is looked at only after a KILL that was not ours, so it costs nothing else. */
static bool
was_oom(struct command *c)
{
	uint64_t before = c->oom_kills;

	if (!WIFSIGNALED(c->status) || WTERMSIG(c->status) != SIGKILL || (c->killed && c->box.fd[WORKER_BOX_EVENTS] < 0))
		return false;
	c->oom_kills = count_oom_kills(c);
	return c->oom_kills > before && !c->killed;
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void
pack_usage(struct buf *b, const struct rusage *usage)
{
	pack_key(b, "rusage");
	pack_map(b, 3);
	pack_key(b, "utime");
	pack_double(b, seconds(usage->ru_utime));
	pack_key(b, "stime");
	pack_double(b, seconds(usage->ru_stime));
	pack_key(b, "maxrss");
	pack_uint(b, (uint64_t)usage->ru_maxrss * 1024);
}

static void
pack_rest(struct buf *b, const struct capture *capture)
{
	if (capture->bytes.len == 0)
		return;
	pack_key(b, capture->name);
	pack_bin(b, capture->bytes.data, capture->bytes.len);
}

static void
pack_exit(struct command *c)
{
	struct buf *b = &c->slot.out;
	bool oom = was_oom(c);

	run_answer(b, "exit", c->task.id, 1);
	pack_map(b, 2u + (c->out.bytes.len > 0) + (c->err.bytes.len > 0) + oom);
	if (WIFSIGNALED(c->status)) {
		pack_key(b, "signal");
		pack_int(b, WTERMSIG(c->status));
	} else {
		pack_key(b, "exit");
		pack_int(b, WEXITSTATUS(c->status));
	}
	pack_rest(b, &c->out);
	pack_rest(b, &c->err);
	if (oom) {
		pack_key(b, "oom");
		pack_bool(b, true);
	}
	pack_usage(b, &c->usage);
}

static void
pack_failed(struct command *c, int status, const char *why)
{
	static const struct rusage none;
	struct buf *b = &c->slot.out;

	run_answer(b, "exit", c->task.id, 1);
	pack_map(b, 3);
	pack_key(b, "exit");
	pack_int(b, status);
	pack_key(b, "failed");
	pack_text(b, why, strlen(why));
	pack_usage(b, &none);
}

/* The task is over: the leader has been reaped. */
static void
finish(struct command *c)
{
	pid_t pid;

	c->leader = 0;
	feed_close(&c->feed);
	if (!c->alone)
		box_kill(&c->box);
	if (!c->alone && !tree_end(now_us() + END_MAX_US, &pid))
		give_up(pid);
	drain(c, &c->out);
	drain(c, &c->err);
	pack_exit(c);
}

/* Pipes and process. False, with a sentence and an exit status, if it cannot be. */
static bool
start(struct command *c, int *status, char *why, size_t why_size)
{
	struct process_plan *plan = &c->task.plan;
	struct process_failure failure;
	const char *limit;
	int in = -1, error;

	*status = 126;
	if (!capture_open(&c->out) || !capture_open(&c->err) ||
	    (c->task.in != TASK_STDIN_NONE &&
	     !feed_open(&c->feed, c->task.bytes, c->task.len, c->task.in == TASK_STDIN_BYTES, &in))) {
		snprintf(why, why_size, "cannot make a pipe: %s", strerror(errno));
		return false;
	}
	if (!box_limit(&c->box, plan, &limit, &error)) {
		snprintf(why, why_size, "cannot set the limit %s of its cgroup: %s", limit, strerror(error));
		if (in >= 0)
			close(in);
		return false;
	}
	plan->cgroup = box_dir(&c->box);
	plan->cgroup_procs = c->box.fd[WORKER_BOX_PROCS];
	plan->in = in;
	plan->out = c->out.into;
	plan->err = c->err.into;
	c->leader = process_start(plan, &failure);
	if (in >= 0)
		close(in);
	if (c->leader > 0)
		return true;
	c->leader = 0;
	*status = process_failure_exit(&failure);
	process_failure_text(plan, &failure, why, why_size);
	return false;
}

static void
forget_last_task(struct command *c)
{
	c->reaped = c->alone = c->asked = c->killed = false;
	c->flush_at_us = c->kill_at_us = c->lost_at_us = 0;
	c->feed.taken = 0;
}

static void
run_task(struct command *c, const struct run *run)
{
	char why[WHY_MAX];
	int status;

	if (!board_claim(&c->board->entry[run->entry], run->id, now_us())) {
		early_forget(&c->early, run->id);
		return;
	}
	forget_last_task(c);
	if (!task_read(&c->task, run, why, sizeof why)) {
		run_error(&c->slot.out, run->id, STATUS_VALUE, "%s", why);
	} else if (!start(c, &status, why, sizeof why)) {
		pack_failed(c, status, why);
	} else {
		if (!early_move(&c->early, run->id, &c->feed))
			broken(c, "out of memory");
		feed_task(c);
		watch(c);
		finish(c);
	}
	box_unlimit(&c->box);
	early_forget(&c->early, run->id);
	feed_close(&c->feed);
	capture_close(&c->out);
	capture_close(&c->err);
	send_all(c);
}

/* ---- the slot ---- */

/* Waits for the next task; false if there shall be none. */
static bool
next_run(struct command *c, struct run *run)
{
	struct pollfd on[] = {
		{ .fd = c->host->control.fd, .events = POLLIN },
		{ .fd = c->signals, .events = POLLIN },
		{ .fd = c->slot.fd, .events = POLLIN },
	};
	struct reader message;
	uint32_t elements;

	while (!c->last) {
		switch (channel_next(&c->slot, CHANNEL_NOW, &message, &elements)) {
		case CHANNEL_MESSAGE:
			if (run_read(message, elements, run))
				return true;
			/* fall through */
		case CHANNEL_BAD:
			broken(c, "the daemon sent something on a slot's socket that is not in the worker contract");
		case CHANNEL_END:
			return false;
		case CHANNEL_EMPTY:
			break;
		}
		if (poll(on, sizeof on / sizeof on[0], -1) < 0)
			continue;
		if (on[1].revents != 0) {
			take_signals(c);
			reap(c); /* of a program that could not be started: only the signal was left */
		}
		if (on[0].revents != 0)
			hear(c);
	}
	return false;
}

/* What exec keeps is set right here once, for every task: dispositions that are ignored, umask, limits, OOM score. All signals
 * are blocked in the host, so none of them can end it, and SIGTERM and SIGCHLD are read from a descriptor. A fault of our own
 * must still be one. */
static bool
settle(struct command *c)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	static const uint64_t unset[8]; /* the kernel's sigaction, all zero: SIG_DFL */
	struct sigaction action;
	struct rlimit files;
	sigset_t set;
	int fd;

	for (int n = 1; n < NSIG; n++)
		if (sigaction(n, NULL, &action) < 0)
			syscall(SYS_rt_sigaction, n, &unset, NULL, sizeof(uint64_t)); /* 32 and 33, which libc hides */
		else if (action.sa_handler == SIG_IGN)
			signal(n, SIG_DFL);
	sigfillset(&set);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(&set, faults[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	umask(022);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > FILES) {
		files.rlim_cur = FILES;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "0", 1) < 0)
			host_log(c->host, "debug", "oom_score_adj could not be set to 0: %s", strerror(errno));
		close(fd);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals >= 0;
}

static bool
open_slot(struct command *c, struct host *h)
{
	size_t chunk = h->message / 4 < CHUNK_MAX ? (size_t)h->message / 4 : CHUNK_MAX;

	c->host = h;
	c->board = host_board(h, 0);
	channel_init(&c->slot, host_slot_fd(h, 0), h->message + WORKER_ENVELOPE);
	task_init(&c->task);
	capture_init(&c->out, "stdout", chunk);
	capture_init(&c->err, "stderr", chunk);
	feed_init(&c->feed);
	early_init(&c->early);
	box_open(&c->box);
	c->oom_kills = count_oom_kills(c);
	return process_init();
}

int
command_run(struct host *h)
{
	static const struct host_ready ready = { .name = "futured-worker", .depth = BOARD_ENTRIES, .stop = true };
	struct command *c;
	struct run run;
	char why[256];

	if (h->slots != 1) {
		host_failed(h, "ValueError", "a command host has one slot, not %u", (unsigned)h->slots);
		return 1;
	}
	if (!tree_init(why, sizeof why)) {
		host_failed(h, "OSError", "%s", why);
		return 1;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL || !open_slot(c, h) || !settle(c)) {
		host_failed(h, "OSError", "cannot set up the command host: %s", strerror(errno));
		free(c);
		return 1;
	}
	host_ready(h, &ready);
	hear(c); /* what came in one read with the hello */
	while (next_run(c, &run))
		run_task(c, &run);
	channel_clear(&c->slot);
	task_clear(&c->task);
	capture_clear(&c->out);
	capture_clear(&c->err);
	feed_clear(&c->feed);
	early_clear(&c->early);
	close(c->signals);
	free(c);
	return 0;
}

/* host_new: sockets, boards, vfork ─► "hello" is said ─► "ready" ─► the pool uses its slots ─► … ─► it dies (reaped) ─► what it
 * wrote is read ─► slots are settled, strays killed ─► the pool is told, and it is freed at the end of the turn.
 * "failed", or dying before "ready": the pool decides whether it is broken. */
#include "daemon/host.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/boards.h"
#include "daemon/box.h"
#include "daemon/broken.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/input.h"
#include "daemon/launch.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/output.h"
#include "daemon/pool.h"
#include "daemon/resident.h"
#include "daemon/run.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/utf8.h"
#include "proto/worker.h"

#define ABOUT(p, process) (&(struct log_about){ .pool = (p)->name, .worker = (process) })

enum { READY_SECONDS = 60, SUSPECT_US = 100000, STDERR_READS = 16, LAST_LINE = 500, FUNCTIONS_MAX = 16384 };

static bool on_control(struct stream *st, const uint8_t *bytes, size_t len);
static void on_control_end(struct stream *st, enum stream_end how, enum frame_verdict verdict);
static void on_stderr(evutil_socket_t fd, short what, void *arg);
static void on_exit_(struct child *c, int status);
static void on_timer(struct timer *t);

static const struct stream_ops control_ops = { .on_frame = on_control, .on_end = on_control_end };

/* ---- starting ---- */

static void
free_host(struct host *h)
{
	if (!h)
		return;
	timer_unset(&h->timer);
	turn_unschedule(&h->freeing);
	for (unsigned i = 0; h->slot && i < h->slots; i++)
		slot_free(h->slot[i]);
	free(h->slot);
	stream_clear(&h->control);
	if (h->err_fd >= 0) {
		event_del(&h->err_event);
		close(h->err_fd);
	}
	boards_unmap(h->boards, h->boards_size);
	store_host_gone(h->number);
	box_give_back(h->box);
	free(h->broke);
	free(h);
}

static bool
socket_pair(int *ours, int *theirs)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return false;
	*ours = pair[0];
	*theirs = pair[1];
	return true;
}

/* The boards, mapped here; their descriptor for the host. */
static bool
make_boards(struct host *h, int *fd)
{
	/* A shared host may grow: its boards are there from the start, as pages that nobody touches. */
	unsigned most = h->pool->config->kind == CONFIG_COMMAND || h->pool->config->kind == CONFIG_PROCESS ? h->slots : WORKER_SLOTS_MAX;
	h->places = most;
	h->boards_size = most * (sizeof(struct board) + sizeof(struct ring));
	h->boards = boards_map(h->number, h->boards_size, fd);
	return h->boards != NULL;
}

struct ring *
host_ring(const struct host *h, unsigned n)
{
	return (struct ring *)(void *)(h->boards + h->places) + n;
}

static bool
make_slots(struct host *h, int *theirs)
{
	h->slot = calloc(h->slots, sizeof *h->slot);
	for (unsigned i = 0; h->slot && i < h->slots; i++) {
		int ours;
		if (!socket_pair(&ours, &theirs[i]))
			return false;
		if (!(h->slot[i] = slot_new(h, i, ours, &h->boards[i], host_ring(h, i))))
			return false;
	}
	return h->slot != NULL;
}

static bool
make_control(struct host *h, int *theirs)
{
	int ours;
	if (!socket_pair(&ours, theirs))
		return false;
	if (stream_init(&h->control, ours, run_host_limit() + WORKER_ENVELOPE, &control_ops))
		return true;
	close(ours);
	return false;
}

static bool
make_stderr(struct host *h, int *theirs)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK))
		return false;
	h->err_fd = pair[0];
	*theirs = pair[1];
	fcntl(*theirs, F_SETFL, O_WRONLY); /* the host's end blocks */
	event_assign(&h->err_event, turn_base(), h->err_fd, EV_READ | EV_PERSIST, on_stderr, h);
	return event_add(&h->err_event, NULL) == 0;
}

/* What is not there is /dev/null, so that each has its place. */
static void
give_box(const struct host *h, int *fds)
{
	static int null = -1;

	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; h->box && i < WORKER_BOX_FDS; i++)
		fds[i] = box_task_fds(h->box)[i] >= 0 ? box_task_fds(h->box)[i] : null;
}

/* How many of the host's processes have been killed because memory ran out; without a box that counts, how many of the machine's. */
static uint64_t
count_oom_kills(const struct host *h, bool *sure)
{
	uint64_t count;

	*sure = box_oom_kills(h->box, &count);
	return *sure ? count : launch_oom_kills();
}

/* Where it is sure, it is why the host died, also if we killed it because it did not die fast enough. */
static bool
died_of_oom(struct host *h, int status)
{
	bool sure, more = count_oom_kills(h, &sure) != h->oom_before;

	if (!(more || FAULT(oom_for_any_kill)) || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || (h->killed && !sure))
		return false;
	free(h->broke);
	h->broke = NULL;
	return true;
}

static void
say_hello(struct host *h)
{
	struct buf *b = stream_say(&h->control);
	pack_array(b, 2);
	pack_cstr(b, "hello");
	launch_pack_hello(h->pool, h->slots, h->places * sizeof(struct board), b);
}

static bool
start(struct host *h, int *fds, int err)
{
	struct launch l;
	if (!launch_prepare(h->pool, h->slots, h->box, &l))
		return false;
	h->child.on_exit = on_exit_;
	bool started = child_spawn(&h->child, &l, fds, err);
	int saved = errno;
	box_passed_on(h->box);
	launch_clear(&l);
	errno = saved;
	return started;
}

struct host *
host_new(struct pool *pool, unsigned slots, char *why, size_t why_size)
{
	struct host *h = calloc(1, sizeof *h);
	int *fds = malloc((3 + slots + WORKER_BOX_FDS) * sizeof *fds), err = -1; /* control, boards, slots; not ours to close: the lock, files of the box */
	char box_why[200] = "";
	bool started = false;

	for (unsigned i = 0; fds && i < 2 + slots; i++)
		fds[i] = -1;
	if (h) /* before anything can fail: 0 is a descriptor */
		*h = (struct host){ .number = boards_next_number(), .pool = pool, .slots = slots, .err_fd = -1, .depth = 1, .child.pidfd = -1, .control.fd = -1, .started_us = clock_now() };
	if (h && fds) {
		fds[2 + slots] = lock_fd();
		h->box = box_take(pool->config, box_why, sizeof box_why);
		give_box(h, fds + 3 + slots);
		started = !*box_why && make_control(h, &fds[0]) && make_boards(h, &fds[1]) && make_slots(h, fds + 2) &&
		    make_stderr(h, &err) && start(h, fds, err);
	}
	if (!started)
		snprintf(why, why_size, "a worker could not be started: %s", *box_why ? box_why : strerror(errno));
	for (unsigned i = 0; fds && i < 2 + slots; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (err >= 0)
		close(err);
	free(fds);
	if (!started) {
		free_host(h);
		return NULL;
	}
	lock_note_host(h->child.pid);
	log_about(LOG_LEVEL_DEBUG, "host", ABOUT(pool, h->child.pid), "pool %s: started process %d with %u slots", pool->name, (int)h->child.pid, slots);
	h->oom_before = count_oom_kills(h, &(bool){ false });
	say_hello(h);
	timer_set(&h->timer, clock_now() + READY_SECONDS * SECOND, on_timer);
	return h;
}

/* ---- growing ---- */

/* A new slot's descriptor travels beside its message, so this goes around the stream; nothing may be queued there. */
static bool
send_slot(struct host *h, unsigned index, int theirs)
{
	struct buf b;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };

	buf_init(&b);
	pack_array(&b, 2);
	pack_cstr(&b, "slot");
	pack_uint(&b, index);
	struct iovec iov = { .iov_base = b.data, .iov_len = b.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof theirs);
	memcpy(CMSG_DATA(c), &theirs, sizeof theirs);
	bool sent = stream_queued(&h->control) == 0 && sendmsg(h->control.fd, &msg, MSG_NOSIGNAL) == (ssize_t)b.len;
	buf_clear(&b);
	return sent;
}

/* The place of a slot that the host has given up, else one behind the last. h->slots is the caller's to count up. False: none is left. */
static bool
find_place(struct host *h, unsigned *index)
{
	struct slot **bigger;

	for (*index = 0; *index < h->slots; ++*index) {
		const struct slot *s = h->slot[*index];
		if (s->leaving && s->stream.ended && !s->in_flight && slot_board_is_free(h->slot[*index])) /* the host closed it, so it looks at its board no more */
			return true;
	}
	if (h->slots >= WORKER_SLOTS_MAX || !(bigger = realloc(h->slot, (h->slots + 1) * sizeof *bigger)))
		return false;
	h->slot = bigger;
	return true;
}

static bool
add_slot(struct host *h)
{
	unsigned index;
	int ours, theirs;

	if (!find_place(h, &index) || !socket_pair(&ours, &theirs))
		return false;
	memset(&h->boards[index], 0, sizeof h->boards[index]);
	struct slot *s = slot_new(h, index, ours, &h->boards[index], host_ring(h, index));
	bool sent = s && send_slot(h, index, theirs);
	close(theirs);
	if (!sent) {
		slot_free(s);
		return false;
	}
	if (index < h->slots)
		slot_free(h->slot[index]);
	else
		h->slots++;
	h->slot[index] = s;
	return pool_add_slot(h->pool, s);
}

void
host_grow(struct host *h, unsigned slots)
{
	while (h->state == HOST_READY && !h->suspect && h->can_grow && pool_alive(h->pool) < slots)
		if (!add_slot(h))
			return;
}

uint64_t
host_rss(struct host *h)
{
	uint64_t rss;

	if (clock_now() - h->rss_us < 50000)
		return h->rss;
	h->rss_us = clock_now();
	if ((rss = resident_bytes(h->child.pid)))
		h->rss = rss;
	return h->rss;
}

/* ---- talking ---- */

void
host_say_stop(struct host *h, uint64_t id, unsigned attempt, bool kill, uint64_t grace_us)
{
	struct buf *b = stream_say(&h->control);
	pack_array(b, 5);
	pack_cstr(b, "stop");
	pack_uint(b, id);
	pack_cstr(b, kill ? "kill" : "ask");
	pack_double(b, (double)grace_us / 1e6);
	pack_uint(b, attempt);
}

void
host_say_input(struct host *h, uint64_t id, const void *bytes, size_t len, bool eof)
{
	struct buf *b = stream_say(&h->control);
	pack_array(b, 4);
	pack_cstr(b, "input");
	pack_uint(b, id);
	pack_bin(b, len ? bytes : "", len);
	pack_bool(b, eof);
}

void
host_end(struct host *h, uint64_t grace_us)
{
	uint64_t due = clock_now() + grace_us;

	if (h->state == HOST_ENDING && due < h->timer.due_us)
		timer_set(&h->timer, due, on_timer); /* sooner than was said before */
	if (h->state == HOST_DEAD || h->state == HOST_ENDING)
		return;
	h->state = HOST_ENDING;
	struct buf *b = stream_say(&h->control);
	pack_array(b, 1);
	pack_cstr(b, "end");
	timer_set(&h->timer, due, on_timer);
}

static bool
runs_something(const struct host *h)
{
	for (unsigned i = 0; i < h->slots; i++)
		if (h->slot[i] && h->slot[i]->in_flight)
			return true;
	return false;
}

void
host_note_answer(struct host *h)
{
	if (h->state == HOST_ENDING && !runs_something(h))
		host_end(h, h->pool->config->grace_us);
}

void
host_kill(struct host *h, const char *why)
{
	if (h->state == HOST_DEAD || h->killed)
		return;
	h->killed = true;
	if (why) {
		log_about(LOG_LEVEL_ERROR, "host", ABOUT(h->pool, h->child.pid), "pool %s: process %d is killed: %s", h->pool->name, (int)h->child.pid, why);
		free(h->broke);
		h->broke = strdup(why);
	}
	for (unsigned i = 0; i < h->slots; i++)
		if (h->slot[i])
			h->slot[i]->leaving = true;
	child_kill(&h->child, SIGKILL);
}

bool
host_was_killed(const struct host *h)
{
	return h->killed;
}

void
host_suspect(struct host *h)
{
	if (h->state == HOST_ENDING) /* it may close what it needs no more; but an answer that has not come cannot come now */
		host_end(h, runs_something(h) ? SUSPECT_US : h->pool->config->grace_us);
	if ((h->state != HOST_READY && h->state != HOST_STARTING) || h->killed)
		return;
	h->suspect = true;
	for (unsigned i = 0; i < h->slots; i++)
		h->slot[i]->leaving = true; /* no more tasks */
	timer_set(&h->timer, clock_now() + SUSPECT_US, on_timer);
}

static void
on_timer(struct timer *t)
{
	struct host *h = container(t, struct host, timer);
	if (h->state == HOST_STARTING)
		host_kill(h, clock_now() - h->started_us < READY_SECONDS * SECOND ? "it closed its sockets before it was ready" : "it was not ready in time");
	else if (h->state == HOST_ENDING)
		host_kill(h, NULL);
	else if (h->state == HOST_READY)
		host_kill(h, h->told_failure ? "it said that it failed, and went on" : "it closed its sockets");
}

/* ---- listening ---- */

/* The names of what it can run, for people to look at: kept where they are a list of names and not too long for that. */
static bool
read_functions(struct host *h, struct reader *r)
{
	struct reader names;
	const uint8_t *raw;
	const char *s;
	size_t raw_len, len;
	uint32_t count;
	bool good;

	if (!read_raw(r, &raw, &raw_len))
		return false;
	reader_init(&names, raw, raw_len);
	good = raw_len <= FUNCTIONS_MAX && reader_peek(&names) == READER_ARRAY && read_array(&names, &count);
	while (good && count--)
		good = reader_peek(&names) == READER_STR && read_text(&names, &s, &len) && utf8_is_valid(s, len);
	bytes_drop(&h->pool->functions);
	if (good && !bytes_copy(&h->pool->functions, raw, raw_len))
		return false;
	bytes_uncount(&h->pool->functions);
	return true;
}

static bool
read_ready(struct host *h, struct reader *r)
{
	uint32_t pairs;
	uint64_t depth = 1;

	if (!read_map(r, &pairs))
		return false;
	while (pairs--) {
		bool known = true;
		if (read_is(r, "depth"))
			known = read_uint(r, &depth);
		else if (read_is(r, "stop"))
			known = read_bool(r, &h->can_stop);
		else if (read_is(r, "grow"))
			known = read_bool(r, &h->can_grow);
		else if (read_is(r, "board"))
			known = read_bool(r, &h->uses_board);
		else if (read_is(r, "ring"))
			known = read_bool(r, &h->uses_ring);
		else if (read_is(r, "stderr"))
			known = read_bool(r, &h->reads_stderr);
		else if (read_is(r, "functions"))
			known = read_functions(h, r);
		else
			known = read_skip(r) && read_skip(r);
		if (!known)
			return false;
	}
	h->depth = !h->uses_board || depth < 1 ? 1 : depth < BOARD_ENTRIES ? (unsigned)depth : BOARD_ENTRIES;
	return true;
}

static bool
on_ready(struct host *h, struct reader *r)
{
	if (h->state == HOST_ENDING || h->suspect)
		return true; /* too late: it was told to end while it loaded, or closed a socket and is about to be killed */
	if (h->state != HOST_STARTING || !read_ready(h, r))
		return false;
	h->state = HOST_READY;
	h->got_ready = true;
	h->reads_stderr = h->reads_stderr && h->places == 1; /* else nobody could say whose it is */
	if (h->reads_stderr && h->err_fd >= 0)
		event_del(&h->err_event);
	timer_unset(&h->timer);
	log_about(LOG_LEVEL_DEBUG, "host", ABOUT(h->pool, h->child.pid), "pool %s: process %d is ready", h->pool->name, (int)h->child.pid);
	pool_host_ready(h->pool, h);
	return true;
}

static bool
on_failed(struct host *h, struct reader *r)
{
	struct bytes error = error_adopt(*r, 0, false);
	if (!bytes_len(&error))
		return false;
	h->told_failure = true;
	broken_host_failed(h->pool, error, true);
	if (h->state == HOST_READY) /* a slot that came later: it is about to exit, if it keeps the contract */
		host_suspect(h);
	return true;
}

static bool
on_taken(struct host *h, struct reader *r)
{
	uint64_t id, n;
	if (!read_uint(r, &id) || !read_uint(r, &n))
		return false;
	for (unsigned i = 0; i < h->slots; i++) {
		struct future *f = h->slot[i] ? slot_running(h->slot[i]) : NULL;
		if (f && f->id == id)
			input_taken(f, n);
	}
	return true;
}

static bool
on_log(struct host *h, struct reader *r)
{
	const char *level, *text;
	size_t level_len, len;
	char name[8];

	if (!read_str(r, &level, &level_len) || !read_str(r, &text, &len))
		return false;
	snprintf(name, sizeof name, "%.*s", (int)level_len, level);
	log_line(log_level_find(name), "task", "pool %s, process %d: %.*s", h->pool->name, (int)h->child.pid, (int)(len < 800 ? len : 800), text);
	return true;
}

static bool
on_control(struct stream *st, const uint8_t *bytes, size_t len)
{
	struct host *h = container(st, struct host, control);
	struct reader r;
	uint32_t count;
	bool good = false;

	reader_init(&r, bytes, len);
	if (read_array(&r, &count) && count) {
		if (read_is(&r, "ready"))
			good = on_ready(h, &r);
		else if (read_is(&r, "failed"))
			good = on_failed(h, &r);
		else if (read_is(&r, "taken"))
			good = on_taken(h, &r);
		else if (read_is(&r, "log"))
			good = on_log(h, &r);
	}
	if (!good)
		host_kill(h, "it said something on its control socket that makes no sense");
	return !st->ended;
}

static void
on_control_end(struct stream *st, enum stream_end how, enum frame_verdict verdict)
{
	struct host *h = container(st, struct host, control);
	(void)verdict;
	if (h->state != HOST_DEAD && h->state != HOST_ENDING && how != STREAM_EOF)
		host_kill(h, how == STREAM_BAD ? "it said something on its control socket that is no message" : "out of memory");
	else
		host_suspect(h);
}

/* Keeps the last bytes. */
void
host_keep_stderr(struct host *h, const char *bytes, size_t len)
{
	if (len >= HOST_STDERR_TAIL) {
		memcpy(h->err_tail, bytes + len - HOST_STDERR_TAIL, HOST_STDERR_TAIL);
		h->err_len = HOST_STDERR_TAIL;
		return;
	}
	size_t keep = h->err_len + len > HOST_STDERR_TAIL ? HOST_STDERR_TAIL - len : h->err_len;
	memmove(h->err_tail, h->err_tail + h->err_len - keep, keep);
	memcpy(h->err_tail + keep, bytes, len);
	h->err_len = keep + len;
}

static void
on_stderr(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	char bytes[4096];
	(void)what;

	ssize_t n = read(fd, bytes, sizeof bytes);
	if (n > 0) {
		struct future *f = h->reads_stderr ? slot_running(h->slot[0]) : NULL;
		host_keep_stderr(h, bytes, (size_t)n);
		if (f) { /* it died before it could read that itself */
			output_append(f, OUTPUT_STDERR, bytes, (size_t)n);
			return;
		}
		log_about(LOG_LEVEL_WARN, "host", ABOUT(h->pool, h->child.pid), "pool %s, process %d: %.*s", h->pool->name, (int)h->child.pid, (int)(n < 900 ? n : 900), bytes);
	} else if (n == 0 || errno != EAGAIN) {
		event_del(&h->err_event);
		close(h->err_fd);
		h->err_fd = -1;
	}
}

/* ---- the end ---- */

static void
free_item(struct turn_item *item)
{
	struct host *h = container(item, struct host, freeing);
	free_host(h);
}

/* Why it was no use, for the pool's reason: how it ended, and the last line that it wrote to 2. */
static struct bytes
early_death(const struct host *h, int status, const char *before)
{
	size_t end = h->err_len, at;

	while (end && strchr("\n\r ", h->err_tail[end - 1]))
		end--;
	for (at = end; at && h->err_tail[at - 1] != '\n' && end - at < LAST_LINE;)
		at--;
	return error_bytes(STATUS_BROKEN_POOL, 0, "its workers end before they %s (%s %d)%s%.*s", before, WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), end ? ": " : "", (int)(end - at), h->err_tail + at);
}

/* It was ready, and is dead. A task that kills its worker costs itself only; a host that dies of itself costs a start, and so does one that never
 * began a task, whatever was sent to it: else what it cannot take would be sent to one after the other. */
static void
judge_death(struct host *h, int status, bool had_task, uint64_t begun)
{
	if (!h->killed)
		log_about(LOG_LEVEL_WARN, "host", ABOUT(h->pool, h->child.pid), "pool %s: process %d died (%s %d)", h->pool->name, (int)h->child.pid,
		    WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (h->killed && h->broke && !begun)
		broken_host_failed(h->pool, error_bytes(STATUS_BROKEN_POOL, 0, "a worker was killed: %s", h->broke), false);
	else if (!h->killed && had_task && !begun)
		broken_host_failed(h->pool, early_death(h, status, "begin a task"), false);
	else if (!h->killed && !had_task)
		broken_host_failed(h->pool, (struct bytes){ .len = 0 }, false);
}

static void
on_exit_(struct child *c, int status)
{
	struct host *h = container(c, struct host, child);
	struct pool *pool = h->pool;
	enum host_state before = h->state;
	uint64_t begun = 0;
	bool had_task = false;

	lock_forget_host(c->pid);
	stream_drain(&h->control);
	for (unsigned i = 0; i < h->slots; i++)
		slot_drain(h->slot[i]);
	for (int i = 0; i < STDERR_READS && h->err_fd >= 0; i++) /* a pipe holds no more than that */
		on_stderr(h->err_fd, 0, h);
	h->state = HOST_DEAD;
	h->oom = died_of_oom(h, status);
	timer_unset(&h->timer);
	box_kill(h->box); /* whatever it left */
	child_kill_strays();
	pool_hold(pool);
	for (unsigned i = 0; i < h->slots; i++) {
		had_task |= h->slot[i]->in_flight != 0;
		pool_remove_slot(pool, h->slot[i]);
		slot_settle(h->slot[i], status);
		begun += h->slot[i]->served; /* less what was taken back just now */
		rings_forget(&h->slot[i]->ring);
		stream_clear(&h->slot[i]->stream);
	}
	stream_clear(&h->control);
	if (before == HOST_STARTING && !h->told_failure && !h->pool->gone) {
		log_about(LOG_LEVEL_ERROR, "host", ABOUT(pool, c->pid), "pool %s: process %d ended before it was ready (%s %d)", pool->name, (int)c->pid,
		    WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		broken_host_failed(pool, early_death(h, status, "are ready"), false);
	} else if (before == HOST_READY && !pool->gone) {
		judge_death(h, status, had_task, begun);
	}
	pool_host_gone(pool, h);
	pool_drop(pool);
	turn_schedule(TURN_FREE, &h->freeing, free_item);
}

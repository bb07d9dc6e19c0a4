/* Control: with FUTURED_FUZZ_CONTROL=result in the environment, a client that is told the value of a task is a crash; with =lost, so is one that is told
 * that a worker died, with =damaged, that a record was. Inputs that are known to get there must crash then: else nothing gets there. */
#include "tests/fuzz/core.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "config/config.h"
#include "daemon/child.h"
#include "daemon/conn.h"
#include "daemon/container.h"
#include "daemon/future.h"
#include "daemon/host.h"
#include "daemon/launch.h"
#include "daemon/login.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/server.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "daemon/turn.h"
#include "proto/board.h"
#include "proto/buf.h"
#include "proto/frame.h"
#include "proto/pack.h"
#include "proto/reader.h"
#include "proto/ring.h"
#include "proto/worker.h"

#define MUST(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

enum {
	CLIENTS = 4, HEAD = 4, CLEARING_TURNS = 1000, SLOTS_MAX = WORKER_SLOTS_MAX, WORKERS_KEPT = 8, RELOADS_MAX = 100, RUNNING_MAX = 256, FIRST_PID = 5000000, KEPT_INPUTS = 4096, KEPT_BYTES = 4096,
	SERVE_NOT_READY = 1, SERVE_NO_BOARD = 2, SERVE_FAIL = 4, SERVE_OUTPUT = 8, SERVE_ONE = 16, SERVE_CANCELLED = 32, SERVE_LARGE = 64, SERVE_CLAIM_ONLY = 128,
};

struct running {
	unsigned slot, entry;
	uint64_t id;
	bool command, claimed;
};

struct pipe_in { /* frames from a socket */
	struct buf in;
	struct frame_scan scan;
	size_t scanned;
};

struct worker {
	struct child *child;
	struct pipe_in heard, slot_heard[SLOTS_MAX];
	int control, err, slot[SLOTS_MAX];
	unsigned slots;
	uint8_t *boards;
	size_t boards_size;
	struct running running[RUNNING_MAX];
	unsigned count;
	bool greeted, command, doomed, asked_to_end;
	int status;
	struct worker *next, *prev;
};

static struct worker *workers;
static struct child *children;
static pid_t next_pid = FIRST_PID;
static int clients[CLIENTS] = { -1, -1, -1, -1 };
static struct pipe_in client_heard[CLIENTS];
static struct turn_item awake;
static char directory[40];
static const char *control;
static uint64_t youngest; /* what ids in data are counted from; 0: the last one given */
static void (*told_run)(uint64_t id, bool begun);

/* ---- the inputs so far, of which a crash may be the sum: the last ones are in a file, whatever becomes of us ---- */

static struct kept {
	uint64_t number, size;
	uint8_t data[KEPT_BYTES];
} *kept;

static void
keep_open(void)
{
	const char *path = getenv("FUTURED_FUZZ_HISTORY");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || ftruncate(fd, KEPT_INPUTS * sizeof *kept))
		return;
	kept = mmap(NULL, KEPT_INPUTS * sizeof *kept, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(kept != MAP_FAILED);
	close(fd);
}

void
core_keep(const uint8_t *data, size_t size)
{
	static uint64_t inputs;
	struct kept *k = kept ? &kept[inputs++ % KEPT_INPUTS] : NULL;

	if (!k || size > sizeof k->data)
		return;
	k->number = inputs;
	k->size = size;
	if (size)
		memcpy(k->data, data, size);
}

/* ---- in place of daemon/child.c ---- */

bool
child_init(void)
{
	return true;
}

void
child_shutdown(void)
{
}

static unsigned
count_slots(char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, "FUTURED_SLOTS=", 14) == 0)
			return (unsigned)atoi(*env + 14);
	return 0;
}

static int
keep_fd(int fd)
{
	int mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	MUST(mine >= 0);
	return mine;
}

static int
keep_socket(int fd)
{
	int mine = keep_fd(fd);
	fcntl(mine, F_SETFL, O_RDWR | O_NONBLOCK);
	return mine;
}

static void
pipe_in_init(struct pipe_in *p)
{
	buf_init(&p->in);
	frame_scan_init(&p->scan, 1u << 24);
	p->scanned = 0;
}

bool
child_spawn(struct child *c, const struct launch *l, const int *fds, int err)
{
	struct worker *w = calloc(1, sizeof *w);
	struct stat st;

	MUST(w != NULL);
	w->child = c;
	w->slots = count_slots(l->env);
	MUST(w->slots >= 1 && w->slots <= SLOTS_MAX && l->become.fds >= 2 + w->slots);
	pipe_in_init(&w->heard);
	w->control = keep_socket(fds[0]);
	MUST(fstat(fds[1], &st) == 0);
	w->boards_size = (size_t)st.st_size;
	w->boards = mmap(NULL, w->boards_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
	MUST(w->boards != MAP_FAILED);
	for (unsigned i = 0; i < w->slots; i++) {
		w->slot[i] = keep_socket(fds[2 + i]);
		pipe_in_init(&w->slot_heard[i]);
	}
	w->err = keep_fd(err);
	fcntl(w->err, F_SETFL, O_WRONLY | O_NONBLOCK);
	c->pid = next_pid++;
	c->pidfd = -1;
	DL_APPEND(children, c);
	DL_APPEND(workers, w);
	return true;
}

void
child_kill(struct child *c, int sig)
{
	struct worker *w;
	DL_SEARCH_SCALAR(workers, w, child, c);
	if (w && !w->doomed) {
		w->doomed = true;
		w->status = sig;
	}
}

void
child_kill_strays(void)
{
}

bool
child_any(void)
{
	return children != NULL;
}

bool
child_has_strays(void)
{
	return false;
}

/* ---- workers ---- */

static void
end_worker(struct worker *w)
{
	struct child *c = w->child;
	int status = w->status;

	DL_DELETE(workers, w);
	DL_DELETE(children, c);
	close(w->control);
	close(w->err);
	buf_clear(&w->heard.in);
	for (unsigned i = 0; i < w->slots; i++) {
		if (w->slot[i] >= 0)
			close(w->slot[i]);
		buf_clear(&w->slot_heard[i].in);
	}
	munmap(w->boards, w->boards_size);
	free(w);
	c->on_exit(c, status);
}

static void
bury(void)
{
	struct worker *w, *next;
	DL_FOREACH_SAFE(workers, w, next)
		if (w->doomed)
			end_worker(w);
}

static void
say_bytes(int fd, const void *bytes, size_t len)
{
	if (len && send(fd, bytes, len, MSG_NOSIGNAL) < 0)
		return; /* full, or closed at the other end: a broken worker's problem */
}

static void
say(int fd, struct buf *b)
{
	say_bytes(fd, b->data, b->len);
	buf_clear(b);
}

/* Passes over the whole frames that have come, and calls `on_frame` for each. What the daemon says is well-formed, whatever it was told. */
static void
take_frames(struct pipe_in *p, struct worker *w, unsigned slot, void (*on_frame)(struct worker *, unsigned slot, struct reader *))
{
	while (p->scanned < p->in.len) {
		size_t used;
		enum frame_verdict v = frame_scan(&p->scan, p->in.data + p->scanned, p->in.len - p->scanned, &used);
		struct reader r;

		p->scanned += used;
		MUST(v == FRAME_MORE || v == FRAME_DONE);
		if (v == FRAME_MORE)
			return;
		reader_init(&r, p->in.data, p->scanned);
		if (on_frame)
			on_frame(w, slot, &r);
		buf_drain(&p->in, p->scanned);
		p->scanned = 0;
	}
}

static void
hear(struct worker *w, int fd, struct pipe_in *p, unsigned slot, void (*on_frame)(struct worker *, unsigned slot, struct reader *))
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary;
	char bytes[65536];
	struct iovec iov = { bytes, sizeof bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary };
	ssize_t n;

	while ((n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC)) > 0) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		if (c && c->cmsg_type == SCM_RIGHTS && w->slots < SLOTS_MAX) { /* one slot more */
			memcpy(&w->slot[w->slots], CMSG_DATA(c), sizeof(int));
			fcntl(w->slot[w->slots], F_SETFL, O_RDWR | O_NONBLOCK);
			pipe_in_init(&w->slot_heard[w->slots++]);
		} else if (c && c->cmsg_type == SCM_RIGHTS) {
			int extra;
			memcpy(&extra, CMSG_DATA(c), sizeof extra);
			close(extra);
		}
		buf_append(&p->in, bytes, (size_t)n);
		m.msg_controllen = sizeof ancillary;
	}
	take_frames(p, w, slot, on_frame);
}

static void
on_control(struct worker *w, unsigned slot, struct reader *r)
{
	uint32_t count;
	(void)slot;

	MUST(read_array(r, &count));
	if (read_is(r, "end"))
		w->asked_to_end = true;
	else if (read_is(r, "hello"))
		w->greeted = true;
}

static void
on_run(struct worker *w, unsigned slot, struct reader *r)
{
	uint64_t entry, id;
	uint32_t count;

	if (!read_array(r, &count) || !read_is(r, "run") || !read_uint(r, &entry) || !read_uint(r, &id) || w->count == RUNNING_MAX)
		return;
	w->running[w->count++] = (struct running){ .slot = slot, .entry = (unsigned)entry, .id = id };
	if (told_run)
		told_run(id, false);
}

static struct board_entry *
entry_of(struct worker *w, const struct running *t)
{
	struct board *boards = (struct board *)(void *)w->boards;
	return &boards[t->slot].entry[t->entry % BOARD_ENTRIES];
}

static void
answer(struct worker *w, const struct running *t, unsigned how)
{
	static const uint8_t filler[65536];
	struct buf b;

	buf_init(&b);
	if (how & SERVE_OUTPUT) {
		pack_array(&b, 4);
		pack_cstr(&b, "output");
		pack_uint(&b, t->id);
		pack_cstr(&b, t->id & 1 ? "stdout" : "stderr");
		pack_bin(&b, filler, how & SERVE_LARGE ? sizeof filler : 100);
		pack_array(&b, 5);
		pack_cstr(&b, "progress");
		pack_uint(&b, t->id);
		pack_uint(&b, 1);
		pack_uint(&b, 2);
		pack_cstr(&b, "half");
	}
	pack_array(&b, how & SERVE_CANCELLED ? 2 : 3);
	pack_cstr(&b, how & SERVE_CANCELLED ? "cancelled" : w->command ? "exit" : how & SERVE_FAIL ? "error" : "ok");
	pack_uint(&b, t->id);
	if (!(how & SERVE_CANCELLED) && w->command) {
		pack_map(&b, 3);
		pack_key(&b, "exit");
		pack_uint(&b, how & SERVE_FAIL ? 3 : 0);
		pack_key(&b, "stdout");
		pack_bin(&b, filler, how & SERVE_LARGE ? 30000 : 5);
		pack_key(&b, "rusage");
		pack_map(&b, 0);
	} else if (!(how & SERVE_CANCELLED) && how & SERVE_FAIL) {
		pack_map(&b, 2);
		pack_key(&b, "type");
		pack_cstr(&b, "ValueError");
		pack_key(&b, "message");
		pack_cstr(&b, "as told");
	} else if (!(how & SERVE_CANCELLED)) {
		pack_bin(&b, filler, how & SERVE_LARGE ? 30000 : 5);
	}
	say(w->slot[t->slot], &b);
}

static void
say_ready(struct worker *w, unsigned how)
{
	struct buf b;

	buf_init(&b);
	pack_array(&b, 2);
	pack_cstr(&b, "ready");
	pack_map(&b, 5);
	pack_key(&b, "depth");
	pack_uint(&b, 8);
	pack_key(&b, "stop");
	pack_bool(&b, !(how & SERVE_FAIL));
	pack_key(&b, "grow");
	pack_bool(&b, true);
	pack_key(&b, "board");
	pack_bool(&b, !(how & SERVE_NO_BOARD));
	pack_key(&b, "ring");
	pack_bool(&b, true);
	say(w->control, &b);
}

/* What is there of a host's pool is known to the daemon only; the hello would tell, but this is shorter. */
static bool
runs_commands(const struct worker *w)
{
	for (struct pool *p = pool_first(); p; p = p->next)
		for (struct host *h = p->hosts; h; h = h->next)
			if (&h->child == w->child)
				return pool_is_command(p);
	return false;
}

static void
listen_to_daemon(struct worker *w)
{
	w->command = runs_commands(w);
	hear(w, w->control, &w->heard, 0, on_control);
	for (unsigned i = 0; i < w->slots; i++)
		if (w->slot[i] >= 0)
			hear(w, w->slot[i], &w->slot_heard[i], i, on_run);
}

static void
serve(struct worker *w, unsigned how)
{
	unsigned left = 0;

	listen_to_daemon(w);
	if (w->greeted && !(how & SERVE_NOT_READY)) {
		w->greeted = false;
		say_ready(w, how);
	}
	for (unsigned i = 0; i < w->count; i++) {
		struct running *t = &w->running[i];
		bool mine = t->claimed || board_claim(entry_of(w, t), t->id, 1);
		if (mine && !t->claimed && told_run)
			told_run(t->id, true);
		t->claimed = mine;
		if (mine && !(how & SERVE_CLAIM_ONLY) && !(how & SERVE_ONE && i))
			answer(w, t, how);
		else if (mine)
			w->running[left++] = *t;
	}
	w->count = left;
	if (w->asked_to_end && !w->doomed) {
		w->doomed = true;
		w->status = 0;
	}
}

static struct worker *
worker_at(unsigned who)
{
	struct worker *w;
	unsigned count = 0;

	DL_COUNT(workers, w, count);
	who = count ? who % count : 0;
	DL_FOREACH(workers, w)
		if (!who--)
			break;
	return w;
}

static void
write_ring(struct worker *w, const uint8_t *data, size_t len)
{
	size_t rings = w->boards_size / (sizeof(struct board) + sizeof(struct ring)) * sizeof(struct board);
	struct ring *ring = (struct ring *)(void *)(w->boards + rings);
	uint64_t put = atomic_load(&ring->put);

	for (size_t i = 0; i < len; i++)
		ring->bytes[(put + i) % RING_BYTES] = data[i];
	atomic_store(&ring->put, put + len);
	if (atomic_exchange(&ring->asleep, 0) == 1)
		say_bytes(w->slot[0], ring_wake, RING_WAKE_SIZE);
}

static void
write_boards(struct worker *w, const uint8_t *data, size_t len)
{
	if (len < 2)
		return;
	size_t at = ((size_t)data[0] << 8 | data[1]) * 8 % w->boards_size;
	len -= 2;
	memcpy(w->boards + at, data + 2, len < w->boards_size - at ? len : w->boards_size - at);
}

/* ---- clients ---- */

static void
crash_if_controlled(const uint8_t *bytes, size_t len)
{
	static const struct {
		const char *control, *said;
	} planted[] = { { "result", "\xa6" "stdout\xc4\x05" }, { "lost", "WorkerLostError" }, { "damaged", "its record in the store is damaged" } };

	for (size_t i = 0; control && i < sizeof planted / sizeof *planted; i++)
		if (strcmp(control, planted[i].control) == 0 && memmem(bytes, len, planted[i].said, strlen(planted[i].said)))
			abort();
}

static void
hear_client(unsigned who)
{
	static uint8_t bytes[65536];
	ssize_t n;

	while ((n = recv(clients[who], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
		crash_if_controlled(bytes, (size_t)n);
		buf_append(&client_heard[who].in, bytes, (size_t)n);
	}
	take_frames(&client_heard[who], NULL, 0, NULL);
}

/* Number 2 comes over a network, and has to say who it is. Its socket is like the others': what differs is the login. */
static void
stranger_open(int fd)
{
	static const struct config_listen listen = { .address = "tcp:127.0.0.1:1", .auth = CONFIG_AUTH_TOKEN };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = 1, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct login *login = login_new(&listen, (struct sockaddr *)&from);

	MUST(login != NULL);
	conn_new_remote(fd, login, NULL);
}

static void
client_open(unsigned who)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	clients[who] = pair[0];
	pipe_in_init(&client_heard[who]);
	if (who == 2)
		stranger_open(pair[1]);
	else
		conn_new(pair[1], who == 3 ? 4242 : getuid());
}

static void
client_close(unsigned who)
{
	if (clients[who] < 0)
		return;
	close(clients[who]);
	clients[who] = -1;
	buf_clear(&client_heard[who].in);
}

/* A daemon that ends, and a file made wherever a client says, are not for one that goes on; and each configuration that was once read is kept. */
static bool
is_too_much(const uint8_t *data, size_t len)
{
	static unsigned reloads;
	return memmem(data, len, "shutdown", 8) || memmem(data, len, "backup", 6) || (memmem(data, len, "reload", 6) && ++reloads > RELOADS_MAX);
}

static void
client_say(unsigned who, const uint8_t *data, size_t len)
{
	if (is_too_much(data, len))
		return;
	if (clients[who] < 0)
		client_open(who);
	if (send(clients[who], data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
		client_close(who);
}

/* ---- steps ---- */

static void
do_nothing(struct turn_item *item)
{
	(void)item;
}

static void
turn(void)
{
	turn_schedule(TURN_WORK, &awake, do_nothing); /* so that it does not sleep */
	turn_run();
	if (store_is_durable())
		store_wait(); /* its thread's time is not the input's to say */
	bury();
}

static uint64_t
id_for(unsigned n, const struct worker *w)
{
	if (n >= 128)
		return w && w->count ? w->running[n % w->count].id : 1;
	uint64_t next = youngest ? youngest + 1 : registry_next();
	return next > n ? next - 1 - n : 1;
}

/* A copy of data with the ids put in; static. */
static const uint8_t *
with_ids(const uint8_t *data, size_t len, const struct worker *w)
{
	static uint8_t copy[65536];

	memcpy(copy, data, len);
	for (size_t i = 0; i + 8 <= len; i++) {
		if (memcmp(copy + i, "\xff\xff\xff\xff\xff\xff\xff", 7) != 0)
			continue;
		uint64_t id = id_for(copy[i + 7], w);
		for (int b = 0; b < 8; b++)
			copy[i + (size_t)b] = (uint8_t)(id >> (56 - 8 * b));
		i += 7;
	}
	return copy;
}

static void
worker_step(enum core_step what, struct worker *w, const uint8_t *data, size_t len)
{
	listen_to_daemon(w);
	data = with_ids(data, len, w);
	switch (what) {
	case CORE_ANSWER:
		say_bytes(w->slot[0], data, len);
		break;
	case CORE_CONTROL:
		say_bytes(w->control, data, len);
		break;
	case CORE_RING:
		write_ring(w, data, len);
		break;
	case CORE_BOARD:
		write_boards(w, data, len);
		break;
	case CORE_STDERR:
		if (write(w->err, data, len) < 0)
			break;
		break;
	default:
		w->doomed = true;
		w->status = len ? data[0] & 0x7f ? data[0] & 0x7f : data[0] << 8 : 0;
		break;
	}
}

void
core_take(const struct core_taken *s)
{
	unsigned who = s->who;
	struct worker *w;

	switch (s->what) {
	case CORE_SAY:
		client_say(who % CLIENTS, with_ids(s->data, s->len, NULL), s->len);
		break;
	case CORE_LEAVE:
		client_close(who % CLIENTS);
		break;
	case CORE_HEAR:
		if (clients[who % CLIENTS] >= 0)
			hear_client(who % CLIENTS);
		break;
	case CORE_TURN:
		for (unsigned i = 0; i < who % 8; i++)
			turn();
		break;
	case CORE_SERVE:
		DL_FOREACH(workers, w)
			serve(w, who);
		break;
	default:
		if ((w = worker_at(who)))
			worker_step((enum core_step)s->what, w, s->data, s->len);
	}
	turn();
}

bool
core_next(const uint8_t **data, size_t *size, struct core_taken *out)
{
	const uint8_t *at = *data;

	if (*size < HEAD)
		return false;
	size_t len = (size_t)at[2] | (size_t)at[3] << 8, most = *size - HEAD;
	*out = (struct core_taken){ .what = at[0], .who = at[1], .data = at + HEAD, .len = len < most ? len : most };
	*data += HEAD + out->len;
	*size -= HEAD + out->len;
	return true;
}

/* What is counted in several places is the same everywhere. */
static void
audit(void)
{
	struct future_totals totals = future_totals();
	uint64_t states[FUTURE_STATES] = { 0 };

	for (struct pool *p = pool_first(); p; p = p->next) {
		for (int i = 0; i < FUTURE_STATES; i++)
			states[i] += p->states[i];
		MUST(queue_length(p->queue) <= p->states[FUTURE_PENDING]);
	}
	MUST(states[FUTURE_PENDING] <= totals.states[FUTURE_PENDING] && states[FUTURE_RUNNING] <= totals.states[FUTURE_RUNNING]);
	MUST(totals.unseen <= totals.states[FUTURE_FINISHED]);
}

void
core_end(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (clients[i] >= 0)
			hear_client(i);
		client_close(i);
	}
	for (struct pool *p = pool_first(); p; p = p->next)
		if (p->workers > WORKERS_KEPT)
			pool_resize(p, WORKERS_KEPT / 2);
	for (int i = 0; i < 3; i++)
		turn();
	audit();
}

void
core_run(const uint8_t *data, size_t size, unsigned allowed)
{
	struct core_taken s;

	core_keep(data, size);
	for (unsigned steps = 0; steps < CORE_STEPS_MAX && core_next(&data, &size, &s); steps++)
		if (s.what < CORE_STEPS && allowed & 1u << s.what)
			core_take(&s);
	core_end();
}

/* ---- back to where nothing is there ---- */

/* As a client would have it: released, and cancelled as far as that can be. */
static void
let_go(struct future *f)
{
	bool final = future_is_final(f);

	future_release(f);
	if (!final && (f->place != PLACE_SLOT || slot_take_back(f)))
		future_cancelled(f);
}

/* One that is about to start holds no task, and may be the next input's. */
static bool
may_stay(const struct worker *w)
{
	const struct host *h = container(w->child, struct host, child);
	return h->state == HOST_STARTING && !h->pool->like && !h->pool->gone && !w->doomed;
}

static bool
end_workers(void)
{
	struct worker *w;
	bool any = false;

	DL_FOREACH(workers, w) {
		if (may_stay(w))
			continue;
		host_kill(container(w->child, struct host, child), NULL);
		any = true;
	}
	return any;
}

/* What clients did to it is undone. */
static void
clear_pool(struct pool *p)
{
	pool_pause_by_hand(p, false, NULL);
	if (p->configured && !p->like)
		pool_resize_by_hand(p, p->configured);
	bytes_drop(&p->broken);
	p->failed_starts = 0;
	if (p->like)
		pool_remove(p);
}

static bool
is_clear(void)
{
	struct future_totals totals = future_totals();

	for (int i = 0; i < FUTURE_STATES; i++)
		if (totals.states[i])
			return false;
	for (struct pool *p = pool_first(); p; p = p->next)
		if (p->like)
			return false;
	return true;
}

void
core_clear(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		client_close(i);
	for (int i = 0; i < 2 || (i < CLEARING_TURNS && (end_workers() || !is_clear())); i++) {
		for (struct pool *p = pool_first(), *next; p; p = next) {
			next = p->next;
			clear_pool(p);
		}
		for (uint64_t id = 0; (id = registry_after(id + 1));)
			let_go(registry_find(id));
		turn();
	}
	turn(); /* hosts that ended are freed in the turn after that */
	MUST(is_clear());
	audit();
}

void
core_count_from(uint64_t id)
{
	youngest = id;
}

void
core_on_run(void (*told)(uint64_t id, bool begun))
{
	told_run = told;
}

const char *
core_directory(void)
{
	return directory;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void
remove_directory(void)
{
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Of the token fuzzfuzz…, 32 characters. */
static void
write_tokens(void)
{
	char path[200];

	snprintf(path, sizeof path, "%s/tokens", directory);
	FILE *f = fopen(path, "w");
	MUST(f != NULL);
	fputs("fuzz user never sha256:1ed0dbbf79ece3170918dbeb6628abd9cf385cf6aefc7d9b3f7225eb8e9044d3\n", f);
	fclose(f);
}

void
core_start(void)
{
	char path[200], why[512];
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	const char *store = getenv("FUTURED_FUZZ_STORE");
	control = getenv("FUTURED_FUZZ_CONTROL");
	keep_open();
	snprintf(directory, sizeof directory, "%s/futured-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* memory, if it can be */
	MUST(mkdtemp(directory) != NULL);
	atexit(remove_directory);
	umask(077);
	write_tokens();
	snprintf(path, sizeof path, "%s/futured.yaml", directory);
	FILE *f = fopen(path, "w");
	MUST(f != NULL);
	fprintf(f, "listen: unix:%s/s\nstate_dir: %s/state\ncgroup: none\nretain: 20ms\nlog: {level: %s, tasks: all}\ntokens: tokens\nstore: %s\nsync: \"off\"\n"
		   "limits: {message: 64KiB, queue: 300, memory: 8MiB, requests: 100, output: 256KiB, connections: 100, user: {pending: 40, bytes: 256KiB}}\nclient_pools: {workers: 3, max: 3}\n"
		   "pools:\n  shell: {kind: command, workers: 2, output: 32KiB, spill: 256KiB, grace: 1ms}\n  one: {kind: command, workers: 1, timeout: 50ms, shared: true}\n"
		   "  fn: {kind: process, workers: 2, runtime: [fake], max_tasks_per_worker: 20, idle_timeout: 20ms, grace: 1ms}\n"
		   "  thr: {kind: thread, workers: 3, runtime: [fake], grace: 1ms}\n  lua: {kind: interpreter, workers: 2, grace: 1ms}\n",
	    directory, directory, getenv("FUTURED_FUZZ_LOG") ? "debug" : "error", store ? store : "memory");
	fclose(f);
	struct config *c = config_load(path, stderr);
	MUST(c != NULL);
	if (!server_start(c, why, sizeof why)) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
}

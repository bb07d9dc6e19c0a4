/* How fast one slot of a native host is: a driver that does what the daemon does, and nothing else.
 *
 *	build/bench/host_noop build/libexec/futured-worker build/modules/work.so [seconds [batch [fn]]]
 *
 * It starts the host as a daemon would, sends the task `noop` in batches (64 by default, a whole board) in one write each, keeps
 * the board full while answers come, and prints tasks a second and the processor time that host and driver spent on
 * one. A batch of 1 shows what sending ahead is for. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "proto/board.h"
#include "proto/buf.h"
#include "proto/pack.h"
#include "proto/reader.h"
#include "proto/worker.h"

struct driver {
	pid_t pid;
	int control, slot;
	struct board *board;
	struct buf out, in;
	const char *fn;
	uint64_t next, done; /* ids; the first is 1 */
};

static void
die(const char *what)
{
	fprintf(stderr, "host_noop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double
cpu(int who)
{
	struct rusage r;

	getrusage(who, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void
write_all(int fd, struct buf *b)
{
	size_t sent = 0;

	while (sent < b->len) {
		ssize_t n = send(fd, b->data + sent, b->len - sent, MSG_NOSIGNAL);

		if (n < 0)
			die("send");
		sent += (size_t)n;
	}
	b->len = 0;
}

static void
start(struct driver *d, const char *worker)
{
	int control[2], slot[2], board = memfd_create("board", 0);

	if (board < 0 || ftruncate(board, sizeof(struct board)) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0
		|| socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, slot) < 0)
		die("start");
	d->board = mmap(NULL, sizeof *d->board, PROT_READ | PROT_WRITE, MAP_SHARED, board, 0);
	if (d->board == MAP_FAILED)
		die("mmap");
	d->pid = fork();
	if (d->pid == 0) {
		int from[] = {fcntl(control[1], F_DUPFD, 50), fcntl(board, F_DUPFD, 50), fcntl(slot[1], F_DUPFD, 50)};

		for (int i = 0; i < 3; i++)
			dup2(from[i], WORKER_CONTROL_FD + i);
		close_range(WORKER_SLOT_FD + 1, ~0U, 0);
		setenv("FUTURED_SLOTS", "1", 1);
		execl(worker, worker, (char *)NULL);
		_exit(127);
	}
	close(control[1]);
	close(slot[1]);
	close(board);
	d->control = control[0];
	d->slot = slot[0];
}

static void
say_hello(struct driver *d, const char *module)
{
	struct buf *b = &d->out;
	char answer[65536];

	pack_array(b, 2);
	pack_cstr(b, "hello");
	pack_map(b, 7);
	pack_key(b, "protocol");
	pack_uint(b, WORKER_PROTOCOL);
	pack_key(b, "pool");
	pack_cstr(b, "bench");
	pack_key(b, "kind");
	pack_cstr(b, strstr(module, ".lua") != NULL ? "interpreter" : "process");
	pack_key(b, "slots");
	pack_uint(b, 1);
	pack_key(b, "board");
	pack_uint(b, BOARD_ENTRIES);
	pack_key(b, "message");
	pack_uint(b, 64 * 1024 * 1024);
	pack_key(b, "options");
	pack_map(b, 1);
	if (strstr(module, ".lua") != NULL) {
		pack_key(b, "script");
	} else {
		pack_key(b, "modules");
		pack_array(b, 1);
	}
	pack_cstr(b, module);
	write_all(d->control, b);
	if (recv(d->control, answer, sizeof answer, 0) < 8 || memcmp(answer + 1, "\xa5ready", 6) != 0) {
		fprintf(stderr, "host_noop: the host is not ready\n");
		exit(1);
	}
}

static void
send_tasks(struct driver *d, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t id = ++d->next, entry = id % BOARD_ENTRIES;

		board_send(&d->board->entry[entry], id);
		pack_array(&d->out, 7);
		pack_cstr(&d->out, "run");
		pack_uint(&d->out, entry);
		pack_uint(&d->out, id);
		pack_uint(&d->out, 1);
		pack_cstr(&d->out, d->fn);
		pack_array(&d->out, 0);
		pack_map(&d->out, 0);
	}
	write_all(d->slot, &d->out);
}

/* Takes what answers have come; each must be the next one. */
static void
take_answers(struct driver *d)
{
	struct reader r, whole;
	uint32_t count;
	uint64_t id;
	ssize_t n;

	if (!buf_reserve(&d->in, 65536))
		die("memory");
	n = recv(d->slot, d->in.data + d->in.len, d->in.cap - d->in.len, 0);
	if (n <= 0)
		die("the host is gone");
	d->in.len += (size_t)n;
	reader_init(&r, d->in.data, d->in.len);
	for (whole = r; read_array(&r, &count) && read_is(&r, "ok") && read_uint(&r, &id) && read_skip(&r); whole = r)
		if (id != ++d->done) {
			fprintf(stderr, "host_noop: answer %llu came instead of %llu\n", (unsigned long long)id, (unsigned long long)d->done);
			exit(1);
		}
	buf_drain(&d->in, (size_t)(whole.at - d->in.data));
}

int
main(int argc, char **argv)
{
	double seconds = argc > 3 ? atof(argv[3]) : 2, began, ended, mine, theirs;
	uint64_t batch = argc > 4 ? strtoull(argv[4], NULL, 10) : BOARD_ENTRIES;
	struct driver d = {.fn = argc > 5 ? argv[5] : "noop"};

	if (argc < 3 || batch < 1 || batch > BOARD_ENTRIES) {
		fprintf(stderr, "usage: host_noop WORKER MODULE.so|SCRIPT.lua [SECONDS [BATCH [FN]]]\n");
		return 2;
	}
	start(&d, argv[1]);
	say_hello(&d, argv[2]);
	began = now();
	mine = cpu(RUSAGE_SELF);
	do {
		/* half a board at a time, so that the slot never runs dry */
		if (d.next - d.done <= batch / 2)
			send_tasks(&d, batch - (d.next - d.done));
		take_answers(&d);
		ended = now();
	} while (ended - began < seconds);
	mine = cpu(RUSAGE_SELF) - mine;
	close(d.control);
	waitpid(d.pid, NULL, 0);
	theirs = cpu(RUSAGE_CHILDREN);
	printf("%-12s batch %2llu: %9.0f tasks/s, %5.2f us apart; processor time per task: host %.2f us, driver %.2f us\n", d.fn,
		(unsigned long long)batch, (double)d.done / (ended - began), (ended - began) / (double)d.done * 1e6,
		theirs / (double)d.done * 1e6, mine / (double)d.done * 1e6);
	return 0;
}

/* How many tasks a second command hosts do when they are driven as the daemon drives them: `run` messages sent ahead, answers
 * counted. To be compared with bench/spawn.c, run at the same time of day on the same machine.
 *
 *	host WORKER [HOSTS [COUNT [PROGRAM [DEPTH]]]]      default 2 2000 /bin/true 2
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "proto/board.h"
#include "proto/buf.h"
#include "proto/pack.h"
#include "proto/worker.h"
#include "worker/channel.h"

enum { HOSTS_MAX = 64, LIMIT = 1 << 20 };

struct driven {
	pid_t pid;
	int control;
	struct channel slot;
	struct board *board;
	unsigned next; /* entry */
};

static uint64_t last_id;

static void
must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void
hello(int control)
{
	struct reader message;
	struct channel c;

	channel_init(&c, control, LIMIT);
	pack_array(&c.out, 2);
	pack_cstr(&c.out, "hello");
	pack_map(&c.out, 5);
	pack_key(&c.out, "protocol");
	pack_uint(&c.out, WORKER_PROTOCOL);
	pack_key(&c.out, "kind");
	pack_cstr(&c.out, "command");
	pack_key(&c.out, "slots");
	pack_uint(&c.out, 1);
	pack_key(&c.out, "board");
	pack_uint(&c.out, BOARD_ENTRIES);
	pack_key(&c.out, "message");
	pack_uint(&c.out, LIMIT);
	must(channel_flush(&c, CHANNEL_WAIT) == CHANNEL_SENT, "hello");
	must(channel_next(&c, CHANNEL_WAIT, &message, NULL) == CHANNEL_MESSAGE && read_is(&message, "ready"), "ready");
	channel_clear(&c);
}

static void
start(struct driven *d, char *worker)
{
	char *argv[] = { worker, NULL }, *env[] = { (char[]){ "FUTURED_SLOTS=1" }, NULL };
	int control[2], slot[2], board = memfd_create("board", MFD_CLOEXEC);

	must(board >= 0 && ftruncate(board, sizeof(struct board)) == 0, "board");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == 0, "socketpair");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, slot) == 0, "socketpair");
	d->board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, board, 0);
	must(d->board != MAP_FAILED, "mmap");
	d->pid = fork();
	if (d->pid == 0) {
		int from[] = { fcntl(control[1], F_DUPFD, 100), fcntl(board, F_DUPFD, 100), fcntl(slot[1], F_DUPFD, 100) };

		for (int i = 0; i < 3; i++)
			dup2(from[i], WORKER_CONTROL_FD + i);
		close_range(WORKER_SLOT_FD + 1, ~0U, 0);
		execve(worker, argv, env);
		_exit(127);
	}
	close(control[1]);
	close(slot[1]);
	close(board);
	d->control = control[0];
	channel_init(&d->slot, slot[0], LIMIT);
	hello(d->control);
}

static void
send_task(struct driven *d, const char *program)
{
	struct buf *b = &d->slot.out;
	size_t entries = 0;

	while (environ[entries] != NULL)
		entries++; /* what bench/spawn.c passes, too */
	board_send(&d->board->entry[d->next], ++last_id);
	pack_array(b, 7);
	pack_cstr(b, "run");
	pack_uint(b, d->next);
	pack_uint(b, last_id);
	pack_uint(b, 1);
	pack_cstr(b, program);
	pack_array(b, 0);
	pack_map(b, 1);
	pack_key(b, "env");
	pack_array(b, entries);
	for (size_t i = 0; i < entries; i++)
		pack_bin(b, environ[i], strlen(environ[i]));
	d->next = (d->next + 1) % BOARD_ENTRIES;
	must(channel_flush(&d->slot, CHANNEL_WAIT) == CHANNEL_SENT, "send");
}

/* Counts the answers that have come and sends as many tasks. Returns how many came. */
static long
turn(struct driven *d, const char *program, long *to_send)
{
	struct reader message;
	long came = 0;

	for (;;) {
		switch (channel_next(&d->slot, CHANNEL_NOW, &message, NULL)) {
		case CHANNEL_MESSAGE:
			came += read_is(&message, "exit");
			if (*to_send > 0) {
				send_task(d, program);
				--*to_send;
			}
			break;
		case CHANNEL_EMPTY:
			return came;
		default:
			must(0, "a host ended");
		}
	}
}

int
main(int argc, char **argv)
{
	long hosts = argc > 2 ? strtol(argv[2], NULL, 10) : 2, count = argc > 3 ? strtol(argv[3], NULL, 10) : 2000;
	long depth = argc > 5 ? strtol(argv[5], NULL, 10) : 2, to_send = count, done = 0;
	const char *program = argc > 4 ? argv[4] : "/bin/true";
	static struct driven driven[HOSTS_MAX];
	struct pollfd on[HOSTS_MAX];
	double begin;

	if (argc < 2 || hosts < 1 || hosts > HOSTS_MAX || depth < 1 || depth > BOARD_ENTRIES / 2)
		return 2;
	for (long i = 0; i < hosts; i++) {
		start(&driven[i], argv[1]);
		on[i] = (struct pollfd){ .fd = driven[i].slot.fd, .events = POLLIN };
	}
	begin = now();
	for (long i = 0; i < hosts * depth && to_send > 0; i++, to_send--)
		send_task(&driven[i % hosts], program);
	while (done < count) {
		poll(on, (nfds_t)hosts, -1);
		for (long i = 0; i < hosts; i++)
			if (on[i].revents != 0)
				done += turn(&driven[i], program, &to_send);
	}
	printf("host  %.0f/s\n", (double)count / (now() - begin));
	for (long i = 0; i < hosts; i++) {
		close(driven[i].control);
		waitpid(driven[i].pid, NULL, 0);
	}
	return 0;
}

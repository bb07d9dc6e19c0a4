/* The limit: what a message costs that goes from a client through a relay to a worker and back, over Unix sockets, with nothing else
 * done: no tasks, no bounds, no state. Nothing that stands between clients and workers can be faster than that, unless it uses
 * something better than a socket.
 *
 *	relay [DEPTH [COUNT]]      default 1 100000; DEPTH messages are in flight; above 1 everybody reads as many as have come; with 1,
 *	                           `us` is the median of the round trips
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

enum { SIZE = 32, ROOM = 256 * 1024 };

static char bytes[ROOM];
static double samples[1 << 20]; /* µs */

static void
must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(1);
	}
}

static void
put(int fd, ssize_t len)
{
	for (ssize_t at = 0, n; at < len; at += n)
		must((n = send(fd, bytes + at, (size_t)(len - at), MSG_NOSIGNAL)) > 0, "send");
}

/* Answers whatever comes. */
static void
work(int fd)
{
	ssize_t n;

	while ((n = recv(fd, bytes, ROOM, 0)) > 0)
		put(fd, n);
	_exit(0);
}

/* Both ways at once, so it must wait for both. */
static void
relay(int client, int worker)
{
	struct epoll_event on[] = { { .events = EPOLLIN, .data.fd = client }, { .events = EPOLLIN, .data.fd = worker } }, came[2];
	int set = epoll_create1(0);

	must(!epoll_ctl(set, EPOLL_CTL_ADD, client, &on[0]) && !epoll_ctl(set, EPOLL_CTL_ADD, worker, &on[1]), "epoll_ctl");
	for (;;) {
		int count = epoll_wait(set, came, 2, -1);

		for (int i = 0; i < count; i++) {
			ssize_t n = recv(came[i].data.fd, bytes, ROOM, 0);

			if (n <= 0)
				_exit(0);
			put(came[i].data.fd == client ? worker : client, n);
		}
	}
}

int
main(int argc, char **argv)
{
	long depth = argc > 1 ? strtol(argv[1], NULL, 10) : 1, count = argc > 2 ? strtol(argv[2], NULL, 10) : 100000;
	int up[2], down[2];

	if (depth < 1 || depth > ROOM / SIZE / 8 || count < depth || count > 1000000000)
		return 2;
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, up) && !socketpair(AF_UNIX, SOCK_STREAM, 0, down), "socketpair");
	if (fork() == 0) {
		close(up[0]), close(up[1]), close(down[0]);
		work(down[1]);
	}
	if (fork() == 0) {
		close(up[0]), close(down[1]);
		relay(up[1], down[0]);
	}
	close(up[1]), close(down[0]), close(down[1]);

	double begin = now(), last = begin;
	long trips = 0;
	long sent = depth * SIZE, got = 0, all = count * SIZE;
	put(up[0], sent);
	while (got < all) {
		ssize_t n = recv(up[0], bytes, ROOM, 0);

		must(n > 0, "recv");
		got += n;
		if (depth == 1 && got % SIZE == 0 && trips < (long)(sizeof samples / sizeof *samples)) {
			double t = now();

			samples[trips++] = (t - last) * 1e6;
			last = t;
		}
		long more = (got / SIZE + depth) * SIZE < all ? (got / SIZE + depth) * SIZE - sent : all - sent;
		put(up[0], more);
		sent += more;
	}
	double seconds = now() - begin;
	qsort(samples, (size_t)trips, sizeof *samples, ascending);
	printf("us %.2f\nrate %.0f\n", trips > 0 ? samples[trips / 2] : seconds * 1e6 / (double)count, (double)count / seconds);
	close(up[0]);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* Other limits of the machine, beside bench/relay.c and bench/spawn.c.
 *
 *	limits copy SIZE COUNT     so many bytes to another process and back, over a Unix socket; megabytes a second, one way
 *	limits whole SIZE COUNT    the same through a relay that takes each message whole before it passes it on, into fresh memory
 *	limits sync FILE COUNT     4 KiB appended and fdatasync'ed, one after another; a second
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

static void
must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(1);
	}
}

static void
put(int fd, const char *bytes, size_t len)
{
	for (ssize_t n; len > 0; bytes += n, len -= (size_t)n)
		must((n = send(fd, bytes, len, MSG_NOSIGNAL)) > 0, "send");
}

static int
get(int fd, char *bytes, size_t len)
{
	for (ssize_t n; len > 0; bytes += n, len -= (size_t)n)
		if ((n = recv(fd, bytes, len, 0)) <= 0)
			return 0;
	return 1;
}

static void
measure_copy(size_t size, size_t count)
{
	char *bytes = calloc(1, size);
	int pair[2];

	must(bytes != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	memset(bytes, 1, size);
	if (fork() == 0) {
		close(pair[0]);
		while (get(pair[1], bytes, size))
			put(pair[1], bytes, size);
		_exit(0);
	}
	close(pair[1]);
	double begin = now();
	for (size_t i = 0; i < count; i++) {
		put(pair[0], bytes, size);
		must(get(pair[0], bytes, size), "recv");
	}
	printf("mb_s %.0f\n", (double)size * (double)count / (now() - begin) / 1e6);
	close(pair[0]);
	wait(NULL);
	free(bytes);
}

/* Passes whole messages on, one way and then the other. */
static void
relay_whole(int client, int worker, size_t size)
{
	for (int from = client, to = worker;; from = from == client ? worker : client, to = to == client ? worker : client) {
		char *bytes = malloc(size);

		must(bytes != NULL, "malloc");
		if (!get(from, bytes, size))
			_exit(0);
		put(to, bytes, size);
		free(bytes);
	}
}

static void
measure_whole(size_t size, size_t count)
{
	char *bytes = calloc(1, size);
	int up[2], down[2];

	must(bytes != NULL && !socketpair(AF_UNIX, SOCK_STREAM, 0, up) && !socketpair(AF_UNIX, SOCK_STREAM, 0, down), "socketpair");
	memset(bytes, 1, size);
	if (fork() == 0) {
		close(up[0]), close(up[1]), close(down[0]);
		for (;;) {
			char *mine = malloc(size);

			must(mine != NULL, "malloc");
			if (!get(down[1], mine, size))
				_exit(0);
			put(down[1], mine, size);
			free(mine);
		}
	}
	if (fork() == 0) {
		close(up[0]), close(down[1]);
		relay_whole(up[1], down[0], size);
	}
	close(up[1]), close(down[0]), close(down[1]);
	double begin = now();
	for (size_t i = 0; i < count; i++) {
		char *mine = malloc(size);

		must(mine != NULL, "malloc");
		put(up[0], bytes, size);
		must(get(up[0], mine, size), "recv");
		free(mine);
	}
	printf("mb_s %.0f\n", (double)size * (double)count / (now() - begin) / 1e6);
	close(up[0]);
	while (wait(NULL) > 0)
		;
	free(bytes);
}

static void
measure_sync(const char *path, size_t count)
{
	static const char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0, path);
	double begin = now();
	for (size_t i = 0; i < count; i++)
		must(write(fd, block, sizeof block) == sizeof block && fdatasync(fd) == 0, "fdatasync");
	printf("rate %.0f\n", (double)count / (now() - begin));
	unlink(path);
}

int
main(int argc, char **argv)
{
	size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

	if (count == 0)
		return 2;
	if (strcmp(argv[1], "copy") == 0)
		measure_copy(strtoul(argv[2], NULL, 10), count);
	else if (strcmp(argv[1], "whole") == 0)
		measure_whole(strtoul(argv[2], NULL, 10), count);
	else if (strcmp(argv[1], "sync") == 0)
		measure_sync(argv[2], count);
	else
		return 2;
	return 0;
}

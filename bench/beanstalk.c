/* beanstalkd's side of bench/peers: each job is put, reserved and deleted, each of them pipelined, by one client that is the worker too.
 * There are no results in beanstalkd.
 *
 *	beanstalk PORT COUNT DEPTH     jobs a second
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/measure.h"

static int fd;
static FILE *in, *out;

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "beanstalk: %s\n", what);
	exit(1);
}

static unsigned long long
expect(const char *word)
{
	unsigned long long id = 0;
	char line[256];

	must(fgets(line, sizeof line, in) != NULL, "no answer");
	must(strncmp(line, word, strlen(word)) == 0, line);
	sscanf(line + strlen(word), "%llu", &id);
	return id;
}

static void
turn(size_t depth, unsigned long long *ids)
{
	char line[64];

	for (size_t i = 0; i < depth; i++)
		fputs("put 0 0 60 4\r\nnoop\r\n", out);
	fflush(out);
	for (size_t i = 0; i < depth; i++)
		expect("INSERTED");
	for (size_t i = 0; i < depth; i++)
		fputs("reserve\r\n", out);
	fflush(out);
	for (size_t i = 0; i < depth; i++) {
		ids[i] = expect("RESERVED");
		must(fgets(line, sizeof line, in) != NULL, "no body");
	}
	for (size_t i = 0; i < depth; i++)
		fprintf(out, "delete %llu\r\n", ids[i]);
	fflush(out);
	for (size_t i = 0; i < depth; i++)
		expect("DELETED");
}

int
main(int argc, char **argv)
{
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, depth = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000, done = 0;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned long long *ids = calloc(depth, sizeof *ids);
	int one = 1;

	if (count == 0 || ids == NULL)
		return 2;
	at.sin_port = htons((in_port_t)strtoul(argv[1], NULL, 10));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	setvbuf(out, NULL, _IOFBF, 1 << 20);
	setvbuf(in, NULL, _IOFBF, 1 << 16);
	double begin = now();
	for (; done < count; done += depth)
		turn(depth, ids);
	printf("rate %.0f\n", (double)done / (now() - begin));
	free(ids);
	return 0;
}

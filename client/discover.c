/* Finding a daemon and connecting to it. */
#include "client/discover.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/blocking.h"
#include "proto/address.h"

/* Adds to a list of places that were tried. An address is quoted: it ends with a colon, or has blanks, as it likes. */
static void
add_why(char *why, size_t size, const char *address, const char *what)
{
	size_t len = strlen(why);

	snprintf(why + len, size - len, "%s'%s': %s", len > 0 ? "; " : "", address, what);
}

static enum futured_status
failed(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
	case ENOTDIR:
	case ETIMEDOUT:
	case EAGAIN: /* a Unix socket's queue stayed full for the whole timeout */
	case EHOSTUNREACH:
	case ENETUNREACH:
		return FUTURED_NO_DAEMON;
	case EACCES:
	case EPERM:
		return FUTURED_PERMISSION;
	case ENOMEM:
		return FUTURED_NO_MEMORY;
	default:
		return FUTURED_SYSTEM;
	}
}

/* A Unix socket that nobody listens on fails at once; one whose queue is full blocks, so the timeout is the socket's. */
static int
connect_unix(const char *path, double timeout)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = (time_t)timeout, .tv_usec = (suseconds_t)((timeout - (double)(time_t)timeout) * 1e6) };
	int fd, error;

	if (strlen(path) >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	while (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0)
		if (errno != EINTR)
			goto fail;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		goto fail;
	return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Whether an attempt that goes on came to an end, good or bad, in time. */
static bool
await_verdict(int fd, double timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	double end = deadline_in(timeout), left = timeout;
	int n;

	while ((n = poll(&p, 1, (int)(left * 1000))) < 0 && errno == EINTR && left > 0)
		left = deadline_left(end);
	return n == 1;
}

static int
connect_one(const struct addrinfo *ai, double timeout)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0, on = 1;
	socklen_t len = sizeof error;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		if (!await_verdict(fd, timeout))
			error = ETIMEDOUT;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error == 0)
			return fd;
		errno = error;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
connect_tcp(const struct address *a, double timeout, const char **why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	char port[8];
	int fd = -1, error;

	snprintf(port, sizeof port, "%u", a->port);
	if ((error = getaddrinfo(a->host, port, &hints, &list)) != 0) {
		*why = gai_strerror(error);
		errno = EHOSTUNREACH;
		return -1;
	}
	for (struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
		fd = connect_one(ai, timeout);
	error = errno;
	freeaddrinfo(list);
	errno = error;
	return fd;
}

static enum futured_status
try_address(const struct address *a, double timeout, int *fd, char *address, size_t address_size, char *why,
	size_t why_size)
{
	const char *text = NULL;
	int error;

	address_format(a, address, address_size);
	*fd = a->type == ADDRESS_UNIX ? connect_unix(a->path, timeout) : connect_tcp(a, timeout, &text);
	if (*fd >= 0)
		return FUTURED_OK;
	error = errno;
	add_why(why, why_size, address, text != NULL ? text : strerror(error));
	return failed(error);
}

static enum futured_status
try_path(const char *path, double timeout, int *fd, char *address, size_t address_size, char *why, size_t why_size)
{
	struct address a = { .type = ADDRESS_UNIX };

	if (strlen(path) >= sizeof a.path) {
		add_why(why, why_size, path, "longer than a socket's path may be");
		return FUTURED_NO_DAEMON;
	}
	memcpy(a.path, path, strlen(path) + 1);
	return try_address(&a, timeout, fd, address, address_size, why, why_size);
}

enum futured_status
discover(const char *wanted, double timeout, int *fd, char *address, size_t address_size, char *why, size_t why_size)
{
	char path[108], reason[256];
	struct address a;
	enum futured_status status;

	why[0] = '\0';
	if (wanted == NULL && (wanted = getenv("FUTURED_ADDRESS")) != NULL && *wanted == '\0')
		wanted = NULL;
	if (wanted != NULL) {
		if (!address_parse(wanted, &a, reason, sizeof reason)) {
			add_why(why, why_size, wanted, reason);
			return FUTURED_VALUE;
		}
		return try_address(&a, timeout, fd, address, address_size, why, why_size);
	}
	if (!address_user_socket(path, sizeof path, reason, sizeof reason))
		snprintf(why, why_size, "your own daemon: %s", reason);
	else if (try_path(path, timeout, fd, address, address_size, why, why_size) == FUTURED_OK)
		return FUTURED_OK;
	status = try_path(ADDRESS_SYSTEM_SOCKET, timeout, fd, address, address_size, why, why_size);
	return status;
}

#include "daemon/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, NAME_SIZE = 256 };

static const char *const names[INHERIT_USES] = { "unix", "tcp", "tls", "http" };

static struct inherited {
	int fd; /* -1: taken */
	enum inherit_use use;
	char path[108]; /* "": no path */
	uint16_t port;  /* 0: not of a network */
} sockets[INHERIT_MAX];
static unsigned count;

/* How many there are, if they are for us. */
static bool
read_count(unsigned *out, char *why, size_t size)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	char *end;

	*out = 0;
	if (!fds || !pid || strtoll(pid, NULL, 10) != (long long)getpid())
		return true;
	unsigned long n = strtoul(fds, &end, 10);
	if (*fds < '0' || *fds > '9' || *end || n > INHERIT_MAX) {
		snprintf(why, size, "LISTEN_FDS: expected 0 to %d, got '%.40s'", INHERIT_MAX, fds);
		return false;
	}
	*out = (unsigned)n;
	return true;
}

static bool
is_unit_name(const char *name)
{
	size_t len = strlen(name);
	return !*name || strcmp(name, "unknown") == 0 || (len > 7 && strcmp(name + len - 7, ".socket") == 0);
}

static bool
find_use(const char *name, int family, enum inherit_use *out)
{
	for (int i = 0; i < INHERIT_USES; i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum inherit_use)i;
			return true;
		}
	}
	*out = INHERIT_UNIX;
	return family == AF_UNIX && is_unit_name(name);
}

static bool
is_listening(int fd)
{
	int type = 0, listening = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static bool
adopt(int fd, const char *name, char *why, size_t size)
{
	union {
		struct sockaddr any;
		struct sockaddr_un sun;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} a = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof a;
	struct inherited *s = &sockets[count];

	if (!is_listening(fd) || getsockname(fd, &a.any, &len)) {
		snprintf(why, size, "descriptor %d ('%.64s') from the service manager is no listening stream socket (Accept=yes cannot be used)", fd, name);
		return false;
	}
	if (!find_use(name, a.any.sa_family, &s->use)) {
		snprintf(why, size, "descriptor %d from the service manager: expected the name unix, tcp, tls or http (FileDescriptorName=), got '%.64s'", fd, name);
		return false;
	}
	if ((s->use == INHERIT_UNIX) != (a.any.sa_family == AF_UNIX) && s->use != INHERIT_HTTP) {
		snprintf(why, size, "descriptor %d from the service manager is named '%.64s', and is %s Unix socket", fd, name,
		    a.any.sa_family == AF_UNIX ? "a" : "no");
		return false;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK)) {
		snprintf(why, size, "descriptor %d from the service manager: %s", fd, strerror(errno));
		return false;
	}
	if (a.any.sa_family == AF_UNIX && len > sizeof(sa_family_t) && a.sun.sun_path[0] == '/')
		snprintf(s->path, sizeof s->path, "%.107s", a.sun.sun_path);
	s->port = a.any.sa_family == AF_INET ? ntohs(a.in.sin_port) : a.any.sa_family == AF_INET6 ? ntohs(a.in6.sin6_port) : 0;
	s->fd = fd;
	count++;
	return true;
}

/* The part of "a:b:c" that *at points to, and on to the next. */
static void
next_name(const char **at, char name[NAME_SIZE])
{
	size_t len = strcspn(*at, ":");
	snprintf(name, NAME_SIZE, "%.*s", (int)(len < NAME_SIZE ? len : NAME_SIZE - 1), *at);
	*at += len + ((*at)[len] == ':');
}

bool
inherit_open(char *why, size_t size)
{
	const char *at = getenv("LISTEN_FDNAMES");
	char name[NAME_SIZE];
	unsigned n;
	bool good = read_count(&n, why, size);

	at = at ? at : "";
	for (unsigned i = 0; good && i < n; i++) {
		next_name(&at, name);
		good = adopt(FIRST_FD + (int)i, name, why, size);
	}
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return good;
}

int
inherit_take(enum inherit_use use, const char *path, uint16_t port)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = sockets[i].fd;
		if (fd < 0 || sockets[i].use != use || (path && strcmp(path, sockets[i].path) != 0) || (port && port != sockets[i].port))
			continue;
		sockets[i].fd = -1;
		return fd;
	}
	return -1;
}

const char *
inherit_unix_path(void)
{
	for (unsigned i = 0; i < count; i++)
		if (sockets[i].use == INHERIT_UNIX && *sockets[i].path)
			return sockets[i].path;
	return NULL;
}

void
inherit_close(void)
{
	for (unsigned i = 0; i < count; i++) {
		if (sockets[i].fd >= 0)
			close(sockets[i].fd);
		sockets[i].fd = -1;
	}
}

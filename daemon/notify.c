#include "daemon/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"

enum { PATIENCE_US = 200000 }; /* a manager whose queue is full is waited for so long */

static int fd = -1;
static uint64_t watchdog_us;

/* WATCHDOG_USEC, if it is meant for us. */
static uint64_t
read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;

	if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid()))
		return 0;
	unsigned long long us = strtoull(usec, &end, 10);
	return *usec >= '0' && *usec <= '9' && !*end && us < UINT64_C(1) << 60 ? us : 0;
}

static bool
connect_to(const char *path, char *why, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_usec = PATIENCE_US };
	size_t len = strlen(path);

	if ((*path != '/' && *path != '@') || len < 2 || len >= sizeof sun.sun_path) {
		snprintf(why, size, "NOTIFY_SOCKET: expected a path or @name of at most %zu bytes, got '%.200s'", sizeof sun.sun_path - 1, path);
		return false;
	}
	memcpy(sun.sun_path, path, len);
	if (*path == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
		return true;
	}
	snprintf(why, size, "NOTIFY_SOCKET: %.200s: %s", path, strerror(errno));
	notify_close();
	return false;
}

bool
notify_open(char *why, size_t size)
{
	const char *path = getenv("NOTIFY_SOCKET");
	bool good = true;

	if (path && *path && (good = connect_to(path, why, size)))
		watchdog_us = read_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return good;
}

bool
notify_is_on(void)
{
	return fd >= 0;
}

uint64_t
notify_watchdog_us(void)
{
	return fd >= 0 ? watchdog_us : 0;
}

void
notify_say(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0 && send(fd, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1, MSG_NOSIGNAL) < 0)
		log_warn("service", "the service manager cannot be told: %s", strerror(errno));
}

void
notify_close(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
}

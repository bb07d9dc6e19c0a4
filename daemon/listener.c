#include "daemon/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/clock.h"
#include "daemon/conn.h"
#include "daemon/container.h"
#include "daemon/log.h"
#include "daemon/timer.h"
#include "daemon/turn.h"

enum { BACKLOG = 4096, ACCEPTS_PER_TURN = 64, FULL_PAUSE_MS = 200 };

struct listener {
	int fd;
	struct event *event;
	struct timer pause; /* no descriptors left: not listened to until then */
	char path[108];     /* "": its file is not ours */
	dev_t dev;          /* of the socket file, so that only our own is removed */
	ino_t ino;
	bool shared;        /* others than our own user and root can connect */
	struct listener *next;
};

static struct listener *listeners;
static mode_t permissions = 0600;
static gid_t group = (gid_t)-1;

void
listener_set_permissions(uint32_t mode, uint32_t gid)
{
	permissions = (mode_t)mode;
	group = (gid_t)gid;
}

bool
listener_is_shared(void)
{
	const struct listener *l;
	LL_FOREACH(listeners, l) {
		if (l->shared)
			return true;
	}
	return false;
}

/* One that somebody else bound. What has no file, in the abstract namespace or on a network, has no permissions either. */
static bool
admits_others(int fd)
{
	struct sockaddr_un sun;
	socklen_t len = sizeof sun;
	struct stat st;

	if (getsockname(fd, (struct sockaddr *)&sun, &len) || sun.sun_family != AF_UNIX || len <= offsetof(struct sockaddr_un, sun_path) || !sun.sun_path[0])
		return true;
	return stat(sun.sun_path, &st) || (st.st_mode & 077) || (st.st_uid != geteuid() && st.st_uid != 0);
}

static void
on_pause_over(struct timer *t)
{
	event_add(container(t, struct listener, pause)->event, NULL);
}

static uid_t
peer_uid(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.uid : (uid_t)-1;
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	(void)what;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client >= 0) {
			conn_new(client, peer_uid(client));
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_error("listener", "cannot accept: %s; trying again in %d ms", strerror(errno), FULL_PAUSE_MS);
			event_del(l->event);
			timer_set(&l->pause, clock_now() + FULL_PAUSE_MS * 1000u, on_pause_over);
		}
		return;
	}
}

static void
listener_free(struct listener *l)
{
	if (l->event)
		event_free(l->event);
	timer_unset(&l->pause);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

/* Whether somebody answers at a socket file. */
static bool
is_live(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool live = fd >= 0 && (connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return live;
}

/* Bound under another name in the same directory, given its permissions, listening, and only then renamed to where clients look. */
static bool
bind_unix(struct listener *l, const char *path, char *why, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX }, temporary = { .sun_family = AF_UNIX };
	struct stat st;

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			snprintf(why, size, "%s is there and is no socket", path);
			return false;
		}
		if (is_live(&sun)) {
			snprintf(why, size, "another daemon answers at %s", path);
			return false;
		}
	}
	if (snprintf(temporary.sun_path, sizeof temporary.sun_path, "%s.%d", path, (int)getpid()) >= (int)sizeof temporary.sun_path) {
		snprintf(why, size, "%s is too long for a socket's path", path);
		return false;
	}
	unlink(temporary.sun_path);
	mode_t before = umask(0177);
	int failed = bind(l->fd, (struct sockaddr *)&temporary, sizeof temporary);
	umask(before);
	if (failed || chown(temporary.sun_path, (uid_t)-1, group) || chmod(temporary.sun_path, permissions) || listen(l->fd, BACKLOG) || rename(temporary.sun_path, path)) {
		snprintf(why, size, "cannot listen at %s: %s", path, strerror(errno));
		unlink(temporary.sun_path);
		return false;
	}
	if (lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	snprintf(l->path, sizeof l->path, "%s", path);
	l->shared = (permissions & 077) != 0;
	return true;
}

/* Its socket listens already. Frees it on failure. */
static bool
begin(struct listener *l, char *why, size_t size)
{
	l->event = event_new(turn_base(), l->fd, EV_READ | EV_PERSIST, on_accept, l);
	if (!l->event || event_add(l->event, NULL)) {
		snprintf(why, size, "out of memory");
		listener_free(l);
		return false;
	}
	LL_PREPEND(listeners, l);
	return true;
}

bool
listener_add(const struct address *a, char *why, size_t size)
{
	struct listener *l;

	if (a->type != ADDRESS_UNIX) {
		snprintf(why, size, "only unix: addresses can be listened at: there is no authentication for others yet");
		return false;
	}
	if (!(l = calloc(1, sizeof *l)) || (l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0) {
		snprintf(why, size, "cannot make a socket: %s", strerror(errno));
		free(l);
		return false;
	}
	if (!bind_unix(l, a->path, why, size)) {
		listener_free(l);
		return false;
	}
	if (!begin(l, why, size))
		return false;
	log_info("listener", "listening at %s", a->path);
	return true;
}

bool
listener_adopt(enum address_type type, int fd, char *why, size_t size)
{
	struct listener *l;

	if (type != ADDRESS_UNIX) {
		snprintf(why, size, "only Unix sockets can be listened at: there is no authentication for others yet");
		close(fd);
		return false;
	}
	if (!(l = calloc(1, sizeof *l))) {
		snprintf(why, size, "out of memory");
		close(fd);
		return false;
	}
	l->fd = fd;
	l->shared = admits_others(fd);
	if (!begin(l, why, size))
		return false;
	log_info("listener", "listening at a socket from the service manager");
	return true;
}

void
listener_close_all(void)
{
	struct listener *l, *next;
	struct stat st;

	LL_FOREACH_SAFE(listeners, l, next) {
		LL_DELETE(listeners, l);
		if (*l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
			unlink(l->path);
		listener_free(l);
	}
}

#include "daemon/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include "daemon/login.h"
#include "daemon/timer.h"
#include "daemon/tls.h"
#include "daemon/turn.h"

enum { BACKLOG = 4096, ACCEPTS_PER_TURN = 64, FULL_PAUSE_MS = 200 };

struct listener {
	int fd;
	const struct config_listen *config;        /* the newest; configurations are kept as long as the daemon */
	struct ssl_ctx_st *context, *next_context; /* tls: what is used, and what a reload is about to use */
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
	return stat(sun.sun_path, &st) || (st.st_mode & 022) || (st.st_uid != geteuid() && st.st_uid != 0);
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

/* The other end may vanish without a word: then the kernel finds out in about two minutes. */
static void
set_options(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 10 }, { IPPROTO_TCP, TCP_KEEPCNT, 6 },
	};

	for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static void
take_remote(struct listener *l, int fd, const struct sockaddr *from)
{
	struct login *login = login_new(l->config, from);
	struct tls *tls = login && l->context ? tls_new(l->context, fd) : NULL;

	if (!login || (l->context && !tls)) {
		login_free(login);
		close(fd);
		return;
	}
	set_options(fd);
	conn_new_remote(fd, login, tls);
}

static void
pause_accepting(struct listener *l, int error)
{
	log_error("listener", "cannot accept: %s; trying again in %d ms", strerror(error), FULL_PAUSE_MS);
	event_del(l->event);
	timer_set(&l->pause, clock_now() + FULL_PAUSE_MS * 1000u, on_pause_over);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	(void)what;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof from;
		int client = accept4(fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0 && from.ss_family != AF_INET && from.ss_family != AF_INET6) {
			conn_new(client, peer_uid(client));
		} else if (client >= 0) {
			take_remote(l, client, (struct sockaddr *)&from);
		} else {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				pause_accepting(l, errno);
			if (errno != EINTR && errno != ECONNABORTED)
				return;
		}
	}
}

static void
listener_free(struct listener *l)
{
	if (l->event)
		event_free(l->event);
	timer_unset(&l->pause);
	tls_context_drop(l->context);
	tls_context_drop(l->next_context);
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
	l->shared = (permissions & 022) != 0;
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

static struct listener *
new_listener(int fd, const struct config_listen *config, char *why, size_t size)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l) {
		snprintf(why, size, "out of memory");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	l->fd = fd;
	l->config = config;
	l->shared = config && config->auth != CONFIG_AUTH_PEER;
	if (config && config->cert && !(l->context = tls_context_new(config, why, size))) {
		listener_free(l);
		return NULL;
	}
	return l;
}

static bool
add_unix(const char *path, const struct config_listen *config, char *why, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct listener *l;

	if (fd < 0) {
		snprintf(why, size, "cannot make a socket: %s", strerror(errno));
		return false;
	}
	if (!(l = new_listener(fd, config, why, size)))
		return false;
	if (!bind_unix(l, path, why, size)) {
		listener_free(l);
		return false;
	}
	if (!begin(l, why, size))
		return false;
	log_info("listener", "listening at %s", path);
	return true;
}

/* Where the socket really is bound, whatever its name was. */
static bool
is_on_loopback(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;

	if (getsockname(fd, (struct sockaddr *)&at, &len))
		return false;
	if (at.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&at)->sin_addr.s_addr) >> 24 == 127;
	return at.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&at)->sin6_addr);
}

static bool
check_plaintext(int fd, const struct config_listen *config, char *why, size_t size)
{
	if (config->cert || config->plaintext || is_on_loopback(fd))
		return true;
	snprintf(why, size, "%s is beyond loopback, where tokens can be read on the way: it needs plaintext: true, or tls:", config->address);
	return false;
}

static bool
add_one(const struct addrinfo *ai, const struct config_listen *config, char *why, size_t size)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	struct listener *l;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd >= 0 && ai->ai_family == AF_INET6) /* 0.0.0.0 and [::] are two addresses */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG)) {
		snprintf(why, size, "cannot listen at %s: %s", config->address, strerror(errno));
		goto fail;
	}
	if (!check_plaintext(fd, config, why, size))
		goto fail;
	return (l = new_listener(fd, config, why, size)) && begin(l, why, size);
fail:
	if (fd >= 0)
		close(fd);
	return false;
}

/* At every address that the name has; one that this machine cannot have (no IPv6) is passed over, where there is another. */
static bool
add_remote(const struct address *a, const struct config_listen *config, char *why, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	unsigned listening = 0;
	char port[8];

	snprintf(port, sizeof port, "%u", (unsigned)a->port);
	int error = getaddrinfo(a->host, port, &hints, &list);
	if (error) {
		snprintf(why, size, "cannot listen at %s: %s", config->address, gai_strerror(error));
		return false;
	}
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		listening += add_one(ai, config, why, size);
	freeaddrinfo(list);
	if (listening)
		log_info("listener", "listening at %s", config->address);
	return listening > 0;
}

bool
listener_add(const struct address *a, const struct config_listen *config, char *why, size_t size)
{
	return a->type == ADDRESS_UNIX ? add_unix(a->path, config, why, size) : add_remote(a, config, why, size);
}

bool
listener_adopt(int fd, const struct config_listen *config, char *why, size_t size)
{
	struct listener *l;

	if (config && config->auth != CONFIG_AUTH_PEER && !check_plaintext(fd, config, why, size)) {
		close(fd);
		return false;
	}
	if (!(l = new_listener(fd, config, why, size)))
		return false;
	l->shared = admits_others(fd);
	if (!begin(l, why, size))
		return false;
	log_info("listener", "listening at a socket from the service manager%s%s", config ? ", " : "", config ? config->address : "");
	return true;
}

/* ---- reloading ---- */

static const struct config_listen *
find_config(const struct config *c, const char *address)
{
	for (size_t i = 0; i < c->listens; i++)
		if (strcmp(c->listen[i].address, address) == 0)
			return &c->listen[i];
	return NULL;
}

bool
listener_prepare(const struct config *c, char *why, size_t size)
{
	struct listener *l;

	listener_discard();
	LL_FOREACH(listeners, l) {
		const struct config_listen *next = l->context ? find_config(c, l->config->address) : NULL;
		if (next && !(l->next_context = tls_context_new(next, why, size))) {
			listener_discard();
			return false;
		}
	}
	return true;
}

void
listener_discard(void)
{
	struct listener *l;

	LL_FOREACH(listeners, l) {
		tls_context_drop(l->next_context);
		l->next_context = NULL;
	}
}

void
listener_commit(const struct config *c)
{
	struct listener *l;

	LL_FOREACH(listeners, l) {
		const struct config_listen *next = l->config ? find_config(c, l->config->address) : NULL;
		if (next)
			l->config = next;
		if (!l->next_context)
			continue;
		tls_context_drop(l->context); /* sessions that began with it keep it */
		l->context = l->next_context;
		l->next_context = NULL;
	}
}

const struct config_listen *
listener_config(const char *address, struct ssl_ctx_st **context)
{
	struct listener *l;

	LL_FOREACH(listeners, l) {
		if (l->config && strcmp(l->config->address, address) == 0) {
			*context = l->context;
			return l->config;
		}
	}
	*context = NULL;
	return NULL;
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

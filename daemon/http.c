/* libevent's evhttp reads and answers; what it lacks is here. It does not bound how many connect, nor how long one may drip a request. So each connection's
 * bufferevent is counted and held until it has been answered or its time is over:
 *
 *     accepted ─► make_peer (held, timed) ─► on_request ─► answered ─► on_answered: let go, evhttp closes it
 *                                       └─► on_deadline: shut down, which evhttp sees as the end, and let go
 *
 * At PEERS_MAX the listeners pause until one has gone, as they do for a while when no descriptor is left. */
#include "daemon/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/server.h"
#include "daemon/tally.h"
#include "daemon/timer.h"
#include "daemon/turn.h"
#include "proto/address.h"

enum { PEERS_MAX = 64, HEADERS_MAX = 8192, IDLE_S = 5, LISTENERS_MAX = 8, LISTEN_BACKLOG = 64 };

#define DEADLINE_US (10 * SECOND)

struct peer {
	struct bufferevent *bev; /* a count of ours on it */
	struct timer deadline;
	struct turn_item letting_go;
	struct peer *next, *prev;
};

struct place {
	struct evconnlistener *listener;
	char path[108]; /* "": its file is not ours */
	dev_t dev;
	ino_t ino;
};

static struct evhttp *server;
static struct place places[LISTENERS_MAX];
static unsigned place_count, peer_count;
static struct peer *peers;
static struct timer pause_timer, lag_timer;
static uint64_t lag_due_us;

/* ---- who is connected ---- */

static void
set_listening(bool listening)
{
	for (unsigned i = 0; i < place_count; i++)
		if (listening)
			evconnlistener_enable(places[i].listener);
		else
			evconnlistener_disable(places[i].listener);
}

static void
free_peer(struct peer *p)
{
	timer_unset(&p->deadline);
	turn_unschedule(&p->letting_go);
	DL_DELETE(peers, p);
	bufferevent_decref(p->bev);
	free(p);
	if (peer_count-- == PEERS_MAX)
		set_listening(true);
}

static void
let_go(struct turn_item *item)
{
	free_peer(container(item, struct peer, letting_go));
}

static void
on_deadline(struct timer *t)
{
	struct peer *p = container(t, struct peer, deadline);

	shutdown(bufferevent_getfd(p->bev), SHUT_RDWR);
	turn_schedule(TURN_FREE, &p->letting_go, let_go);
}

static struct bufferevent *
make_peer(struct event_base *base, void *arg)
{
	struct peer *p = calloc(1, sizeof *p);
	(void)arg;

	if (!p || !(p->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE))) {
		free(p);
		return NULL;
	}
	bufferevent_incref(p->bev);
	DL_APPEND(peers, p);
	timer_set(&p->deadline, clock_now() + DEADLINE_US, on_deadline);
	if (++peer_count == PEERS_MAX)
		set_listening(false);
	return p->bev;
}

static void
on_answered(struct evhttp_request *request, void *arg)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
	struct peer *p;
	(void)arg;

	DL_FOREACH(peers, p)
		if (p->bev == bev)
			break;
	if (p)
		turn_schedule(TURN_FREE, &p->letting_go, let_go);
}

static void
on_pause_over(struct timer *t)
{
	(void)t;
	if (peer_count < PEERS_MAX)
		set_listening(true);
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	log_error("http", "cannot accept: %s; trying again in 1 s", strerror(errno));
	evconnlistener_disable(listener);
	timer_set(&pause_timer, clock_now() + SECOND, on_pause_over);
}

/* ---- answers ---- */

static void
say(struct evhttp_request *request, int status, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Connection", "close");
	evhttp_send_reply(request, status, NULL, body);
}

static void
say_text(struct evhttp_request *request, int status, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body)
		evbuffer_add_printf(body, "%s\n", text);
	say(request, status, "text/plain; charset=utf-8", body);
	if (body)
		evbuffer_free(body);
}

static void
say_metrics(struct evhttp_request *request)
{
	struct evbuffer *body = evbuffer_new();

	if (!body || !metrics_write(body))
		say_text(request, HTTP_INTERNAL, "out of memory");
	else
		say(request, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body);
	if (body)
		evbuffer_free(body);
}

static void
say_ready(struct evhttp_request *request)
{
	char why[300];

	if (server_is_ready(why, sizeof why))
		say_text(request, HTTP_OK, "ready");
	else
		say_text(request, HTTP_SERVUNAVAIL, why);
}

/* A page of the web may have its name resolve to 127.0.0.1, and then read what is there as its own; but it cannot say another name than its own. */
static bool
host_is_here(struct evhttp_request *request)
{
	const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (getsockname(bufferevent_getfd(bev), (struct sockaddr *)&a, &len) || a.ss_family == AF_UNIX || !host)
		return true;
	return strncasecmp(host, "localhost", 9) == 0 ? !host[9] || host[9] == ':' :
	    strncmp(host, "[::1]", 5) == 0 || (strncmp(host, "127.", 4) == 0 && !host[strspn(host, "0123456789.:")]);
}

static void
on_request(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	(void)arg;

	evhttp_request_set_on_complete_cb(request, on_answered, NULL);
	if (!host_is_here(request))
		say_text(request, 421, "Host: expected a name of this machine's loopback");
	else if (path && strcmp(path, "/metrics") == 0)
		say_metrics(request);
	else if (path && strcmp(path, "/healthz") == 0)
		say_text(request, HTTP_OK, "ok");
	else if (path && strcmp(path, "/readyz") == 0)
		say_ready(request);
	else
		say_text(request, HTTP_NOTFOUND, "expected /metrics, /healthz or /readyz");
}

/* ---- how late the loop is ---- */

static void
on_lag(struct timer *t)
{
	uint64_t now = clock_now();

	if (lag_due_us)
		tally_lag(now - lag_due_us);
	lag_due_us = now + SECOND;
	timer_set(t, lag_due_us, on_lag);
}

/* ---- listening ---- */

static bool
start(char *why, size_t size)
{
	if (server)
		return true;
	if (!(server = evhttp_new(turn_base()))) {
		snprintf(why, size, "http: out of memory");
		return false;
	}
	evhttp_set_max_headers_size(server, HEADERS_MAX);
	evhttp_set_max_body_size(server, 0);
	evhttp_set_timeout(server, IDLE_S);
	evhttp_set_allowed_methods(server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_bevcb(server, make_peer, NULL);
	evhttp_set_gencb(server, on_request, NULL);
	on_lag(&lag_timer);
	return true;
}

static struct place *
add_place(int fd, char *why, size_t size)
{
	struct evhttp_bound_socket *bound = NULL;

	if (place_count < LISTENERS_MAX && start(why, size))
		bound = evhttp_accept_socket_with_handle(server, fd);
	if (!bound) {
		snprintf(why, size, "http: %s", place_count == LISTENERS_MAX ? "too many sockets" : "out of memory");
		close(fd);
		return NULL;
	}
	struct place *p = &places[place_count++];
	*p = (struct place){ .listener = evhttp_bound_socket_get_listener(bound) };
	evconnlistener_set_error_cb(p->listener, on_accept_error);
	return p;
}

/* Under another name first, so that nobody finds it before it has its mode; over what an earlier daemon left. */
static int
bind_unix(const char *path, char *why, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		snprintf(why, size, "http: %s is there and is no socket", path);
		return -1;
	}
	if (snprintf(sun.sun_path, sizeof sun.sun_path, "%s.%d", path, (int)getpid()) >= (int)sizeof sun.sun_path) {
		snprintf(why, size, "http: %s is too long for a socket's path", path);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0177);
	int failed = fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof sun);
	umask(before);
	if (!failed && listen(fd, LISTEN_BACKLOG) == 0 && rename(sun.sun_path, path) == 0)
		return fd;
	snprintf(why, size, "http: cannot listen at %s: %s", path, strerror(errno));
	unlink(sun.sun_path);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool
listen_unix(const char *path, char *why, size_t size)
{
	struct stat st;
	int fd = bind_unix(path, why, size);
	struct place *p = fd >= 0 ? add_place(fd, why, size) : NULL;

	if (!p)
		return false;
	if (lstat(path, &st) == 0) {
		p->dev = st.st_dev;
		p->ino = st.st_ino;
		snprintf(p->path, sizeof p->path, "%s", path);
	}
	return true;
}

static bool
is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24) == 127;
	return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static bool
listen_tcp(const struct address *address, char *why, size_t size)
{
	const char *host = strcmp(address->host, "localhost") == 0 ? "127.0.0.1" : address->host;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(address->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(address->port) };
	bool is_6 = inet_pton(AF_INET6, host, &in6.sin6_addr) == 1;
	const struct sockaddr *a = is_6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	int one = 1;

	if ((!is_6 && inet_pton(AF_INET, host, &in.sin_addr) != 1) || !is_loopback(a)) {
		snprintf(why, size, "http: expected a loopback address, got '%.100s'", address->host);
		return false;
	}
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) || bind(fd, a, is_6 ? sizeof in6 : sizeof in) ||
	    listen(fd, LISTEN_BACKLOG)) {
		snprintf(why, size, "http: cannot listen at %.100s port %u: %s", address->host, (unsigned)address->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	return add_place(fd, why, size) != NULL;
}

bool
http_listen(const char *text, char *why, size_t size)
{
	struct address a;

	if (!address_parse(text, &a, why, size) || !(a.type == ADDRESS_UNIX ? listen_unix(a.path, why, size) : listen_tcp(&a, why, size)))
		return false;
	log_info("http", "serving /metrics, /healthz and /readyz at %s", text);
	return true;
}

bool
http_adopt(int fd, char *why, size_t size)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &len) || (a.ss_family != AF_UNIX && !is_loopback((struct sockaddr *)&a))) {
		snprintf(why, size, "http: the socket from the service manager is not of this machine alone: expected a Unix socket or a loopback address");
		close(fd);
		return false;
	}
	if (!add_place(fd, why, size))
		return false;
	log_info("http", "serving /metrics, /healthz and /readyz at a socket from the service manager");
	return true;
}

void
http_close(void)
{
	struct peer *p, *next;
	struct stat st;

	for (unsigned i = 0; i < place_count; i++)
		if (*places[i].path && lstat(places[i].path, &st) == 0 && st.st_dev == places[i].dev && st.st_ino == places[i].ino)
			unlink(places[i].path);
	place_count = 0;
	if (server)
		evhttp_free(server);
	server = NULL;
	DL_FOREACH_SAFE(peers, p, next)
		free_peer(p);
	timer_unset(&pause_timer);
	timer_unset(&lag_timer);
}

/* A task module that waits for the network: fetch(url, timeout) reads a URL over plain HTTP.
 *
 * Such a task spends its time waiting, so a pool of kind thread with many more workers than processors suits it. It looks
 * ten times a second whether it should stop. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <futured_task.h>

enum { URL_SIZE = 4096, BODY_MAX = 16 * 1024 * 1024, SLICE_MS = 100 };

struct url {
	char text[URL_SIZE];
	char host[256];
	char port[8];
	const char *path; /* in text; "/" if there was none */
};

struct fetch {
	struct futured_task *task;
	struct url url;
	int fd;
	double until;      /* CLOCK_MONOTONIC */
	unsigned char *data;
	size_t len, cap;
	int outcome;       /* of the step that failed: FUTURED_FAILED or FUTURED_CANCELLED */
};

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* http://HOST[:PORT][/PATH], no user, no [v6]. */
static bool
url_parse(struct url *u)
{
	const char *host = u->text + strlen("http://"), *end, *colon;
	size_t len;

	if (strncmp(u->text, "http://", strlen("http://")) != 0 || strpbrk(u->text, " \r\n@[]") != NULL)
		return false;
	end = host + strcspn(host, "/?#");
	u->path = *end == '/' ? end : "/";
	colon = memchr(host, ':', (size_t)(end - host));
	len = (size_t)((colon != NULL ? colon : end) - host);
	if (len == 0 || len >= sizeof u->host)
		return false;
	memcpy(u->host, host, len);
	u->host[len] = '\0';
	memcpy(u->port, "80", 3);
	if (colon == NULL)
		return true;
	len = (size_t)(end - colon - 1);
	if (len == 0 || len > 5 || strspn(colon + 1, "0123456789") < len)
		return false;
	memcpy(u->port, colon + 1, len);
	u->port[len] = '\0';
	return true;
}

static bool
failed(struct fetch *f, const char *type, const char *what)
{
	f->outcome = futured_fail(f->task, type, "%s: %s", f->url.text, what);
	return false;
}

/* Waits until the socket is ready. */
static bool
await(struct fetch *f, short events)
{
	struct pollfd p = {f->fd, events, 0};

	for (;;) {
		double left = f->until - now();

		if (futured_stop_requested(f->task)) {
			f->outcome = FUTURED_CANCELLED;
			return false;
		}
		if (left <= 0)
			return failed(f, "TimeoutError", "the server takes too long");
		if (poll(&p, 1, left * 1000 < SLICE_MS ? (int)(left * 1000) + 1 : SLICE_MS) > 0)
			return true;
	}
}

static bool
try_address(struct fetch *f, const struct addrinfo *a)
{
	int error = 0;
	socklen_t size = sizeof error;

	f->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (f->fd < 0)
		return failed(f, "OSError", strerror(errno));
	if (connect(f->fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return failed(f, "ConnectionError", strerror(errno));
		if (!await(f, POLLOUT))
			return false;
	}
	getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error == 0 || failed(f, "ConnectionError", strerror(error));
}

static bool
open_connection(struct fetch *f)
{
	struct addrinfo hints = {0}, *list, *a;
	bool ok = false;
	int rc;

	hints.ai_socktype = SOCK_STREAM;
	rc = getaddrinfo(f->url.host, f->url.port, &hints, &list);
	if (rc != 0)
		return failed(f, "ConnectionError", gai_strerror(rc));
	for (a = list; a != NULL && !ok; a = a->ai_next) {
		if (f->fd >= 0)
			close(f->fd);
		ok = try_address(f, a);
	}
	freeaddrinfo(list);
	return ok;
}

static bool
send_request(struct fetch *f)
{
	char request[URL_SIZE + 512];
	int len = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s:%s\r\nConnection: close\r\n\r\n", f->url.path,
		f->url.host, f->url.port);
	ssize_t n;

	for (int sent = 0; sent < len; sent += (int)n) {
		if (!await(f, POLLOUT))
			return false;
		n = send(f->fd, request + sent, (size_t)(len - sent), MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return failed(f, "ConnectionError", strerror(errno));
		if (n < 0)
			n = 0;
	}
	return true;
}

static bool
make_room(struct fetch *f)
{
	size_t cap = f->cap == 0 ? 16 * 1024 : 2 * f->cap;
	unsigned char *more;

	if (f->len < f->cap)
		return true;
	if (f->len >= BODY_MAX)
		return failed(f, "ValueError", "the answer is larger than 16 MiB");
	more = realloc(f->data, cap);
	if (more == NULL)
		return failed(f, "MemoryError", "out of memory");
	f->data = more;
	f->cap = cap;
	return true;
}

static bool
receive_all(struct fetch *f)
{
	ssize_t n;

	for (;;) {
		if (!make_room(f) || !await(f, POLLIN))
			return false;
		n = recv(f->fd, f->data + f->len, f->cap - f->len, 0);
		if (n == 0)
			return true;
		if (n > 0)
			f->len += (size_t)n;
		else if (errno != EAGAIN)
			return failed(f, "ConnectionError", strerror(errno));
	}
}

/* The value: {status, body}. */
static bool
put_answer(struct fetch *f)
{
	const unsigned char *body = memmem(f->data, f->len, "\r\n\r\n", 4);
	int status;

	if (body == NULL || f->len < 12 || memcmp(f->data, "HTTP/1.", 7) != 0)
		return failed(f, "ValueError", "the answer is not HTTP/1");
	status = (f->data[9] - '0') * 100 + (f->data[10] - '0') * 10 + (f->data[11] - '0');
	body += 4;
	futured_put_map(f->task, 2);
	futured_put_cstr(f->task, "status");
	futured_put_int(f->task, status);
	futured_put_cstr(f->task, "body");
	futured_put_bin(f->task, body, f->len - (size_t)(body - f->data));
	return true;
}

static int
fetch(struct futured_task *t)
{
	struct fetch f = {.task = t, .fd = -1, .outcome = FUTURED_FAILED};
	double timeout = 10;
	bool ok;

	if (!futured_args(t, 1, 2) || !futured_arg_cstr(t, 0, f.url.text, sizeof f.url.text))
		return FUTURED_FAILED;
	if (futured_arg_count(t) == 2 && !futured_arg_double(t, 1, &timeout))
		return FUTURED_FAILED;
	if (!url_parse(&f.url))
		return futured_fail(t, "ValueError", "fetch: \"%s\" is not http://HOST[:PORT][/PATH]", f.url.text);
	f.until = now() + timeout;
	ok = open_connection(&f) && send_request(&f) && receive_all(&f) && put_answer(&f);
	if (f.fd >= 0)
		close(f.fd);
	free(f.data);
	return ok ? FUTURED_OK : f.outcome;
}

static const struct futured_function functions[] = {
	{"fetch", fetch, "fetch(url, timeout=10): {status, body} of a URL over plain HTTP"},
	{NULL, NULL, NULL},
};

FUTURED_MODULE("fetch", functions, NULL, NULL);

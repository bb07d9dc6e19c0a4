/* A connection: made, asked, driven, ended. The descriptor is non-blocking; only futured_step and what is built on it wait. */
#include "client/connection.h"
#include "client/blocking.h"
#include "client/discover.h"
#include "client/follow.h"
#include "client/future.h"
#include "client/resume.h"
#include "client/packer.h"
#include "client/tls.h"
#include "client/token.h"
#include "client/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/address.h"

enum { READ_SIZE = 64 << 10, READ_ROUNDS = 16 };

void
connection_changed(struct futured *c)
{
	if (c->changed != NULL)
		c->changed(c, c->changed_data);
}

struct futured *
futured_new(void)
{
	struct futured *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	core_init(&c->core, c);
	c->core.wanted = connection_changed;
	LIST_INIT(&c->futures);
	c->fd = -1;
	c->pid = getpid();
	c->connect_timeout = 10;
	return c;
}

void
futured_free(struct futured *c)
{
	if (c == NULL)
		return;
	connection_hang_up(c);
	futures_detach(c);
	core_clear(&c->core);
	free(c->wanted);
	free(c->client);
	if (c->token != NULL)
		explicit_bzero(c->token, strlen(c->token));
	free(c->token);
	free(c->token_file);
	free(c->tls_ca);
	free(c->tls_cert);
	free(c->tls_key);
	free(c->task);
	free(c);
}

enum futured_status
connection_failed(struct futured *c, enum futured_status status, const char *text)
{
	if (status == FUTURED_OK)
		return status;
	if (text == NULL && status == c->core.ended)
		text = c->core.reason;
	snprintf(c->error, sizeof c->error, "%s", text != NULL ? text : futured_status_text(status));
	return status;
}

enum futured_status
connection_replied(struct futured *c, const struct futured_reply *reply)
{
	if (reply->status != FUTURED_OK)
		snprintf(c->error, sizeof c->error, "%.*s", (int)reply->error.message_len, reply->error.message);
	return reply->status;
}

enum futured_status
connection_check(struct futured *c)
{
	if (c->pid != getpid())
		return connection_failed(c, FUTURED_FORKED, NULL);
	if (c->core.ended != FUTURED_OK)
		return connection_failed(c, c->core.ended, NULL);
	if (c->fd < 0 && !c->resume.active)
		return connection_failed(c, FUTURED_NO_DAEMON, "not connected");
	return FUTURED_OK;
}

/* ---- settings ---- */

static enum futured_status
set_string(struct futured *c, char **at, const char *text)
{
	char *copy = NULL;

	if (text != NULL && (copy = strdup(text)) == NULL)
		return connection_failed(c, FUTURED_NO_MEMORY, NULL);
	free(*at);
	*at = copy;
	return FUTURED_OK;
}

enum futured_status
futured_set_address(struct futured *c, const char *address)
{
	return set_string(c, &c->wanted, address);
}

enum futured_status
futured_set_connect_timeout(struct futured *c, double seconds)
{
	if (!(seconds > 0 && seconds <= 1e6))
		return connection_failed(c, FUTURED_VALUE, "connect timeout: expected more than 0 and at most 1e6 seconds");
	c->connect_timeout = seconds;
	return FUTURED_OK;
}

enum futured_status
futured_set_hello(struct futured *c, const char *client, const char *token, const char *task)
{
	enum futured_status status = set_string(c, &c->client, client);

	if (status == FUTURED_OK)
		status = set_string(c, &c->token, token);
	if (status == FUTURED_OK)
		status = set_string(c, &c->task, task);
	return status;
}

enum futured_status
futured_set_token_file(struct futured *c, const char *path)
{
	return set_string(c, &c->token_file, path);
}

enum futured_status
futured_set_tls(struct futured *c, const char *ca, const char *cert, const char *key)
{
	enum futured_status status = set_string(c, &c->tls_ca, ca);

	if (status == FUTURED_OK)
		status = set_string(c, &c->tls_cert, cert);
	if (status == FUTURED_OK)
		status = set_string(c, &c->tls_key, key);
	return status;
}

enum futured_status
futured_set_message_limit(struct futured *c, uint64_t bytes)
{
	if (bytes < 1024 || c->fd >= 0)
		return connection_failed(c, FUTURED_VALUE, "message limit: expected at least 1024 bytes, before connecting");
	c->core.limit = bytes;
	return FUTURED_OK;
}

enum futured_status
futured_set_reconnect(struct futured *c, double seconds)
{
	if (!(seconds >= 0 && seconds <= 1e9) || c->fd >= 0)
		return connection_failed(c, FUTURED_VALUE, "reconnect: expected 0 to 1e9 seconds, before connecting");
	c->reconnect = seconds;
	return FUTURED_OK;
}

void
futured_on_wanted(struct futured *c, void (*wanted)(struct futured *c, void *data), void *data)
{
	c->changed = wanted;
	c->changed_data = data;
}

bool
futured_is_connected(const struct futured *c)
{
	return c->fd >= 0 && c->core.ended == FUTURED_OK && !c->resume.active;
}

const char *
futured_address(const struct futured *c)
{
	return c->address;
}

bool
futured_is_own(const struct futured *c)
{
	return c->own;
}

int64_t
futured_daemon_pid(const struct futured *c)
{
	return c->peer;
}

const char *
futured_error_text(const struct futured *c)
{
	return c->error;
}

/* ---- connecting ---- */

/* What was set, else what the environment says; NULL: neither. */
static const char *
setting(const char *set, const char *name)
{
	const char *env = set == NULL ? getenv(name) : NULL;

	return set != NULL ? set : env != NULL && *env != '\0' ? env : NULL;
}

static enum futured_status
secure(struct futured *c, char *why, size_t size)
{
	struct tls_files files = { .ca = setting(c->tls_ca, "FUTURED_TLS_CA"), .cert = setting(c->tls_cert, "FUTURED_TLS_CERT"),
		.key = setting(c->tls_key, "FUTURED_TLS_KEY") };
	enum futured_status status;
	struct address a;
	char sentence[300];

	if (!address_parse(c->address, &a, why, size))
		return FUTURED_VALUE;
	status = tls_connect(c->fd, a.host, &files, c->connect_timeout, &c->tls, sentence, sizeof sentence);
	if (status != FUTURED_OK)
		snprintf(why, size, "%s: %s", c->address, sentence);
	return status;
}

enum futured_status
connection_open(struct futured *c, const char *wanted, char *why, size_t size)
{
	enum futured_status status = discover(wanted, c->connect_timeout, &c->fd, c->address, sizeof c->address, why, size);

	if (status != FUTURED_OK)
		c->fd = -1;
	else if (strncmp(c->address, "tls:", 4) == 0)
		status = secure(c, why, size);
	if (status != FUTURED_OK)
		connection_hang_up(c);
	return status;
}

void
connection_hang_up(struct futured *c)
{
	tls_free(c->tls, c->pid == getpid()); /* from a child a farewell would end the parent's connection */
	c->tls = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* A socket that is for this user alone: the user's own address, or one that nobody else can connect to. The system's is not, whoever it
 * runs as: root that asks a service of root is one of its users. */
static bool
is_private(const char *path)
{
	char own[sizeof ((struct sockaddr_un *)0)->sun_path], why[256];
	struct stat st, system;

	if (stat(path, &st) < 0)
		return false;
	if (stat(ADDRESS_SYSTEM_SOCKET, &system) == 0 && system.st_dev == st.st_dev && system.st_ino == st.st_ino)
		return false;
	return (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (address_user_socket(own, sizeof own, why, sizeof why) && strcmp(path, own) == 0);
}

void
connection_look(struct futured *c)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	c->own = false;
	c->peer = 0;
	if (strncmp(c->address, "unix:", 5) != 0 || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return;
	c->own = cred.uid == getuid() && is_private(c->address + strlen("unix:"));
	c->peer = cred.pid;
}

/* The token to be said; "" for none. One from a file, which nobody chose for this very daemon, is not sent where it could be read on
 * the way. */
static enum futured_status
find_token(struct futured *c, char token[TOKEN_SIZE])
{
	const char *path = setting(c->token_file, "FUTURED_TOKEN_FILE"), *plaintext = getenv("FUTURED_PLAINTEXT");
	char why[300];

	*token = '\0';
	if (strncmp(c->address, "unix:", 5) == 0 || path == NULL || c->token != NULL)
		return FUTURED_OK;
	if (c->tls == NULL && !token_stays_here(c->fd) && (plaintext == NULL || strcmp(plaintext, "1") != 0)) {
		snprintf(c->error, sizeof c->error, "%s: the token of %.200s could be read on the way: use tls:, or set FUTURED_PLAINTEXT=1",
			c->address, path);
		return FUTURED_AUTHENTICATION;
	}
	if (token_read(path, token, why, sizeof why))
		return FUTURED_OK;
	return connection_failed(c, FUTURED_AUTHENTICATION, why);
}

enum futured_status
connection_hello(struct futured *c, struct futured_pack *p)
{
	struct futured_options *o;
	char token[TOKEN_SIZE];
	enum futured_status status = find_token(c, token);

	if (status != FUTURED_OK)
		return status;
	if ((o = futured_options_new()) == NULL)
		return connection_failed(c, FUTURED_NO_MEMORY, NULL);
	futured_options_set(o, "protocol", "i", 1);
	futured_options_set(o, "client", "s", c->client != NULL ? c->client : "libfutured/" FUTURED_VERSION);
	if (c->token != NULL)
		futured_options_set(o, "token", "s", c->token);
	else if (*token != '\0')
		futured_options_set(o, "token", "s", token);
	explicit_bzero(token, sizeof token);
	if (c->task != NULL)
		futured_options_set(o, "task", "s", c->task);
	futured_options_pack(o, p);
	futured_options_free(o);
	return FUTURED_OK;
}

static enum futured_status
say_hello(struct futured *c)
{
	struct futured_reply *reply = NULL;
	enum futured_status status;
	struct futured_pack p;

	packer_init(&p);
	status = connection_hello(c, &p);
	if (status == FUTURED_OK)
		status = futured_call(c, "hello", &p, c->connect_timeout, &reply);
	if (status == FUTURED_OK)
		resume_learn(c, reply);
	if (status == FUTURED_TIMEOUT && reply == NULL) {
		status = FUTURED_NO_DAEMON;
		snprintf(c->error, sizeof c->error, "'%s': no answer to hello", c->address);
	}
	futured_reply_free(reply);
	packer_clear(&p);
	return status;
}

/* Whoever asked before it was accepted is told, and nothing of it is left for the next attempt. */
static void
give_up(struct futured *c, enum futured_status status)
{
	connection_hang_up(c);
	if (c->core.ended != FUTURED_OK)
		return;
	core_end(&c->core, status, c->error);
	connection_failed(c, status, NULL);
	core_restart(&c->core);
}

enum futured_status
futured_connect(struct futured *c)
{
	enum futured_status status;

	if (c->pid != getpid())
		return connection_failed(c, FUTURED_FORKED, NULL);
	if (c->core.dispatching || futured_is_connected(c) || (c->resume.active && c->core.ended == FUTURED_OK))
		return connection_failed(c, FUTURED_INVALID_STATE, "already connected");
	connection_hang_up(c);
	c->instance[0] = '\0';
	c->resume.active = false;
	c->core.keep = c->reconnect > 0;
	core_restart(&c->core);
	status = connection_open(c, c->wanted, c->error, sizeof c->error);
	if (status != FUTURED_OK)
		return status;
	connection_look(c);
	if (c->reconnect > 0 || c->client != NULL || c->token != NULL || c->task != NULL || strncmp(c->address, "unix:", 5) != 0)
		status = say_hello(c);
	if (status != FUTURED_OK)
		give_up(c, status);
	return status;
}

/* ---- driving ---- */

int
futured_fd(const struct futured *c)
{
	return c->fd;
}

short
futured_events(const struct futured *c)
{
	if (c->fd < 0)
		return 0;
	return core_unsent(&c->core) > 0 ? POLLIN | POLLOUT : POLLIN;
}

/* The protocol has no timers on this side, since the daemon keeps every timeout; only trying to reconnect has. */
int
futured_timeout_ms(const struct futured *c)
{
	return resume_timeout_ms(c);
}

size_t
futured_waiting(const struct futured *c)
{
	return c->core.used;
}

size_t
futured_unsent(const struct futured *c)
{
	return core_unsent(&c->core);
}

/* A peer that is gone is noticed by reading, which may still bring its last words; one whose words the kernel will not take is gone from then on. */
static void
write_some(struct futured *c)
{
	while (core_unsent(&c->core) > 0) {
		size_t len;
		const uint8_t *at = core_output(&c->core, &len);
		ssize_t n = c->tls != NULL ? tls_send(c->tls, at, len) : send(c->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n >= 0) {
			core_sent(&c->core, (size_t)n);
			continue;
		}
		core_mute(&c->core);
		shutdown(c->fd, SHUT_RDWR);
	}
}

/* One read and what it brings; false when there is nothing more to read now. */
static bool
read_some(struct futured *c)
{
	size_t want = (size_t)frame_scan_needs(&c->core.scan), room;
	uint8_t *at;
	ssize_t n;

	/* A large answer is read in large steps, but never more is reserved than has come already. */
	if (want > c->core.in.len + READ_SIZE)
		want = c->core.in.len + READ_SIZE;
	if ((at = core_room(&c->core, want > READ_SIZE ? want : READ_SIZE, &room)) == NULL) {
		core_end(&c->core, FUTURED_NO_MEMORY, NULL);
		return false;
	}
	n = c->tls != NULL ? tls_recv(c->tls, at, room) : recv(c->fd, at, room, MSG_DONTWAIT);
	if (n > 0)
		return core_input(&c->core, (size_t)n) == FUTURED_OK && (size_t)n == room;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	connection_lost(c, n == 0 ? "the daemon closed the connection" : c->tls != NULL ? tls_why(c->tls) : strerror(errno));
	return false;
}

void
connection_lost(struct futured *c, const char *why)
{
	if (c->reconnect > 0 && c->instance[0] != '\0')
		resume_begin(c, why);
	else
		core_end(&c->core, FUTURED_LOST, why);
}

enum futured_status
futured_process(struct futured *c)
{
	enum futured_status status = connection_check(c);

	if (status != FUTURED_OK)
		return status;
	if (c->core.dispatching)
		return connection_failed(c, FUTURED_INVALID_STATE, "called from a callback");
	if (c->resume.active)
		resume_tick(c);
	if (c->fd >= 0 && c->core.ended == FUTURED_OK) {
		write_some(c);
		for (int i = 0; i < READ_ROUNDS && read_some(c); i++)
			;
	}
	if (c->fd >= 0 && c->core.ended == FUTURED_OK)
		write_some(c);
	return connection_failed(c, c->core.ended, NULL);
}

/* Milliseconds, rounded up, for poll(2). */
static int
poll_time(double seconds)
{
	if (seconds < 0)
		return -1;
	if (seconds > 1e6)
		return 1000000000;
	return seconds > 0 ? (int)(seconds * 1000 + 0.999) : 0; /* what is no number is no time, as in deadline_left */
}

enum futured_status
futured_step(struct futured *c, double timeout)
{
	enum futured_status status = connection_check(c);
	int own, ms = poll_time(timeout), n;
	struct pollfd p;

	if (status != FUTURED_OK)
		return status;
	if (c->core.dispatching)
		return connection_failed(c, FUTURED_INVALID_STATE, "a blocking call in a callback");
	if (c->fd >= 0)
		write_some(c);
	own = futured_timeout_ms(c);
	p = (struct pollfd){ .fd = c->fd, .events = futured_events(c) };
	n = poll(&p, c->fd >= 0, own >= 0 && (ms < 0 || own < ms) ? own : ms);
	if (n < 0 && errno != EINTR)
		return connection_failed(c, FUTURED_SYSTEM, strerror(errno));
	if (n == 0 && (own < 0 || (ms >= 0 && ms < own)))
		return connection_failed(c, FUTURED_TIMEOUT, NULL);
	return n < 0 ? FUTURED_OK : futured_process(c);
}

/* ---- requests ---- */

enum futured_status
futured_request(struct futured *c, const char *method, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data, uint32_t *msgid)
{
	enum futured_status status = connection_check(c);

	if (status != FUTURED_OK)
		return status;
	status = core_request(&c->core, method, params, done, data, msgid);
	return connection_failed(c, status, status == FUTURED_VALUE ? "the parameters are not packed well" : NULL);
}

enum futured_status
futured_requestf(struct futured *c, void (*done)(struct futured *c, const struct futured_reply *reply, void *data),
	void *data, const char *method, const char *format, ...)
{
	enum futured_status status;
	struct futured_pack p;
	va_list ap;

	packer_init(&p);
	va_start(ap, format);
	futured_vpackf(&p, format, ap);
	va_end(ap);
	status = futured_request(c, method, &p, done, data, NULL);
	packer_clear(&p);
	return status;
}

void
futured_forget(struct futured *c, uint32_t msgid)
{
	core_forget(&c->core, msgid);
}

void
futured_on_notification(struct futured *c,
	void (*heard)(struct futured *c, const char *method, struct futured_value params, void *data), void *data)
{
	c->core.heard = heard;
	c->core.heard_data = data;
}

void
futured_on_done(struct futured *c,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data)
{
	c->core.done = done;
	c->core.done_data = data;
}

enum futured_status
futured_watch(struct futured *c, const uint64_t *ids, size_t n, bool results,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data)
{
	enum futured_status status = connection_check(c);

	if (status != FUTURED_OK)
		return status;
	return connection_failed(c, watch_add(&c->core, ids, n, results, done, data, NULL), NULL);
}

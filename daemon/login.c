#include "daemon/login.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "daemon/access.h"
#include "daemon/clock.h"
#include "daemon/conn.h"
#include "daemon/container.h"
#include "daemon/fault.h"
#include "daemon/log.h"
#include "daemon/request.h"
#include "daemon/tls.h"

/* In the same words whatever was wrong with it, so that nobody learns which secrets once were good. */
static const char not_accepted[] = "hello: token: not accepted (none, wrong, expired or revoked)";

static struct login *waited;
static unsigned waited_count;
static uint64_t accepted_total, refused_total;
static uint64_t max_waited = 256, hello_us = 10 * SECOND;

/* ---- slowing ---- */

enum { SOURCES = 1024, PLACES = 4, DOUBLED_MOST = 5, MESSAGES_MOST = 10 };
static const uint64_t PAUSE_FIRST = 200 * MS, PAUSE_MOST = 5 * SECOND, FORGIVEN = 60 * SECOND, LOG_EVERY = 1 * SECOND;

/* Who failed lately. A table of fixed size: where many fail at once, the longest ago is forgotten. */
static struct source {
	struct in6_addr address;
	uint64_t last_us;   /* 0: free */
	uint64_t logged_us;
	unsigned failures;
	unsigned untold;    /* failures since the last line in the log */
} sources[SOURCES];

static uint32_t
hash_of(const struct in6_addr *address)
{
	uint32_t hash = 2166136261u;

	for (unsigned i = 0; i < sizeof address->s6_addr; i++)
		hash = (hash ^ address->s6_addr[i]) * 16777619u;
	return hash;
}

static struct source *
source_get(const struct in6_addr *address)
{
	uint32_t hash = hash_of(address);
	struct source *best = NULL;

	for (unsigned i = 0; i < PLACES; i++) {
		struct source *s = &sources[(hash + i) % SOURCES];
		if (s->last_us && memcmp(&s->address, address, sizeof *address) == 0)
			return s;
		if (!best || s->last_us < best->last_us)
			best = s;
	}
	*best = (struct source){ .address = *address };
	return best;
}

/* Notes a failure, tells the log where it is time to, and returns how long the answer is to wait. */
static uint64_t
note_failure(const struct login *l, const char *why)
{
	struct source *s = source_get(&l->source);
	uint64_t now = clock_now(), pause = PAUSE_FIRST;

	if (s->last_us && now - s->last_us > FORGIVEN)
		s->failures = 0;
	for (unsigned i = 0; i < s->failures && i < DOUBLED_MOST; i++)
		pause *= 2;
	s->last_us = now ? now : 1;
	s->failures++;
	refused_total++;
	s->untold++;
	if (!s->logged_us || now - s->logged_us >= LOG_EVERY) {
		log_warn("login", "%llu: %s refused: %s%s", (unsigned long long)l->conn->id, l->from, why,
		    s->untold > 1 ? " (others from there were not told)" : "");
		s->logged_us = now ? now : 1;
		s->untold = 0;
	}
	return pause < PAUSE_MOST ? pause : PAUSE_MOST;
}

/* ---- those who are waited for ---- */

void
login_set_limits(uint64_t unauthenticated, uint64_t hello)
{
	max_waited = unauthenticated;
	hello_us = hello;
}

struct login *
login_new(const struct config_listen *listen, const struct sockaddr *from)
{
	struct login *l = calloc(1, sizeof *l);
	char host[INET6_ADDRSTRLEN] = "?";

	if (!l)
		return NULL;
	l->listen = listen;
	l->since_us = clock_now();
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
		l->source.s6_addr[10] = l->source.s6_addr[11] = 0xff;
		memcpy(&l->source.s6_addr[12], &in->sin_addr, 4);
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(l->from, sizeof l->from, "%s:%u", host, ntohs(in->sin_port));
	} else if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)from;
		memcpy(&l->source, &in->sin6_addr, 8);
		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
		snprintf(l->from, sizeof l->from, "[%s]:%u", host, ntohs(in->sin6_port));
	}
	l->bucket = hash_of(&l->source) % SOURCES;
	return l;
}

/* No longer counted among those who are waited for. */
static void
leave(struct login *l)
{
	if (l->state == LOGIN_KNOWN || !l->prev)
		return;
	DL_DELETE(waited, l);
	l->next = l->prev = NULL;
	waited_count--;
}

static void
on_too_late(struct timer *t)
{
	struct login *l = container(t, struct login, timer);
	note_failure(l, "it has not said who it is in time (limits.hello_timeout)");
	conn_close(l->conn, "it has not said who it is in time");
}

/* Who makes way: the oldest of the address that has the most, so that a flood from one does not sweep away who comes from another. */
static struct login *
most_expendable(void)
{
	static unsigned count[SOURCES];
	struct login *l, *worst = NULL;

	memset(count, 0, sizeof count);
	DL_FOREACH(waited, l)
		count[l->bucket]++;
	DL_FOREACH(waited, l)
		if (!worst || count[l->bucket] > count[worst->bucket])
			worst = l;
	return worst;
}

void
login_begin(struct login *l, struct conn *c)
{
	l->conn = c;
	DL_APPEND(waited, l);
	waited_count++;
	if (!FAULT(hello_without_deadline))
		timer_set(&l->timer, l->since_us + hello_us, on_too_late);
	if (waited_count > max_waited) {
		struct login *first = most_expendable();
		note_failure(first, "another came, and too many have not said who they are (limits.unauthenticated)");
		conn_close(first->conn, "too many have not said who they are");
	}
}

void
login_end(struct login *l)
{
	leave(l);
	timer_unset(&l->timer);
}

void
login_free(struct login *l)
{
	if (!l)
		return;
	login_end(l);
	free(l->certificate);
	free(l);
}

unsigned
login_waited_for(void)
{
	return waited_count;
}

uint64_t
login_accepted(void)
{
	return accepted_total;
}

uint64_t
login_refused(void)
{
	return refused_total;
}

/* ---- deciding ---- */

static void
on_pause_over(struct timer *t)
{
	struct login *l = container(t, struct login, timer);
	answer_fail(l->conn, l->msgid, STATUS_AUTHENTICATION, 0, "%s", l->answer);
	conn_close(l->conn, "refused");
}

void
login_refuse(struct login *l, uint32_t msgid, const char *answer, const char *why)
{
	uint64_t pause = note_failure(l, why);

	if (l->state == LOGIN_REFUSED)
		return;
	if (l->state == LOGIN_KNOWN) { /* it counts as unknown again */
		DL_APPEND(waited, l);
		waited_count++;
	}
	l->state = LOGIN_REFUSED;
	l->msgid = msgid;
	l->answer = answer;
	stream_pause(&l->conn->stream, true);
	timer_set(&l->timer, clock_now() + pause, on_pause_over);
}

void
login_failed(struct login *l, const char *why)
{
	note_failure(l, why);
}

bool
login_may_go_on(struct login *l)
{
	return l->state != LOGIN_WAITED_FOR || ++l->messages <= MESSAGES_MOST;
}

void
login_shaken(struct login *l)
{
	char name[OWNER_NAME_MAX];

	if (l->listen->client_ca && tls_peer_name(l->conn->stream.tls, name, sizeof name))
		l->certificate = strdup(name);
}

static bool
become(struct login *l, uint32_t msgid, struct owner *o)
{
	struct conn *c = l->conn;

	if (!o) {
		login_refuse(l, msgid, "hello: the daemon is out of memory", "out of memory");
		return false;
	}
	if (c->owner && c->owner != o) { /* nobody turns into somebody else */
		owner_drop(o);
		login_refuse(l, msgid, not_accepted, "a second hello with another's token");
		return false;
	}
	l->role = o->role;
	if (!conn_speak_for(c, o, NULL)) {
		conn_refuse(c, msgid);
		return false;
	}
	if (l->state == LOGIN_WAITED_FOR) {
		leave(l);
		timer_unset(&l->timer);
		l->state = LOGIN_KNOWN;
		accepted_total++;
		stream_set_limit(&c->stream, conn_message_limit());
		log_info("login", "%llu: %s is %s, %s", (unsigned long long)c->id, l->from, o->name, role_name(c->role));
	}
	return true;
}

static enum role
certificate_role(const struct login *l)
{
	enum role role;
	return role_parse(l->listen->role, &role) ? role : ROLE_READ_ONLY;
}

static bool
by_token(struct login *l, uint32_t msgid, const char *token, size_t len)
{
	const struct token *t = token ? tokens_find(token, len) : NULL;
	char why[128];

	if (!t || (token_is_expired(t) && !FAULT(expiry_ignored))) {
		snprintf(why, sizeof why, "%s%s", !token ? "hello without a token" : t ? "an expired token of " : "a token that is none of ours",
		    t ? t->name : "");
		login_refuse(l, msgid, not_accepted, why);
		return false;
	}
	memcpy(l->hash, t->hash, sizeof l->hash);
	l->expires = t->expires;
	return become(l, msgid, owner_named(OWNER_TOKEN, t->name, t->role));
}

bool
login_hello(struct login *l, uint32_t msgid, const char *token, size_t len)
{
	if (l->state == LOGIN_REFUSED)
		return false;
	if (l->listen->auth == CONFIG_AUTH_TOKEN)
		return by_token(l, msgid, token, len);
	if (!l->certificate) {
		login_refuse(l, msgid, "hello: expected a certificate with one common name of 1 to 64 characters A-Z a-z 0-9 _ . @ - or space",
		    "a certificate without a name that can be used");
		return false;
	}
	return become(l, msgid, owner_named(OWNER_CERTIFICATE, l->certificate, certificate_role(l)));
}

bool
login_is_expired(const struct login *l)
{
	return l->state == LOGIN_KNOWN && l->listen->auth == CONFIG_AUTH_TOKEN && l->expires != INT64_MAX && time(NULL) >= l->expires;
}

static bool
token_is_still_good(struct login *l)
{
	const struct token *t = tokens_find_hash(l->hash);

	if (!t || token_is_expired(t))
		return false;
	l->expires = t->expires;
	l->role = t->role;
	owner_drop(owner_named(OWNER_TOKEN, t->name, t->role)); /* tells it its role */
	return true;
}

bool
login_is_still_good(struct login *l, const struct config_listen *listen, struct ssl_ctx_st *context)
{
	if (listen && listen->auth != l->listen->auth)
		return l->state != LOGIN_KNOWN;
	if (listen)
		l->listen = listen;
	if (l->state != LOGIN_KNOWN)
		return true;
	if (l->listen->auth == CONFIG_AUTH_TOKEN)
		return token_is_still_good(l);
	if (context && !tls_peer_is_good(l->conn->stream.tls, context))
		return false;
	l->role = certificate_role(l);
	owner_drop(owner_named(OWNER_CERTIFICATE, l->certificate, l->role));
	return true;
}

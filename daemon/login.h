/* A login: what is known of the other end of a network connection, and how it says who it is.
 *
 *     WAITED_FOR ─► KNOWN        a token in hello, or a certificate in the handshake and then hello
 *         └──────► REFUSED       whatever was wrong: answered after a pause, and closed
 *
 * How a client is known is fixed by the listener. Until it is known, a connection has little of everything: bytes, time (limits.hello_timeout),
 * and places (limits.unauthenticated: one more ends the oldest
 * of the address that has the most). Whoever fails again and again waits longer for each answer. */
#ifndef FUTURED_DAEMON_LOGIN_H
#define FUTURED_DAEMON_LOGIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/owner.h"
#include "daemon/timer.h"
#include "daemon/tokens.h"

struct conn;
struct ssl_ctx_st;

enum { LOGIN_FRAME_MAX = 16 * 1024 }; /* the longest message from somebody unknown */

enum login_state { LOGIN_WAITED_FOR, LOGIN_KNOWN, LOGIN_REFUSED };

struct login {
	enum login_state state;
	struct conn *conn;
	const struct config_listen *listen; /* as it was when it came; configurations are kept as long as the daemon */
	struct in6_addr source;             /* of IPv4 the mapped one, of IPv6 the network of 64 bits */
	unsigned bucket;                    /* of the source, where those who are waited for are counted */
	char from[64];                      /* "192.0.2.7:51234" */
	uint64_t since_us;
	enum role role;                     /* KNOWN: what its token, or its certificate at this listener, may do */
	char *certificate;                  /* the name in it; NULL: none asked for */
	uint8_t hash[TOKEN_HASH];           /* of the token that it is known by, … */
	int64_t expires;                    /* … and until when, in seconds since the epoch */
	uint32_t msgid;                     /* REFUSED: what the answer will be to … */
	const char *answer;                 /* … and what it says */
	unsigned messages;                  /* that came before it was known */
	struct timer timer;
	struct login *next, *prev;          /* not known yet, oldest first */
};

void login_set_limits(uint64_t unauthenticated, uint64_t hello_us);
/* For a connection that came from there. NULL without memory. */
struct login *login_new(const struct config_listen *listen, const struct sockaddr *from);
/* Its connection is open from now on: it is waited for. Ends the oldest where there are too many. */
void login_begin(struct login *l, struct conn *c);
/* Its connection is over: nothing is waited for any more. */
void login_end(struct login *l);
void login_free(struct login *l);

/* The TLS handshake is done. */
void login_shaken(struct login *l);
/* It ends without having said who it is, because of this: to be told once in a while. */
void login_failed(struct login *l, const char *why);
/* It has said something. False: too much, without saying who it is. */
bool login_may_go_on(struct login *l);
/* hello says this (NULL: nothing) as its token. True: the connection has an owner. False: it has been refused, or will be. */
bool login_hello(struct login *l, uint32_t msgid, const char *token, size_t len);
/* Refuses it: `answer` (a constant) is said after a pause, to this msgid. `why` is for the log. */
void login_refuse(struct login *l, uint32_t msgid, const char *answer, const char *why);

/* Whether what it is known by holds at this time. */
bool login_is_expired(const struct login *l);
/* After a reload: whether it may still be here by what holds now (`listen` NULL: as before; `context` is that listener's), and its role
 * anew. */
bool login_is_still_good(struct login *l, const struct config_listen *listen, struct ssl_ctx_st *context);
/* How many are waited for. */
unsigned login_waited_for(void);
/* How many were let in, and refused or lost before that, since the start. */
uint64_t login_accepted(void);
uint64_t login_refused(void);

#endif

/* An owner: a principal, whom connections speak for and futures belong to. One per user id, token and certificate.
 *
 * What it may do is for daemon/access.h to say. Counted; found by kind and name. */
#ifndef FUTURED_DAEMON_OWNER_H
#define FUTURED_DAEMON_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/future.h"
#include "daemon/turn.h"

struct pool_waiter;

/* How it was known. */
enum owner_kind {
	OWNER_UID,         /* by SO_PEERCRED, on a Unix socket */
	OWNER_TOKEN,       /* by a token in hello */
	OWNER_CERTIFICATE, /* by a client certificate */
};

/* Each may do what those before it may. */
enum role { ROLE_READ_ONLY, ROLE_USER, ROLE_ADMIN };

/* What a method may need of whoever calls it; what it is done to has its own say. */
enum right {
	RIGHT_READ,   /* look */
	RIGHT_SUBMIT, /* make futures and pools, feed input */
	RIGHT_CANCEL, /* end and forget futures */
	RIGHT_POOL,   /* manage a pool: one's own, that is, or all */
	RIGHT_ADMIN,  /* what concerns everybody */
};

enum { OWNER_NAME_MAX = 128 }; /* of a token's name or a certificate's common name */

struct owner {
	uint32_t count;
	enum owner_kind kind;
	enum role role; /* the newest that it was got with */
	uid_t uid;      /* OWNER_UID; else (uid_t)-1, which is nobody's */
	char name[OWNER_NAME_MAX + 8]; /* "uid:1000", "token:ci", "cert:CN" */
	struct future_totals totals;
	uint64_t bytes;        /* of its futures' arguments and results */
	uint64_t coming;       /* futures of maps that are being made */
	uint64_t connections;
	uint64_t round;        /* of the last of its submits that wait for room in a pool: see pool_wait_room */
	struct pool_waiter *room; /* its submits that wait for less of it to be pending */
	struct turn_item settling;
	struct groups *groups; /* of its newest connection: what its tasks have; NULL: none */
	struct owner *next;
};

/* The owner for a uid, made when first seen; the caller holds a count. NULL without memory. */
struct owner *owner_get(uid_t uid);
/* The same for a token or a certificate of that name (at most OWNER_NAME_MAX bytes), whose role is now this one. */
struct owner *owner_named(enum owner_kind kind, const char *name, enum role role);
/* The one of a full name ("uid:1000"), as it is stored; a token or certificate gets the role user until it connects. */
struct owner *owner_of_name(const char *name);
/* All of them; follow ->next. */
struct owner *owner_first(void);
struct owner *owner_hold(struct owner *o);
void owner_drop(struct owner *o);
/* "admin", "user", "read-only". */
const char *role_name(enum role role);
/* False if it is no role's name. */
bool role_parse(const char *name, enum role *role);

#endif

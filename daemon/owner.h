/* An owner: whom a future belongs to. One per user id for now; tokens and certificates come as further principals.
 * Counted; found by uid. */
#ifndef FUTURED_DAEMON_OWNER_H
#define FUTURED_DAEMON_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>


/* What a request may need. One function, may(), answers for all. */
enum right { RIGHT_READ, RIGHT_SUBMIT, RIGHT_CANCEL, RIGHT_POOL, RIGHT_ADMIN };

struct owner {
	uint32_t count;
	uid_t uid;
	char name[64];
	struct owner *next;
};

/* The owner for a uid, made when first seen; the caller holds a count. NULL without memory. */
struct owner *owner_get(uid_t uid);
struct owner *owner_hold(struct owner *o);
void owner_drop(struct owner *o);
/* Whether `who` may do that to something of `of` (NULL: to the daemon itself). Yes to all at first. */
bool may(const struct owner *who, enum right right, const struct owner *of);

#endif

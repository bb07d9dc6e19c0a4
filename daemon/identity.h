/* Whom the workers of a pool run as: the daemon's own user, or another one that the configuration names and the launcher can become. */
#ifndef FUTURED_DAEMON_IDENTITY_H
#define FUTURED_DAEMON_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

enum { IDENTITY_OWN = -1, IDENTITY_NOBODY = -2 };

struct identity;

/* Looks up all users that pools name, and starts the launcher if any is not the daemon's own. False, with a sentence that begins with the key. */
bool identity_start(const struct config *c, char *why, size_t why_size);
/* Whether this pool's user is one of those, or our own; else a sentence that begins with the key. */
bool identity_is_known(const struct config_pool *c, char *why, size_t why_size);
/* That of a pool; borrowed for good. Of one whose user is not known it is nobody's: nothing can be started as that. */
const struct identity *identity_of(const struct config_pool *c);
/* Its place in the launcher's list, or one of the above. */
int identity_place(const struct identity *i);
/* The place of a user; IDENTITY_OWN: none has it. */
int identity_find_uid(uid_t uid);
/* The environment that every task gets before the pool's and its own: PATH, HOME, USER, LOGNAME, SHELL, LANG, and the mark by which a later daemon
 * knows what this one left behind. NULL-terminated, made once. */
char *const *identity_env(const struct identity *i);

#endif

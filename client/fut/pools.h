/* The pools that there are. Each asks the daemon, so none may be called in a callback. */
#ifndef FUT_POOLS_H
#define FUT_POOLS_H

#include "client/fut/fut.h"

/* The kind of a pool, new; NULL: there is no such pool, or nobody says. */
char *pools_kind(struct fut *f, const char *name);
bool pools_is_command(struct fut *f, const char *name);
/* Says that there is no such pool, and which one was probably meant; returns fut_failed. */
int pools_unknown(struct fut *f, const char *name);
/* The same for the pool that an error of the daemon names. */
void pools_unknown_in(struct fut *f, const char *message, size_t len);
/* EXIT_OK if there is such a pool, else as pools_unknown. */
int pools_check(struct fut *f, const char *name);

#endif

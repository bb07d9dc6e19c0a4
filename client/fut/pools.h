/* The pools that there are. Each asks the daemon, so none may be called in a callback. */
#ifndef FUT_POOLS_H
#define FUT_POOLS_H

#include "client/fut/fut.h"

/* The kind of a pool, new; NULL: there is no such pool, or nobody says. */
char *pools_kind(struct fut *f, const char *name);
bool pools_is_command(struct fut *f, const char *name);

#endif

/* Watching again on another connection to the same daemon: watch_resume of watch.h, and what it shares with watch.c. */
#ifndef FUTURED_CLIENT_REWATCH_H
#define FUTURED_CLIENT_REWATCH_H

#include "client/core.h"

/* How many watched ids there are of which somebody (results) or nobody (not results) wants the outcome, and, where `ids` is not
 * NULL, which. */
size_t watch_list(const struct core *k, bool results, uint64_t *ids);
/* Frees what the requests under way hold. */
void rewatch_clear(struct core *k);

#endif

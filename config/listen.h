/* What `listen` may say. Only the syntax and what goes together: binding, and reading the files named, is the daemon's. */
#ifndef FUTURED_CONFIG_LISTEN_H
#define FUTURED_CONFIG_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/report.h"
#include "config/tree.h"

enum { LISTEN_PATH_MAX = 107 }; /* sun_path without its NUL */

/* The path of a unix: address ("" if it has none), borrowed from text; NULL if it is another address or none. */
const char *listen_unix_path(const char *text);
/* Writes what was expected in place of an address that is neither a unix: address nor a good one; false if it is good. */
bool listen_expected(const char *text, char *expected, size_t size);

/* Reports what does not go together in one listener, and fills in what depends on its address. `given` has LISTEN_KEYS. */
void listen_check(struct config_listen *l, const struct node *const *given, const struct node *n, const char *path,
	struct report *report);
/* The same between all of them: item[i] is where the i-th stands. */
void listen_check_all(const struct config_listen *l, size_t count, const struct node *item, const char *path, struct report *report);
/* The same between them and `tokens`, which may come behind them. */
void listen_check_tokens(const struct config *c, const struct node *n, struct report *report);
void listen_clear(struct config_listen *l);

#endif

/* What must hold between the keys of one pool: each key alone was checked when it was stored. */
#ifndef FUTURED_CONFIG_CHECK_H
#define FUTURED_CONFIG_CHECK_H

#include "config/config.h"
#include "config/keys.h"
#include "config/report.h"
#include "config/tree.h"

struct check {
	struct config_pool *pool;
	const struct node *const *given; /* POOL_KEYS of them: the value that the file has for a key, NULL if none */
	const struct node *name;         /* the pool's name, for what is missing */
	const char *path;                /* pools.NAME */
	const char *base;                /* as in struct setting */
	struct report *report;
};

/* Reports what does not go together, and fills in the defaults that depend on the kind. */
void check_pool(const struct check *c);

#endif

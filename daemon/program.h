/* What the workers of an opened pool are, where its client said so: a program, its environment and directory (`command`, `env` and
 * `cwd` of open_pool). Only the user whom the daemon belongs to may say so: for others it would be a way to run what the
 * configuration does not allow. */
#ifndef FUTURED_DAEMON_PROGRAM_H
#define FUTURED_DAEMON_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "proto/reader.h"

struct pool;
struct request;

/* The options as they came; borrowed from the request. All zero: nothing was said. */
struct program_options {
	struct reader command, env, cwd;
};

struct program {
	struct config_strings command, env; /* empty: not said */
	char *cwd;                          /* NULL: not said */
};

/* Keeps the option if it is one of the three and takes its value. */
bool program_option(struct program_options *o, const char *key, size_t len, struct reader *value);
/* Checks them for a pool like `like`. *out is new, or NULL where nothing was said. False: answered already. */
bool program_read(struct request *r, const struct pool *like, const struct program_options *o, struct program **out);
/* Makes the pool's own configuration say so; takes the program (NULL: nothing happens). */
void program_give(struct pool *p, struct program *program);
void program_free(struct program *program);

#endif

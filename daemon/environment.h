/* The environment of a command task: the daemon's base, the pool's, the task's own; a later one of the same name wins, nil unsets. */
#ifndef FUTURED_DAEMON_ENVIRONMENT_H
#define FUTURED_DAEMON_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bytes.h"
#include "proto/reader.h"

struct pool;

/* Encodes it as a MessagePack array of "NAME=value". `own` is the option's map (at its end: none). On failure *why is a sentence, and *out is
 * not written. */
bool environment_make(const struct pool *p, struct reader own, struct bytes *out, char *why, size_t why_size);

#endif

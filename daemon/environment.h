/* The environment of a command task: the daemon's base, the pool's, the task's own; a later one of the same name wins, nil unsets. */
#ifndef FUTURED_DAEMON_ENVIRONMENT_H
#define FUTURED_DAEMON_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bytes.h"
#include "proto/buf.h"
#include "proto/reader.h"

struct pool;

/* Encodes it as a MessagePack array of "NAME=value". `own` is the option's map (at its end: none). On failure *why is a sentence, and *out is
 * not written. */
bool environment_make(const struct pool *p, struct reader own, struct bytes *out, char *why, size_t why_size);
/* Of one that was made, what the task's own brought: a map of names to str or bin, and nil for what it unset. Nothing is packed, and false, where
 * that is more than `most` bytes, or without memory. What the pool has by now is left out, and so is, unless it is `fresh` (made with
 * the pool as it is), what has another value there: it may be the pool's, of before. */
bool environment_pack_own(struct buf *b, const struct pool *p, const struct bytes *env, bool fresh, size_t most);

#endif

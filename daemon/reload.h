/* Reload: the configuration read again, and what can be applied to a running daemon applied.
 *
 * Pools come, go, grow and shrink, and get new settings for tasks to come; limits, retention, tokens, certificates and the log level change
 * at once, and whoever may no longer come is disconnected. What cannot change
 * (where it listens, its store and state directory, a pool's kind and runtime) is told, and stays as it was. */
#ifndef FUTURED_DAEMON_RELOAD_H
#define FUTURED_DAEMON_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "proto/buf.h"

/* Reads what `next` names: tokens, keys and certificates. False, with a sentence: then nothing is to change. */
bool reload_prepare(const struct config *next, char *why, size_t size);
/* After that. Applies `next` (borrowed for good) over `before`. Packs one str for each thing that could not be; returns how many. */
unsigned reload_apply(const struct config *before, const struct config *next, struct buf *sentences);

#endif

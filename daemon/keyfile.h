/* Files that say who may come: tokens, keys, certificates. What others could change, or secrets that others could read, are refused. */
#ifndef FUTURED_DAEMON_KEYFILE_H
#define FUTURED_DAEMON_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

/* Reads a file into `out` (which is set up by this, and cleared by the caller in any case; at most 1 MiB). `secret`: others must not be
 * able to read it, either. False, with a sentence that names it. */
bool keyfile_read(const char *path, bool secret, struct buf *out, char *why, size_t size);
/* Clears a buffer that held a secret. */
void keyfile_clear(struct buf *b);

#endif

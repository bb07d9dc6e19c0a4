/* Data flow: references to futures (ext type 1) in args and stdin, replaced by the values they stand for. */
#ifndef FUTURED_DAEMON_FILL_H
#define FUTURED_DAEMON_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/future.h"
#include "proto/reader.h"

enum { FILL_EXT = 1 };

/* If the next value is a reference, passes over it. */
bool fill_read_reference(struct reader *r, uint64_t *id);
/* Makes more->filled_args and more->filled_stdin from values of futures that are pinned and finished. False: *error says why not. */
bool fill_references(struct future *f, struct bytes *error);

#endif

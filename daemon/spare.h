/* Spare memory: that of large messages is kept for a moment after it was let go of, for the next ones.
 *
 * Memory that is new costs a page fault for every 4 KiB, which takes longer than copying into it; so a daemon that passes large values on would
 * spend most of its time on that. What nobody has used for a second is given back to the system. One thread. */
#ifndef FUTURED_DAEMON_SPARE_H
#define FUTURED_DAEMON_SPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

enum { SPARE_LEAST = 1024 * 1024 }; /* bytes; what is smaller is malloc's to keep */

/* Frees memory that came from malloc, or keeps it. */
void spare_give(void *data);
/* Moves what `b` holds into spare memory of at least `size` bytes in all, and at most twice as many. False: there is none, and b is as it was. */
bool spare_use(struct buf *b, size_t size);

#endif

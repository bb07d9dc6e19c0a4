/* A connection's warm block: the memory of the last large answer, for the next one.
 *
 * Memory that is new costs a page fault for every 4 KiB, which takes longer than copying into it. One block is kept, and the system may take its pages
 * back whenever it wants them. Whoever holds an answer may outlive the connection, or live in another thread: so the block is counted, and
 * changes hands atomically. */
#ifndef FUTURED_CLIENT_WARM_H
#define FUTURED_CLIENT_WARM_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

struct warm;

/* With nothing in it, held once. NULL: no memory. */
struct warm *warm_new(void);
struct warm *warm_hold(struct warm *w);
/* The last one frees it. NULL is allowed. */
void warm_drop(struct warm *w);

/* Takes memory that came from malloc: kept if it is large, else freed. */
void warm_give(struct warm *w, void *data);
/* Moves what `b` holds into the block, if that has at least `size` bytes, and not much more than twice as many. False: b is as it was. */
bool warm_use(struct warm *w, struct buf *b, size_t size);

#endif

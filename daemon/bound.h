/* Futures that go with a connection: when it ends they are cancelled, whatever state they are in. */
#ifndef FUTURED_DAEMON_BOUND_H
#define FUTURED_DAEMON_BOUND_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct future;

/* [first, first + count) goes with the connection. False without memory. */
bool bound_add(struct conn *c, uint64_t first, uint64_t count);
/* The connection ends: cancels them, over turns; its opened pools that are bound end too. */
void bound_release(struct conn *c);
/* Cancels one, in whatever state: pending, running (killed where its kind can be, else asked), or between tries. */
void bound_cancel(struct future *f);

#endif

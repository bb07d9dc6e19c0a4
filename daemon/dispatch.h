/* Tasks are handed over to a pool's slots. */
#ifndef FUTURED_DAEMON_DISPATCH_H
#define FUTURED_DAEMON_DISPATCH_H

struct turn_item;

/* A pool's turn (`dispatching`): scheduled by pool_wake, and run when all events of the turn have been handled. */
void dispatch(struct turn_item *item);

#endif

/* Notifications to a connection: futures that are done, progress, events, output that is followed. They are kept, as ids where that will do, and said
 * behind the responses of their turn, while the connection has room. */
#ifndef FUTURED_DAEMON_NOTICES_H
#define FUTURED_DAEMON_NOTICES_H

#include <stdbool.h>

struct conn;
struct future;

/* For a new connection: what it watches is told from now on. */
void notices_begin(struct conn *c);
/* Has room for more notifications now. */
bool notices_have_room(const struct conn *c);
/* Makes the turn's notifications of it be made. */
void notices_wake(struct conn *c);
/* Tells it that a future is done: now, as a notification in its turn. */
void notices_tell_done(struct conn *c, struct future *f, bool want);

#endif

/* Events: every change of a future, told to the connections that asked. One who falls behind is told how many it missed. */
#ifndef FUTURED_DAEMON_EVENTS_H
#define FUTURED_DAEMON_EVENTS_H

#include <stdbool.h>

struct conn;
struct pool;

/* The connection gets events from now on, of this pool or (NULL) of all. */
void events_subscribe(struct conn *c, struct pool *p);
/* Whether anybody gets events. */
bool events_wanted(void);
/* Says what was kept for it, and how many were lost. */
void events_say(struct conn *c);
void events_unsubscribe(struct conn *c);

#endif

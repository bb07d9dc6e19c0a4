/* libfutured-event: a connection of libfutured on a libevent loop of yours.
 *
 * Make and connect a struct futured as always, then hand it to the loop. From then on queue requests and handles; answers come
 * as callbacks out of event_base_loop. Blocking calls still work outside callbacks. One thread, that of the loop. */
#ifndef FUTURED_EVENT_H
#define FUTURED_EVENT_H

#include "futured.h"

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct futured_event;

/* Drives `c` from `base`. `ended`, which may be NULL, is called once when the connection has ended for good, after everybody who
 * waited was told. It takes futured_on_wanted of `c` for itself. NULL: no memory. Both `c` and `base` must outlive it. */
FUTURED_API struct futured_event *futured_event_new(struct futured *c, struct event_base *base,
	void (*ended)(struct futured *c, enum futured_status why, void *data), void *data);
/* Takes the connection off the loop, so that the loop may end; the connection stays. Allowed in callbacks. NULL is fine. */
FUTURED_API void futured_event_free(struct futured_event *e);

#ifdef __cplusplus
}
#endif

#endif

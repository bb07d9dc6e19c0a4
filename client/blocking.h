/* Time for blocking calls. */
#ifndef FUTURED_CLIENT_BLOCKING_H
#define FUTURED_CLIENT_BLOCKING_H

#include "client/futured.h"

/* A point in time on the monotonic clock, in seconds, `timeout` from now; negative if timeout is: never. */
double deadline_in(double timeout);
/* Seconds left, at least 0; negative for never. */
double deadline_left(double deadline);
/* One futured_step on the way to it. FUTURED_OK: there is time for another. FUTURED_TIMEOUT: it was the last, whatever it brought; so
 * look first at what you wait for. */
enum futured_status deadline_step(struct futured *c, double deadline);

#endif

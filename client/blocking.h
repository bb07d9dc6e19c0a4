/* Time for blocking calls. */
#ifndef FUTURED_CLIENT_BLOCKING_H
#define FUTURED_CLIENT_BLOCKING_H

/* A point in time on the monotonic clock, in seconds, `timeout` from now; negative if timeout is: never. */
double deadline_in(double timeout);
/* Seconds left, at least 0; negative for never. */
double deadline_left(double deadline);

#endif

/* Time that only passes: for waits, rates and ages. */
#ifndef FUT_CLOCK_H
#define FUT_CLOCK_H

/* Seconds, monotonic. */
double clock_seconds(void);

#endif

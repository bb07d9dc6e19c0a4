/* Time. Everything that waits uses the monotonic clock, in microseconds; wall time is for display only. */
#ifndef FUTURED_DAEMON_CLOCK_H
#define FUTURED_DAEMON_CLOCK_H

#include <stdint.h>

/* The time when this turn of the loop was first asked for it (or clock_refresh was last called): monotonic, microseconds. */
uint64_t clock_now(void);
/* Asks the system. Called once per turn, and after anything that may have taken long. */
uint64_t clock_refresh(void);
/* Time has passed, who knows how much: the next question asks the system. Called before the loop sleeps. */
void clock_forget(void);
/* Seconds since the epoch for a moment of clock_now(); 0 stays 0 (never). */
double clock_wall(uint64_t us);
/* A duration in seconds as microseconds, rounded up. seconds is finite, 0 to 10^9. */
uint64_t clock_us(double seconds);

#endif

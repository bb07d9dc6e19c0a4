/* Time. Everything that waits uses the monotonic clock, in microseconds; wall time is for display, and for what must survive the daemon. */
#ifndef FUTURED_DAEMON_CLOCK_H
#define FUTURED_DAEMON_CLOCK_H

#include <stdint.h>

/* What clock_now() adds to the system's monotonic clock, so that moments before the machine was started have a place on it, too. */
#define CLOCK_BASE (UINT64_C(1) << 52)

/* The time when this turn of the loop was first asked for it (or clock_refresh was last called): monotonic, microseconds. */
uint64_t clock_now(void);
/* Asks the system. Called once per turn, and after anything that may have taken long. */
uint64_t clock_refresh(void);
/* Time has passed, who knows how much: the next question asks the system. Called before the loop sleeps. */
void clock_forget(void);
/* Seconds since the epoch for a moment of clock_now(); 0 stays 0 (never). */
double clock_wall(uint64_t us);
/* The same in microseconds, and back: wall clock times as they are stored. A moment that lies in the future is now. */
int64_t clock_wall_us(uint64_t us);
uint64_t clock_from_wall(int64_t wall_us);
/* Wall clock, of now. */
int64_t clock_wall_now(void);
/* Asks the system without changing clock_now(); for any thread. */
uint64_t clock_read(void);
/* A duration in seconds as microseconds, rounded up. seconds is finite, 0 to 10^9. */
uint64_t clock_us(double seconds);

#endif

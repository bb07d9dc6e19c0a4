/* Time. Everything that waits uses the monotonic clock, in microseconds; wall time is for display, and for what must survive the daemon. */
#ifndef FUTURED_DAEMON_CLOCK_H
#define FUTURED_DAEMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* In microseconds. */
#define MS UINT64_C(1000)
#define SECOND (1000 * MS)

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
/* The same in microseconds, and back, for what is stored: by the wall clock as it was for the first daemon since the machine was started, where that
 * is known, so that between two of them it may jump as it likes. A moment that lies in the future is now. */
int64_t clock_wall_us(uint64_t us);
uint64_t clock_from_wall(int64_t wall_us);
int64_t clock_wall_now(void);
/* What those add to clock_now(); and that they are to add this, as it was stored beside what clock_boot gave then, and gives now. False if no wall
 * clock can have been so far off. */
int64_t clock_stored_offset(void);
bool clock_set_stored_offset(int64_t us);
/* What the monotonic clock counts from: the machine's start, of which this is the name. Empty: it cannot be told. */
const char *clock_boot(void);
/* Asks the system without changing clock_now(); for any thread. */
uint64_t clock_read(void);
/* A duration in seconds as microseconds, rounded up. seconds is finite, 0 to 10^9. */
uint64_t clock_us(double seconds);

#endif

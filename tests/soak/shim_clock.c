/* Preloaded: the daemon's wall clock is wrong by so many microseconds (int64 at the page's start), which may change at any moment. Its monotonic
 * clock is left alone. */
#include "tests/soak/shim.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static _Atomic int64_t *wrong_us;

__attribute__((constructor)) static void
begin(void)
{
	wrong_us = shim_page();
}

__attribute__((visibility("default"))) int
clock_gettime(clockid_t which, struct timespec *ts)
{
	int result = (int)syscall(SYS_clock_gettime, which, ts);

	if (result == 0 && wrong_us && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
		int64_t us = atomic_load(wrong_us);
		int64_t ns = ts->tv_nsec + us % 1000000 * 1000;
		ts->tv_sec += us / 1000000 + (ns < 0 ? -1 : ns / 1000000000);
		ts->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
	}
	return result;
}

__attribute__((visibility("default"))) int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	*tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
	return 0;
}

__attribute__((visibility("default"))) time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

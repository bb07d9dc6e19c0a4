/* One reading per turn, so that handlers of a turn agree on the time and pay nothing for it. */
#include "daemon/clock.h"

#include <fcntl.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#define WALL_LAST (INT64_C(1) << 56) /* microseconds: 2000 years */

static uint64_t now_us;
static int64_t wall_offset_us;   /* wall minus monotonic, read at the first refresh: a jump of the wall clock reorders nothing */
static int64_t stored_offset_us; /* the same, as stored times have it */

static uint64_t
read_clock(clockid_t which)
{
	struct timespec ts;
	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t
clock_read(void)
{
	return read_clock(CLOCK_MONOTONIC) + CLOCK_BASE;
}

uint64_t
clock_refresh(void)
{
	now_us = clock_read();
	if (!wall_offset_us)
		wall_offset_us = stored_offset_us = (int64_t)read_clock(CLOCK_REALTIME) - (int64_t)now_us;
	return now_us;
}

uint64_t
clock_now(void)
{
	return now_us ? now_us : clock_refresh();
}

void
clock_forget(void)
{
	now_us = 0;
}

double
clock_wall(uint64_t us)
{
	return us ? (double)((int64_t)us + wall_offset_us) / 1e6 : 0;
}

int64_t
clock_wall_us(uint64_t us)
{
	return us ? (int64_t)us + stored_offset_us : 0;
}

int64_t
clock_wall_now(void)
{
	return clock_wall_us(clock_now());
}

uint64_t
clock_from_wall(int64_t wall_us)
{
	int64_t us, now = (int64_t)clock_now();

	if (!wall_us)
		return 0;
	if (__builtin_sub_overflow(wall_us, stored_offset_us, &us))
		return wall_us < 0 ? 1 : (uint64_t)now;
	return us < 1 ? 1 : us > now ? (uint64_t)now : (uint64_t)us;
}

int64_t
clock_stored_offset(void)
{
	return stored_offset_us;
}

bool
clock_set_stored_offset(int64_t us)
{
	if (us < -WALL_LAST || us > WALL_LAST || us + (int64_t)clock_now() <= 0)
		return false;
	stored_offset_us = us;
	return true;
}

/* Its id, and the time namespace: one of our own begins to count elsewhere. */
const char *
clock_boot(void)
{
	enum { ID = 36 };
	static char boot[ID + 64];
	int fd = *boot ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return boot;
	if (read(fd, boot, ID) != ID || readlink("/proc/self/ns/time", boot + ID, sizeof boot - ID - 1) < 0)
		boot[boot[ID - 1] ? ID : 0] = '\0'; /* a kernel without such namespaces; or no id */
	close(fd);
	return boot;
}

uint64_t
clock_us(double seconds)
{
	return (uint64_t)ceil(seconds * 1e6);
}

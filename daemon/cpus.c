#include "daemon/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* The quota of the cgroup we are in (v2, else v1), in whole CPUs, rounded up; 0 if there is none. Inside a container its own cgroup is
 * mounted at the root, which is the case that matters. */
static unsigned
quota(void)
{
	long long max = -1, period = 0;
	FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");

	if (f) {
		if (fscanf(f, "%lld %lld", &max, &period) != 2)
			max = -1;
		fclose(f);
	} else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"))) {
		if (fscanf(f, "%lld", &max) != 1)
			max = -1;
		fclose(f);
		if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re"))) {
			if (fscanf(f, "%lld", &period) != 1)
				period = 0;
			fclose(f);
		}
	}
	return max > 0 && period > 0 ? (unsigned)((max + period - 1) / period) : 0;
}

unsigned
cpus_usable(void)
{
	cpu_set_t set;
	unsigned cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	unsigned most = quota();

	if (most && most < cpus)
		cpus = most;
	return cpus ? cpus : 1;
}

#include "daemon/resident.h"

#include <stdio.h>
#include <unistd.h>

uint64_t
resident_bytes(pid_t pid)
{
	char path[64];
	unsigned long long size, pages = 0;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

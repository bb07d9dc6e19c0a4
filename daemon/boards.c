#include "daemon/boards.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/clock.h"

static int directory = -1; /* -1: boards are no files */
static uint64_t next_number, earlier;

/* ---- a file that is made shorter under our feet ---- */

/* Mappings that a host could cut short; few, and walked in a signal handler. */
struct region {
	uint8_t *at;
	size_t size;
};
static struct region *regions;
static size_t region_count, region_size;

/* Reading a page that is no longer in the file: it becomes zeroes, which no task claims. Anything else is a fault of ours. */
static void
on_sigbus(int signal_number, siginfo_t *info, void *context)
{
	uint8_t *fault = info->si_addr;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	(void)context;

	for (size_t i = 0; i < region_count; i++) {
		if (fault < regions[i].at || fault >= regions[i].at + regions[i].size)
			continue;
		void *start = (void *)((uintptr_t)fault & ~(page - 1));
		if (mmap(start, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
			return;
	}
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static bool
note_region(void *at, size_t size)
{
	static bool caught;
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (region_count == region_size) {
		size_t wanted = region_size ? region_size * 2 : 16;
		struct region *bigger = realloc(regions, wanted * sizeof *bigger);
		if (!bigger)
			return false;
		regions = bigger;
		region_size = wanted;
	}
	regions[region_count++] = (struct region){ .at = at, .size = size };
	if (!caught)
		caught = sigaction(SIGBUS, &action, NULL) == 0;
	return caught;
}

static void
forget_region(const void *at)
{
	for (size_t i = 0; i < region_count; i++) {
		if (regions[i].at == at) {
			regions[i] = regions[--region_count];
			return;
		}
	}
}

/* ---- the directory ---- */

/* Calls `each` with the number of every file. */
static void
walk(void (*each)(uint64_t number))
{
	DIR *d = directory >= 0 ? fdopendir(dup(directory)) : NULL;
	struct dirent *entry;
	unsigned long long number;
	char rest;

	if (!d)
		return;
	rewinddir(d);
	while ((entry = readdir(d)))
		if (sscanf(entry->d_name, "%llu%c", &number, &rest) == 1)
			each(number);
	closedir(d);
}

static void
note_number(uint64_t number)
{
	if (number >= next_number)
		next_number = number + 1;
}

bool
boards_use_directory(const char *path, const char *mark)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof name, "%s/boards-%s-%.8s", path, mark, *clock_boot() ? clock_boot() : "unknown-") >= (int)sizeof name) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (mkdir(name, 0700) && errno != EEXIST)
		return false;
	directory = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return false;
	walk(note_number);
	earlier = next_number;
	return true;
}

uint64_t
boards_next_number(void)
{
	return next_number++;
}

/* ---- boards ---- */

static int
open_memory(size_t size)
{
	int fd = memfd_create("futured-boards", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && !ftruncate(fd, (off_t)size) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
open_file(uint64_t number, size_t size)
{
	char name[24];
	int fd;

	snprintf(name, sizeof name, "%llu", (unsigned long long)number);
	fd = openat(directory, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

void *
boards_map(uint64_t number, size_t size, int *fd)
{
	*fd = directory < 0 ? open_memory(size) : open_file(number, size);
	void *at = *fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (directory < 0 || note_region(at, size))
		return at;
	munmap(at, size);
	return NULL;
}

void
boards_forget(uint64_t number)
{
	char name[24];
	snprintf(name, sizeof name, "%llu", (unsigned long long)number);
	unlinkat(directory, name, 0);
}

void
boards_unmap(void *at, size_t size)
{
	if (!at)
		return;
	forget_region(at);
	munmap(at, size);
}

bool
boards_read(uint64_t number, unsigned slot, struct board *out)
{
	char name[24];
	int fd;

	if (directory < 0)
		return false;
	snprintf(name, sizeof name, "%llu", (unsigned long long)number);
	if ((fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return false;
	bool whole = pread(fd, out, sizeof *out, (off_t)(slot * sizeof *out)) == (ssize_t)sizeof *out;
	close(fd);
	return whole;
}

static void
forget_if_earlier(uint64_t number)
{
	if (number < earlier)
		boards_forget(number);
}

void
boards_forget_earlier(void)
{
	walk(forget_if_earlier);
}

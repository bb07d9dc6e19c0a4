#include "daemon/payload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int directory = -1;
static char directory_path[PATH_MAX];
static _Atomic uint64_t total;
static const char *const kinds[] = { "args", "value" };

bool
payload_use_directory(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return false;
	directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(directory_path, sizeof directory_path, "%s", path);
	return directory >= 0;
}

/* What is written into a directory that nobody finds again is not durable. One that was deleted is made anew, under the same descriptor, which the
 * loop may be using: what was in it is gone whatever we do. */
static bool
directory_is_in_place(char *why, size_t size)
{
	struct stat ours = { .st_nlink = 1 }, there;

	if (fstat(directory, &ours) == 0 && lstat(directory_path, &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		return true;
	if (!ours.st_nlink && (mkdir(directory_path, 0700) == 0 || errno == EEXIST)) {
		int again = open(directory_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		bool good = again >= 0 && dup3(again, directory, O_CLOEXEC) >= 0;
		if (again >= 0)
			close(again);
		if (good)
			return true;
	}
	snprintf(why, size, "%.200s was moved or deleted", directory_path);
	return false;
}

static void
name_of(uint64_t id, enum payload_kind kind, char out[40])
{
	snprintf(out, 40, "%llu.%s", (unsigned long long)id, kinds[kind]);
}

unsigned
payload_pad(const void *data)
{
	return (unsigned)((uintptr_t)data % PAYLOAD_PAGE);
}

static bool
write_all(int fd, const uint8_t *data, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool
payload_write(uint64_t id, enum payload_kind kind, const void *data, size_t len, char *why, size_t size)
{
	char name[40];

	if (!directory_is_in_place(why, size))
		return false;
	name_of(id, kind, name);
	payload_remove(id, kind); /* of a commit that failed: it was counted */
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write_all(fd, data, len, payload_pad(data)) && fdatasync(fd) == 0;
	if (good) {
		total += len + payload_pad(data);
	} else {
		snprintf(why, size, "a payload's file: %s", strerror(errno));
		if (fd >= 0)
			unlinkat(directory, name, 0);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

bool
payload_sync(char *why, size_t size)
{
	if (fsync(directory) == 0)
		return true;
	snprintf(why, size, "the payloads' directory: %s", strerror(errno));
	return false;
}

void
payload_let_go(uint64_t id, enum payload_kind kind, const struct bytes *of, const void *data, size_t len)
{
	uintptr_t start = ((uintptr_t)data + PAYLOAD_PAGE - 1) / PAYLOAD_PAGE * PAYLOAD_PAGE, end = ((uintptr_t)data + len) / PAYLOAD_PAGE * PAYLOAD_PAGE;
	char name[40];

	name_of(id, kind, name);
	int fd = start < end ? openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (fd < 0)
		return; /* it stays in memory */
	off_t at = (off_t)(start - ((uintptr_t)data - payload_pad(data)));
	if (mmap((void *)start, end - start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, at) != MAP_FAILED)
		bytes_elsewhere(of, end - start);
	close(fd);
}

void
payload_remove(uint64_t id, enum payload_kind kind)
{
	struct stat st;
	char name[40];

	name_of(id, kind, name);
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) || unlinkat(directory, name, 0))
		return;
	uint64_t len = (uint64_t)st.st_size, before = total;
	while (!atomic_compare_exchange_weak(&total, &before, before > len ? before - len : 0))
		;
}

void *
payload_map(uint64_t id, enum payload_kind kind, size_t *size)
{
	struct stat st;
	char name[40];
	void *at = MAP_FAILED;

	name_of(id, kind, name);
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		*size = (size_t)st.st_size;
		at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	}
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

bool
payload_read(uint64_t id, enum payload_kind kind, unsigned pad, struct bytes *out)
{
	size_t size = 0;
	void *at = payload_map(id, kind, &size);

	if (at && size > pad && size - pad < INT32_MAX)
		return bytes_map(out, at, size, pad);
	if (at)
		munmap(at, size);
	return false;
}

uint64_t
payload_bytes(void)
{
	return total;
}

void
payload_sweep(bool (*is_known)(uint64_t id, enum payload_kind kind))
{
	DIR *d = directory >= 0 ? fdopendir(dup(directory)) : NULL;
	struct dirent *entry;
	unsigned long long id;
	char kind[8];

	if (!d)
		return;
	rewinddir(d);
	while ((entry = readdir(d))) {
		if (sscanf(entry->d_name, "%llu.%7s", &id, kind) != 2)
			continue;
		enum payload_kind which = strcmp(kind, kinds[PAYLOAD_ARGS]) == 0 ? PAYLOAD_ARGS : PAYLOAD_VALUE;
		struct stat st;
		if (!is_known(id, which))
			unlinkat(dirfd(d), entry->d_name, 0);
		else if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			total += (uint64_t)st.st_size;
	}
	closedir(d);
}

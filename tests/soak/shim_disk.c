/* Preloaded: the disk under the store, that is under the files whose path begins with FUTURED_SHIM_DISK. It fails when told to, is slow when told
 * to, and records what is written and synced, in order, so that a power cut can be made of any moment.
 *
 * Page: fail (bits of operations), error, skip, times, delay_us (of a sync), number (of operations so far), recording, syncs (so far): int64 each. While
 * `fail` has the bit of an operation, the first `skip` of them pass, then `times` fail with `error` (-1: all). A write that fails with ENOSPC has
 * written half.
 *
 * Record: kind, file, offset, length, number (int64 each), then the bytes of a write, or the path at an open. */
#include "tests/soak/shim.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

enum kind { OPEN = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, UNLINK = 16, READ = 32, SYNC_FAILED = 64 };

enum { FILES = 4096 };

struct page {
	_Atomic int64_t fail, error, skip, times, delay_us, number, recording, syncs;
};

static struct page *page;
static const char *prefix;
static char *path_of[FILES];  /* by descriptor; NULL: not of ours */
static int64_t file_of[FILES];
static int64_t files;
static int record_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void
begin(void)
{
	const char *record = getenv("FUTURED_SHIM_RECORD");

	prefix = getenv("FUTURED_SHIM_DISK");
	page = prefix ? shim_page() : NULL;
	if (page && record)
		record_fd = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int
is_ours(const char *path)
{
	return page && path && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int
is_our_fd(int fd)
{
	return page && fd >= 0 && fd < FILES && path_of[fd];
}

/* Whether this one is to fail; errno is set then. */
static int
fails(enum kind kind)
{
	if (!(atomic_load(&page->fail) & (int64_t)kind))
		return 0;
	if (atomic_load(&page->skip) > 0) {
		atomic_fetch_sub(&page->skip, 1);
		return 0;
	}
	int64_t times = atomic_load(&page->times);
	if (times == 0)
		return 0;
	if (times > 0)
		atomic_fetch_sub(&page->times, 1);
	errno = (int)atomic_load(&page->error);
	return 1;
}

static void
record(enum kind kind, int64_t file, int64_t offset, const void *bytes, size_t len)
{
	int64_t head[5] = { kind, file, offset, (int64_t)len, atomic_fetch_add(&page->number, 1) };
	struct iovec vec[2] = { { head, sizeof head }, { (void *)bytes, bytes ? len : 0 } };

	if (record_fd < 0 || !atomic_load(&page->recording))
		return;
	if (writev(record_fd, vec, 2) < 0)
		abort();
}

static int
opened(int fd, const char *path)
{
	if (fd < 0 || fd >= FILES)
		return fd;
	pthread_mutex_lock(&lock);
	free(path_of[fd]);
	path_of[fd] = is_ours(path) ? strdup(path) : NULL;
	if (path_of[fd]) {
		file_of[fd] = ++files;
		record(OPEN, file_of[fd], 0, path, strlen(path));
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

static int
open_it(const char *path, int flags, mode_t mode)
{
	if (is_ours(path) && fails(OPEN))
		return -1;
	return opened((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode), path);
}

#define SHOWN __attribute__((visibility("default")))

SHOWN int
open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_it(path, flags, mode);
}

SHOWN int
open64(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_it(path, flags, mode);
}

SHOWN int
close(int fd)
{
	if (is_our_fd(fd)) {
		pthread_mutex_lock(&lock);
		free(path_of[fd]);
		path_of[fd] = NULL;
		pthread_mutex_unlock(&lock);
	}
	return (int)syscall(SYS_close, fd);
}

SHOWN ssize_t
pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
	if (is_our_fd(fd)) {
		if (fails(WRITE)) {
			if (errno != ENOSPC || len < 2)
				return -1;
			len /= 2; /* some of it fits: the next one finds the disk full */
		}
		ssize_t n = syscall(SYS_pwrite64, fd, bytes, len, offset);
		if (n > 0)
			record(WRITE, file_of[fd], offset, bytes, (size_t)n);
		return n;
	}
	return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

SHOWN ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	return pwrite64(fd, bytes, len, offset);
}

SHOWN ssize_t
write(int fd, const void *bytes, size_t len)
{
	if (is_our_fd(fd)) {
		off_t offset = lseek(fd, 0, SEEK_CUR);
		if (fails(WRITE))
			return -1;
		ssize_t n = syscall(SYS_write, fd, bytes, len);
		if (n > 0)
			record(WRITE, file_of[fd], offset, bytes, (size_t)n);
		return n;
	}
	return syscall(SYS_write, fd, bytes, len);
}

SHOWN ssize_t
pread64(int fd, void *bytes, size_t len, off_t offset)
{
	if (is_our_fd(fd) && fails(READ))
		return -1;
	return syscall(SYS_pread64, fd, bytes, len, offset);
}

static int
sync_it(int fd, long call)
{
	if (is_our_fd(fd)) {
		int64_t us = atomic_load(&page->delay_us);
		struct timespec pause = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
		if (us)
			nanosleep(&pause, NULL);
		if (fails(SYNC)) {
			int error = errno;
			record(SYNC_FAILED, file_of[fd], 0, NULL, 0);
			errno = error;
			return -1;
		}
		int result = (int)syscall(call, fd);
		if (result == 0)
			record(SYNC, file_of[fd], 0, NULL, 0);
		atomic_fetch_add(&page->syncs, result == 0);
		return result;
	}
	return (int)syscall(call, fd);
}

SHOWN int
fdatasync(int fd)
{
	return sync_it(fd, SYS_fdatasync);
}

SHOWN int
fsync(int fd)
{
	return sync_it(fd, SYS_fsync);
}

SHOWN int
ftruncate64(int fd, off_t size)
{
	if (is_our_fd(fd)) {
		if (fails(TRUNCATE))
			return -1;
		int result = (int)syscall(SYS_ftruncate, fd, size);
		if (result == 0)
			record(TRUNCATE, file_of[fd], size, NULL, 0);
		return result;
	}
	return (int)syscall(SYS_ftruncate, fd, size);
}

SHOWN int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

SHOWN int
unlink(const char *path)
{
	if (is_ours(path)) {
		if (fails(UNLINK))
			return -1;
		int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
		if (result == 0)
			record(UNLINK, 0, 0, path, strlen(path));
		return result;
	}
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

#include "daemon/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20 };

/* A group may read what root gives to it, as Debian's ssl-cert does; nobody but root and us may write. */
static bool
is_safe(int fd, const char *path, bool secret, char *why, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		snprintf(why, size, "%.300s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, size, "%.300s: expected a regular file, got another kind", path);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		snprintf(why, size, "%.300s: expected a file of root or of user %u, got one of user %u", path, (unsigned)geteuid(), (unsigned)st.st_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		snprintf(why, size, "%.300s: expected a file that only its owner may write, got mode %04o (chmod go-w)", path, (unsigned)st.st_mode & 07777);
	else if (secret && st.st_mode & S_IROTH)
		snprintf(why, size, "%.300s: expected a file that others may not read, got mode %04o (chmod o-r)", path, (unsigned)st.st_mode & 07777);
	else if (st.st_size > BYTES_MAX)
		snprintf(why, size, "%.300s: expected at most 1 MiB, got %lld bytes", path, (long long)st.st_size);
	else
		return true;
	return false;
}

static bool
read_all(int fd, struct buf *out)
{
	for (;;) {
		if (out->len > BYTES_MAX || !buf_reserve(out, 16 * 1024))
			return false;
		ssize_t n = read(fd, out->data + out->len, out->cap - out->len);
		if (n == 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			out->len += (size_t)n;
	}
}

bool
keyfile_read(const char *path, bool secret, struct buf *out, char *why, size_t size)
{
	bool good;
	int fd;

	buf_init(out);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0) {
		snprintf(why, size, "%.300s: %s", path, strerror(errno));
		return false;
	}
	if ((good = is_safe(fd, path, secret, why, size)) && !(good = read_all(fd, out)))
		snprintf(why, size, "%.300s: cannot be read", path);
	close(fd);
	return good;
}

void
keyfile_clear(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_clear(b);
}

/* Bytes on their way out. The descriptor is shared with whoever started us, so it is not made non-blocking: a write is tried with
 * RWF_NOWAIT, and where that is not possible poll says when PIPE_BUF bytes can be written. */
#include "client/fut/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/fut/fut.h"

void
sink_init(struct sink *s, int fd)
{
	struct stat st;

	memset(s, 0, sizeof *s);
	s->fd = fd;
	s->whole = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

void
sink_free(struct sink *s)
{
	free(s->data);
}

size_t
sink_waiting(const struct sink *s)
{
	return s->len - s->at;
}

/* How much of it went; 0 if none can now, -1 with errno. */
static ssize_t
write_now(struct sink *s, const char *bytes, size_t len)
{
	struct iovec iov = { (char *)bytes, len };
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	if (s->whole)
		return write(s->fd, bytes, len);
	n = pwritev2(s->fd, &iov, 1, -1, RWF_NOWAIT);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != ESPIPE)
		return -1;
	if (poll(&p, 1, 0) <= 0 || (p.revents & (POLLOUT | POLLERR | POLLHUP)) == 0)
		return 0;
	n = write(s->fd, bytes, len < PIPE_BUF ? len : PIPE_BUF);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* Writes from the front; returns how much. */
static size_t
push(struct sink *s, const char *bytes, size_t len)
{
	size_t done = 0;

	while (done < len && !s->gone) {
		ssize_t n = write_now(s, bytes + done, len - done);

		if (n == 0)
			break;
		if (n < 0) {
			s->gone = true;
			s->error = errno;
			return len;
		}
		done += (size_t)n;
	}
	return s->gone ? len : done;
}

void
sink_flush(struct sink *s)
{
	s->at += push(s, s->data + s->at, s->len - s->at);
	if (s->at == s->len || s->gone)
		s->at = s->len = 0;
}

void
sink_add(struct sink *s, const void *bytes, size_t len)
{
	size_t done = 0;

	if (s->gone || len == 0)
		return;
	if (s->at == s->len)
		done = push(s, bytes, len);
	if (done == len)
		return;
	len -= done;
	if (s->at > 0 && s->len + len > s->cap) {
		memmove(s->data, s->data + s->at, s->len - s->at);
		s->len -= s->at;
		s->at = 0;
	}
	if (s->len + len > s->cap) {
		s->cap = (s->len + len) * 2;
		s->data = need(realloc(s->data, s->cap));
	}
	memcpy(s->data + s->len, (const char *)bytes + done, len);
	s->len += len;
}

void
sink_drain(struct sink *s)
{
	while (sink_waiting(s) > 0) {
		struct pollfd p = { .fd = s->fd, .events = POLLOUT };

		poll(&p, 1, 100);
		sink_flush(s);
	}
}

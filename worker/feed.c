#include "worker/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { KEEP_MAX = 1024 * 1024 };

void
feed_init(struct feed *f)
{
	memset(f, 0, sizeof *f);
	f->fd = -1;
	buf_init(&f->queue);
}

void
feed_clear(struct feed *f)
{
	feed_close(f);
	buf_clear(&f->queue);
}

bool
feed_open(struct feed *f, const void *bytes, size_t len, bool ended, int *task_end)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	if (fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) {
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	f->fd = ends[1];
	f->bytes = bytes;
	f->left = len;
	f->ended = ended;
	f->taken = 0;
	*task_end = ends[0];
	return true;
}

static void
drop_queue(struct feed *f)
{
	f->taken += f->queue.len - f->at;
	f->queue.len = 0;
	f->at = 0;
	if (f->queue.failed || f->queue.cap > KEEP_MAX)
		buf_clear(&f->queue);
}

void
feed_close(struct feed *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->left = 0;
	drop_queue(f);
}

bool
feed_add(struct feed *f, const void *bytes, size_t len, bool ended)
{
	if (f->fd < 0) {
		f->taken += len;
		return true;
	}
	if (f->at > 0) {
		buf_drain(&f->queue, f->at);
		f->at = 0;
	}
	f->ended = f->ended || ended;
	return buf_append(&f->queue, bytes, len);
}

size_t
feed_held(const struct feed *f)
{
	return f->queue.len - f->at;
}

bool
feed_is_waiting(const struct feed *f)
{
	return f->fd >= 0 && (f->left > 0 || feed_held(f) > 0);
}

/* False if the pipe took nothing: it is full, or closed now because nobody reads. */
static bool
put(struct feed *f, const void *bytes, size_t len, size_t *wrote)
{
	ssize_t n = write(f->fd, bytes, len);

	*wrote = n > 0 ? (size_t)n : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		feed_close(f);
	return *wrote == len;
}

void
feed_write(struct feed *f)
{
	size_t wrote;

	if (f->fd >= 0 && f->left > 0) {
		bool all = put(f, f->bytes, f->left, &wrote);

		if (!all && f->fd < 0)
			return;
		f->bytes += wrote;
		f->left -= wrote;
		if (!all)
			return;
	}
	if (f->fd >= 0 && feed_held(f) > 0) {
		bool all = put(f, f->queue.data + f->at, feed_held(f), &wrote);

		if (!all && f->fd < 0)
			return;
		f->at += wrote;
		f->taken += wrote;
		if (!all)
			return;
	}
	if (f->ended)
		feed_close(f);
}

/* Feeding a running task's stdin.
 *
 * The daemon answers an `input` when there is room for it, so at most FLYING pieces are under way; the rest waits in the pipe that we
 * read. Small files go along with the submit, which saves the round trips and lets a retry read the same again. */
#include "client/fut/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PIECE = 64 << 10, FLYING = 4, SMALL = 256 << 10 };

static bool
is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Reads up to `most` bytes, more where there is no bound; *end says whether that was all. */
static bool
read_head(struct feed *feed, size_t most, bool *end)
{
	size_t cap = 0;
	ssize_t n = 1;

	while (n != 0 && feed->head_len < most) {
		if (feed->head_len == cap) {
			cap = cap == 0 ? PIECE : cap * 2;
			feed->head = need(realloc(feed->head, cap));
		}
		n = read(feed->fd, feed->head + feed->head_len, cap - feed->head_len);
		if (n < 0 && errno != EINTR)
			return false;
		feed->head_len += n > 0 ? (size_t)n : 0;
	}
	*end = n == 0;
	return true;
}

static bool
open_file(struct feed *feed, const char *path)
{
	if (strcmp(path, "-") == 0)
		feed->fd = STDIN_FILENO;
	else if ((feed->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		fut_say(feed->f, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

bool
feed_open(struct feed *feed, struct fut *f, const char *path, bool whole)
{
	struct stat st;
	bool end = false;

	memset(feed, 0, sizeof *feed);
	feed->f = f;
	feed->fd = -1;
	if (path != NULL && !open_file(feed, path))
		return false;
	if (path == NULL) {
		if (whole || fstat(STDIN_FILENO, &st) < 0 || is_null(&st) || isatty(STDIN_FILENO))
			return true;
		feed->fd = STDIN_FILENO;
	}
	feed->kind = FEED_LIVE;
	if (!whole && (fstat(feed->fd, &st) < 0 || !S_ISREG(st.st_mode)))
		return true;
	if (!read_head(feed, whole ? SIZE_MAX : SMALL, &end)) {
		fut_say(f, "cannot read %s: %s", path != NULL ? path : "stdin", strerror(errno));
		return false;
	}
	if (end)
		feed->kind = FEED_BYTES;
	return true;
}

bool
feed_is_left_out(const struct feed *feed)
{
	struct stat st;
	int waiting = 0;

	if (feed->kind != FEED_NONE || fstat(STDIN_FILENO, &st) < 0 || is_null(&st) || isatty(STDIN_FILENO))
		return false;
	if (S_ISREG(st.st_mode))
		return lseek(STDIN_FILENO, 0, SEEK_CUR) < st.st_size;
	return ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 && waiting > 0;
}

void
feed_options(const struct feed *feed, struct futured_options *o)
{
	if (feed->kind == FEED_BYTES)
		futured_options_set(o, "stdin", "B", feed->head != NULL ? feed->head : "", feed->head_len);
	else if (feed->kind == FEED_LIVE)
		futured_options_set(o, "stdin", "b", 1);
}

/* An answer means room; an error that the task takes no more, which is its good right. */
static void
on_taken(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct feed *feed = data;

	(void)c;
	feed->flying--;
	if (futured_reply_status(reply) != FUTURED_OK)
		feed->over = true;
}

static void
send_piece(struct feed *feed, const char *bytes, size_t len, bool eof)
{
	feed->flying++;
	if (futured_requestf(feed->f->c, on_taken, feed, "input", "uB{sb}", feed->id, bytes, len, "eof", (int)eof) != FUTURED_OK) {
		feed->flying--;
		feed->over = true;
	}
	if (eof)
		feed->over = true;
}

void
feed_begin(struct feed *feed, uint64_t id)
{
	feed->id = id;
	if (feed->kind != FEED_LIVE)
		return;
	for (size_t at = 0; at < feed->head_len; at += PIECE) {
		size_t len = feed->head_len - at;

		send_piece(feed, feed->head + at, len < PIECE ? len : PIECE, false);
	}
}

int
feed_fd(const struct feed *feed)
{
	return feed->kind == FEED_LIVE && feed->id != 0 && !feed->over && feed->flying < FLYING ? feed->fd : -1;
}

void
feed_read(struct feed *feed)
{
	char bytes[PIECE];
	ssize_t n = read(feed->fd, bytes, sizeof bytes);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0 && errno != EIO) /* EIO: we are in the background of a terminal */
		fut_say(feed->f, "cannot read stdin: %s", strerror(errno));
	send_piece(feed, bytes, n > 0 ? (size_t)n : 0, n <= 0);
}

void
feed_close(struct feed *feed)
{
	if (feed->fd > STDERR_FILENO)
		close(feed->fd);
	free(feed->head);
}

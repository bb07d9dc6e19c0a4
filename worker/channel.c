/* Reading: bytes are received behind those that are there, scanned once, and handed out message by message from the same
 * memory; they are moved to the front only when more must be received. So a message, and everything that points into
 * it, stays where it is while its task runs. */
#include "worker/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	RECEIVE_MIN = 16 * 1024, /* room made before every receive */
	KEEP_MAX = 1024 * 1024,  /* a buffer that grew beyond this is given back when what comes next is small, or nothing comes … */
	KEEP_MS = 1000,          /* … for so long: fresh memory is slower than copying into it */
};

void
channel_init(struct channel *c, int fd, uint64_t limit)
{
	memset(c, 0, sizeof *c);
	c->fd = fd;
	buf_init(&c->in);
	buf_init(&c->out);
	frame_scan_init(&c->scan, limit);
}

void
channel_clear(struct channel *c)
{
	int fd;

	while ((fd = channel_take_descriptor(c)) >= 0)
		close(fd);
	buf_clear(&c->in);
	buf_clear(&c->out);
}

void
channel_limit(struct channel *c, uint64_t limit)
{
	c->scan.limit = limit;
}

int
channel_take_descriptor(struct channel *c)
{
	int fd;

	if (c->passed_count == 0)
		return -1;
	fd = c->passed[0];
	c->passed_count--;
	memmove(c->passed, c->passed + 1, c->passed_count * sizeof c->passed[0]);
	return fd;
}

/* Passes over the message that channel_next gave out before. */
static void
drop_used(struct channel *c)
{
	if (c->at < c->in.len)
		return;
	c->at = 0;
	c->in.len = 0;
}

static bool
is_large(const struct channel *c)
{
	return c->in.cap > KEEP_MAX || (!c->said_by_others && c->out.cap > KEEP_MAX);
}

/* Gives large buffers back, as far as little or nothing is in them. */
static void
shrink(struct channel *c)
{
	struct buf small = { 0 };

	if (!c->said_by_others && c->out.len == 0)
		buf_clear(&c->out);
	if (c->in.len - c->at <= KEEP_MAX && buf_append(&small, c->in.data + c->at, c->in.len - c->at)) {
		buf_clear(&c->in);
		c->in = small;
		c->at = 0;
	}
}

/* Scans what has been received and not scanned yet. */
static enum channel_verdict
scan(struct channel *c, struct reader *message, uint32_t *elements)
{
	size_t used = 0, from = c->at + c->scanned, len;
	enum frame_verdict verdict;
	uint32_t count;

	if (from >= c->in.len)
		return CHANNEL_EMPTY;
	verdict = frame_scan(&c->scan, c->in.data + from, c->in.len - from, &used);
	c->scanned += used;
	if (verdict == FRAME_MORE)
		return CHANNEL_EMPTY;
	if (verdict != FRAME_DONE)
		return CHANNEL_BAD;
	len = c->scanned;
	if (len <= KEEP_MAX && is_large(c))
		shrink(c);
	reader_init(message, c->in.data + c->at, len);
	c->at += len;
	c->scanned = 0;
	if (!read_array(message, &count) || count == 0 || reader_peek(message) != READER_STR)
		return CHANNEL_BAD;
	if (elements != NULL)
		*elements = count;
	return CHANNEL_MESSAGE;
}

static void
keep_descriptors(struct channel *c, struct msghdr *header)
{
	struct cmsghdr *cmsg;
	size_t i, count;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL; cmsg = CMSG_NXTHDR(header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof fd;
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
			if (c->passed_count < CHANNEL_PASSED_MAX)
				c->passed[c->passed_count++] = fd;
			else
				close(fd);
		}
	}
}

/* Room for what the message certainly still needs, but never for more than was received already, or the minimum: an announced
 * length costs nothing until its bytes come. */
static bool
make_room(struct channel *c)
{
	uint64_t needs = frame_scan_needs(&c->scan);
	size_t have, room;

	if (c->at > 0) {
		buf_drain(&c->in, c->at);
		c->at = 0;
	}
	have = c->in.len > RECEIVE_MIN ? c->in.len : RECEIVE_MIN;
	room = needs < have ? (size_t)needs : have;
	return buf_reserve(&c->in, room > RECEIVE_MIN ? room : RECEIVE_MIN);
}

static bool
has_come(const struct channel *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) != 0;
}

static enum channel_verdict
receive(struct channel *c, enum channel_wait wait)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} ancillary;
	struct iovec part;
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = ancillary.space,
		.msg_controllen = sizeof ancillary.space,
	};
	ssize_t got;

	if (c->in.len == 0 && is_large(c) && !has_come(c, wait == CHANNEL_WAIT ? KEEP_MS : 0))
		shrink(c);
	if (!make_room(c))
		return CHANNEL_BAD;
	part.iov_base = c->in.data + c->in.len;
	part.iov_len = c->in.cap - c->in.len;
	do
		got = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC | (wait == CHANNEL_NOW ? MSG_DONTWAIT : 0));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? CHANNEL_EMPTY : CHANNEL_END;
	if (header.msg_controllen > 0)
		keep_descriptors(c, &header);
	if (got == 0)
		return CHANNEL_END;
	c->in.len += (size_t)got;
	return CHANNEL_MESSAGE;
}

enum channel_verdict
channel_next(struct channel *c, enum channel_wait wait, struct reader *message, uint32_t *elements)
{
	enum channel_verdict verdict;

	drop_used(c);
	for (;;) {
		verdict = scan(c, message, elements);
		if (verdict != CHANNEL_EMPTY)
			return verdict;
		verdict = receive(c, wait);
		if (verdict != CHANNEL_MESSAGE)
			return verdict;
	}
}

enum channel_flushed
channel_flush(struct channel *c, enum channel_wait wait)
{
	int flags = MSG_NOSIGNAL | (wait == CHANNEL_NOW ? MSG_DONTWAIT : 0);
	ssize_t put = 0;

	while (!c->out.failed && c->sent < c->out.len) {
		put = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, flags);
		if (put >= 0)
			c->sent += (size_t)put;
		else if (errno == EAGAIN && wait == CHANNEL_NOW)
			return CHANNEL_FULL;
		else if (errno != EINTR && errno != EAGAIN)
			break;
	}
	if (c->out.failed || put < 0) {
		buf_clear(&c->out);
		c->sent = 0;
		return CHANNEL_GONE;
	}
	c->out.len = 0;
	c->sent = 0;
	if (c->said_by_others && c->out.cap > KEEP_MAX)
		buf_clear(&c->out);
	return CHANNEL_SENT;
}

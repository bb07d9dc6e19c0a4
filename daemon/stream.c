/* Reading goes through one buffer that all streams share: a whole frame that arrives in one read is handled where it lies, and an
 * idle stream holds no memory. Only an unfinished frame moves to the stream's own buffer:
 *
 *     on_readable: read ─► scan ─► on_frame … ─► the rest is kept in `in` ─► (more bytes) ─► scan goes on where it was
 */
#include "daemon/stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/fault.h"
#include "daemon/spare.h"
#include "daemon/tls.h"

enum {
	READ_SIZE = 256 * 1024,
	FRAMES_PER_TURN = 2000,
	HANDSHAKES_PER_TURN = 4,  /* steps of them: each may take a millisecond */
	TLS_RECORD = 16 * 1024,
	BY_REFERENCE = 16 * 1024, /* payloads from here on are not copied into the output */
};

static uint8_t shared[READ_SIZE];

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void give_more(struct turn_item *item);
static void flush_item(struct turn_item *item);
static void set_blocked(struct stream *s, bool blocked);
static void seal(struct commit_item *item);
static void release(struct commit_item *item);

bool
stream_init(struct stream *s, int fd, uint64_t frame_limit, const struct stream_ops *ops)
{
	*s = (struct stream){ .fd = fd, .ops = ops, .moved_us = clock_now(), .commit = { .seal = seal, .release = release } };
	frame_scan_init(&s->scan, frame_limit);
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 && event_assign(&s->reading, turn_base(), fd, EV_READ | EV_PERSIST, on_readable, s) == 0 &&
	    event_assign(&s->writing, turn_base(), fd, EV_WRITE | EV_PERSIST, on_writable, s) == 0 && event_add(&s->reading, NULL) == 0)
		return true;
	s->fd = -1; /* still the caller's: stream_clear has nothing to do */
	return false;
}

static void
free_buffer(struct evbuffer **b)
{
	if (*b)
		evbuffer_free(*b);
	*b = NULL;
}

void
stream_secure(struct stream *s, struct tls *tls)
{
	s->tls = tls;
	s->shaking = true;
}

void
stream_set_limit(struct stream *s, uint64_t frame_limit)
{
	s->scan.limit = frame_limit;
}

void
stream_clear(struct stream *s)
{
	if (!s->ops || s->fd < 0)
		return;
	event_del(&s->reading);
	event_del(&s->writing);
	turn_unschedule(&s->more);
	turn_unschedule(&s->flush);
	commit_delist(&s->commit);
	buf_clear(&s->in);
	buf_clear(&s->now);
	buf_clear(&s->said);
	free_buffer(&s->before);
	free_buffer(&s->held);
	free_buffer(&s->out);
	tls_free(s->tls);
	s->tls = NULL;
	close(s->fd);
	s->fd = -1;
	s->ended = true;
}

static void
end(struct stream *s, enum stream_end how, enum frame_verdict verdict)
{
	if (s->ended)
		return;
	s->ended = true;
	event_del(&s->reading);
	turn_unschedule(&s->more);
	s->ops->on_end(s, how, verdict);
}

/* Gives up to `max` whole frames from bytes; returns how many bytes were used. *more: it stopped at max. */
static size_t
give_frames(struct stream *s, const uint8_t *bytes, size_t len, unsigned max, bool *more)
{
	size_t start = 0, at = s->scanned;
	bool fresh = !at;

	*more = false;
	for (;;) {
		size_t used;
		enum frame_verdict v = frame_scan(&s->scan, bytes + at, len - at, &used);
		at += used;
		if (v == FRAME_MORE)
			break;
		if (v != FRAME_DONE) {
			if (s->ops->on_partial && !s->ops->on_partial(s, bytes + start, at - start))
				return start;
			end(s, STREAM_BAD, v);
			return start;
		}
		s->scanned = 0;
		if (!s->ops->on_frame(s, bytes + start, at - start) || s->ended)
			return at;
		start = at;
		if (at == len)
			break;
		if (!--max) {
			*more = true;
			return start;
		}
		if (s->paused || (s->yields && !turn_budget())) {
			*more = true;
			return start;
		}
	}
	s->scanned = at - start;
	if (start || fresh)
		s->begun_us = clock_now();
	if (len > start && s->ops->on_partial)
		s->ops->on_partial(s, bytes + start, len - start);
	return start;
}

/* Frames that lie in the stream's own buffer. */
static void
give_from_own(struct stream *s, unsigned max)
{
	bool more;
	struct buf mine = s->in; /* on_frame may take the buffer: see stream_take_frame */
	size_t used = give_frames(s, mine.data, mine.len, max, &more);

	if (s->fd < 0 || s->ended)
		return;
	if (s->in.data == mine.data)
		buf_drain(&s->in, used);
	if (!s->in.len)
		buf_clear(&s->in);
	if ((more && !s->paused) || FAULT(partial_spins))
		turn_schedule(TURN_WORK, &s->more, give_more);
}

static void
give_more(struct turn_item *item)
{
	struct stream *s = container(item, struct stream, more);
	if (!s->ended && s->in.len)
		give_from_own(s, FRAMES_PER_TURN);
}

static void
got_shared(struct stream *s, size_t len, unsigned max)
{
	bool more;
	size_t used = give_frames(s, shared, len, max, &more);

	if (s->fd < 0 || s->ended)
		return;
	if (used < len && !buf_append(&s->in, shared + used, len - used)) {
		end(s, STREAM_NOMEM, FRAME_MORE);
		return;
	}
	if ((more && !s->paused) || FAULT(partial_spins))
		turn_schedule(TURN_WORK, &s->more, give_more);
}

/* Nothing is read before the socket takes more: who does not read is not read from. */
static void
starve(struct stream *s)
{
	s->hungry = true;
	event_del(&s->reading);
	set_blocked(s, true);
}

/* A step of the TLS handshake, where this turn has one to spare; else the socket stays readable. */
static void
shake(struct stream *s)
{
	static uint64_t turn;
	static unsigned steps;

	if (turn != turn_gauges().turns) {
		turn = turn_gauges().turns;
		steps = 0;
	}
	if (++steps > HANDSHAKES_PER_TURN)
		return;
	switch (tls_handshake(s->tls)) {
	case TLS_READ:
		set_blocked(s, false);
		break;
	case TLS_WRITE:
		set_blocked(s, true);
		break;
	case TLS_FAILED:
		end(s, STREAM_INSECURE, FRAME_MORE);
		break;
	case TLS_DONE:
		s->shaking = false;
		s->moved_us = clock_now();
		set_blocked(s, false);
		s->ops->on_secure(s);
		break;
	}
}

/* A large frame that outgrows its buffer goes on in memory that another one had. False: there is no need for it, or no such memory. */
static bool
use_spare(struct stream *s, uint64_t needs)
{
	uint64_t size = s->in.len + needs;

	return needs >= SPARE_LEAST && size > s->in.cap && size <= s->scan.limit && spare_use(&s->in, (size_t)size);
}

/* Reads once. True if there may be more to read. */
static bool
read_once(struct stream *s, unsigned max)
{
	size_t room = READ_SIZE;
	uint8_t *into = shared;

	if (s->in.len) {
		uint64_t needs = frame_scan_needs(&s->scan);
		room = needs > READ_SIZE ? 4 * READ_SIZE : READ_SIZE;
		if (needs < room && needs > READ_SIZE)
			room = (size_t)needs; /* a large frame ends where its buffer ends: it can be taken whole */
		if (!use_spare(s, needs) && !buf_reserve(&s->in, room)) {
			end(s, STREAM_NOMEM, FRAME_MORE);
			return false;
		}
		into = s->in.data + s->in.len;
	}
	ssize_t n = s->tls ? tls_read(s->tls, into, room) : recv(s->fd, into, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (s->tls && tls_wants_write(s->tls))
			starve(s);
		return false;
	}
	if (n <= 0) {
		end(s, STREAM_EOF, FRAME_MORE);
		return false;
	}
	s->moved_us = clock_now();
	s->read_total += (uint64_t)n;
	if (s->traffic)
		s->traffic->received += (uint64_t)n;
	if (into == shared) {
		got_shared(s, (size_t)n, max);
	} else {
		s->in.len += (size_t)n;
		give_from_own(s, max);
	}
	return !s->ended && s->fd >= 0 && (size_t)n == room;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	(void)fd, (void)what;
	if (s->shaking)
		shake(s);
	else if (!s->more.scheduled && !s->paused)
		read_once(s, FRAMES_PER_TURN);
}

void
stream_drain(struct stream *s)
{
	s->paused = false;
	turn_unschedule(&s->more);
	if (!s->ended && s->in.len)
		give_from_own(s, UINT32_MAX);
	while (!s->ended && s->fd >= 0 && read_once(s, UINT32_MAX))
		;
}

void
stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused || s->ended)
		return;
	s->paused = paused;
	if (paused) {
		event_del(&s->reading);
		turn_unschedule(&s->more);
	} else {
		if (!s->hungry)
			event_add(&s->reading, NULL);
		if (s->in.len)
			turn_schedule(TURN_WORK, &s->more, give_more);
	}
}

void
stream_end(struct stream *s)
{
	if (s->ended || s->fd < 0)
		return;
	s->ended = true;
	event_del(&s->reading);
	turn_unschedule(&s->more);
}

void
stream_hang_up(struct stream *s)
{
	tls_free(s->tls);
	s->tls = NULL;
	shutdown(s->fd, SHUT_WR);
}

struct block *
stream_take_frame(struct stream *s, const uint8_t *bytes, size_t len)
{
	if (s->in.data == bytes && s->in.len == len)
		return block_take(&s->in);
	struct buf copy;
	buf_init(&copy);
	buf_append(&copy, bytes, len);
	struct block *block = block_take(&copy);
	buf_clear(&copy);
	return block;
}

/* ---- writing ----
 *
 *     now, and large payloads said at once ─────────┐
 *     before + said ──(no commit is awaited)────────┼──► out ──► socket
 *     before + said ──seal──► held ──release────────┘
 *
 * A batch begins: what was said so far is sealed. It is committed: that is released. Whole messages only ever meet in `out`. */

static void
wants_flush(struct stream *s)
{
	if (!s->flush.scheduled)
		turn_schedule(TURN_FLUSH, &s->flush, flush_item);
}

struct buf *
stream_say(struct stream *s)
{
	if (s->at_once)
		return stream_say_now(s);
	wants_flush(s);
	if (s->gated)
		commit_enlist(&s->commit);
	return &s->said;
}

struct buf *
stream_say_now(struct stream *s)
{
	wants_flush(s);
	return s->gated ? &s->now : &s->said;
}

void
stream_set_at_once(struct stream *s, bool at_once)
{
	s->at_once = at_once && s->gated && !commit_is_open();
}

/* Moves a buf's bytes to the end of an evbuffer. */
static bool
append_buf(struct evbuffer **to, struct buf *from)
{
	if (!*to && !(*to = evbuffer_new()))
		return false;
	if (from->len && evbuffer_add(*to, from->data, from->len))
		return false;
	from->len = 0;
	return true;
}

static bool
append_buffer(struct evbuffer **to, struct evbuffer *from)
{
	if (!from || !evbuffer_get_length(from))
		return true;
	return (*to || (*to = evbuffer_new())) && evbuffer_add_buffer(*to, from) == 0;
}

static void
unref_block(const void *data, size_t len, void *arg)
{
	(void)data, (void)len;
	block_drop(arg);
}

void
stream_say_bytes(struct stream *s, struct bytes b)
{
	struct buf *said = stream_say(s);
	struct evbuffer **before = s->at_once ? &s->out : &s->before;

	if (bytes_len(&b) < BY_REFERENCE) {
		buf_append(said, bytes_data(&b), bytes_len(&b));
		return;
	}
	struct block *block = bytes_block(&b);
	block_hold(block);
	if (!append_buf(before, said) || evbuffer_add_reference(*before, bytes_data(&b), bytes_len(&b), unref_block, block)) {
		block_drop(block);
		said->failed = true;
	}
}

void
stream_say_buffer(struct stream *s, struct evbuffer *from)
{
	struct buf *said = stream_say(s);
	if (!append_buf(&s->before, said) || !append_buffer(&s->before, from))
		said->failed = true;
}

void
stream_unsay(struct stream *s)
{
	s->said.len = 0;
	free_buffer(&s->before);
	free_buffer(&s->held);
	commit_delist(&s->commit);
}

static size_t
length(const struct evbuffer *b)
{
	return b ? evbuffer_get_length(b) : 0;
}

size_t
stream_queued(const struct stream *s)
{
	return s->now.len + s->said.len + length(s->before) + length(s->held) + length(s->out);
}

static void
count_sent(struct stream *s, size_t n)
{
	s->moved_us = clock_now();
	if (s->traffic)
		s->traffic->sent += n;
}

bool
stream_waits(const struct stream *s)
{
	return s->commit.listed;
}

static void
seal(struct commit_item *item)
{
	struct stream *s = container(item, struct stream, commit);
	if (!append_buffer(&s->held, s->before) || !append_buf(&s->held, &s->said))
		s->said.failed = true;
}

static void
release(struct commit_item *item)
{
	struct stream *s = container(item, struct stream, commit);

	if (s->now.len && !append_buf(&s->out, &s->now))
		s->said.failed = true;
	if (!append_buffer(&s->out, s->held))
		s->said.failed = true;
	if (!s->said.len && !length(s->before))
		commit_delist(item);
	wants_flush(s);
}

/* Writes a buf straight from where it was encoded; true if all of it went. */
static bool
write_buf(struct stream *s, struct buf *b)
{
	ssize_t n = send(s->fd, b->data, b->len, MSG_NOSIGNAL);
	if (n < 0)
		return false;
	count_sent(s, (size_t)n);
	if ((size_t)n == b->len) {
		b->len = 0;
		return true;
	}
	buf_drain(b, (size_t)n);
	return false;
}

static bool
write_out(struct stream *s)
{
	while (length(s->out)) {
		struct evbuffer_iovec vec[64];
		int count = evbuffer_peek(s->out, -1, NULL, vec, 64);
		struct msghdr msg = { .msg_iov = (struct iovec *)vec, .msg_iovlen = (size_t)(count < 64 ? count : 64) };
		ssize_t n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
		if (n < 0)
			return false;
		count_sent(s, (size_t)n);
		evbuffer_drain(s->out, (size_t)n);
	}
	return true;
}

/* Records of what is queued; what was offered once is offered again in the same place. */
static bool
write_tls(struct stream *s)
{
	size_t len;

	while ((len = length(s->out)) > 0) {
		size_t take = len < TLS_RECORD ? len : TLS_RECORD;
		const unsigned char *bytes = evbuffer_pullup(s->out, (ev_ssize_t)take);
		ssize_t n = bytes ? tls_write(s->tls, bytes, take) : -1;
		if (n < 0)
			return false;
		count_sent(s, (size_t)n);
		evbuffer_drain(s->out, (size_t)n);
	}
	return true;
}

static void
set_blocked(struct stream *s, bool blocked)
{
	if (s->blocked == blocked)
		return;
	s->blocked = blocked;
	if (blocked)
		event_add(&s->writing, NULL);
	else
		event_del(&s->writing);
}

/* A buf that may go: written at once where nothing stands before it, else (or what is left of it) put behind that. False without memory. */
static bool
push(struct stream *s, struct buf *b)
{
	if (!b->len || (!s->tls && !length(s->out) && write_buf(s, b)))
		return true;
	return append_buf(&s->out, b);
}

/* The peer is gone, or the kernel would not take what is for it: what it said before that is still to be read, and then comes the end of file, for
   both sides. */
static void
forget_said(struct stream *s)
{
	shutdown(s->fd, SHUT_RDWR);
	s->now.len = s->said.len = 0;
	free_buffer(&s->before);
	free_buffer(&s->held);
	free_buffer(&s->out);
	commit_delist(&s->commit);
}

static void
flush(struct stream *s)
{
	bool open = !s->gated || commit_is_open(), good;

	CRASH_POINT(before_send);
	if (!open && commit_is_due())
		wants_flush(s);
	turn_count(0, s->said.len);
	good = !s->said.failed && !s->now.failed && push(s, &s->now);
	if (open) {
		good = good && append_buffer(&s->out, s->before) && push(s, &s->said);
		commit_delist(&s->commit);
	}
	if (!good) {
		end(s, STREAM_NOMEM, FRAME_MORE);
		return;
	}
	errno = 0;
	bool all = s->tls ? write_tls(s) : write_out(s);
	if (!all && errno != EAGAIN && errno != EINTR && errno != 0) {
		forget_said(s);
		all = true;
	}
	CRASH_POINT(after_send);
	if (s->said.cap > 64 * 1024 && !s->said.len)
		buf_clear(&s->said);
	if (s->now.cap > 64 * 1024 && !s->now.len)
		buf_clear(&s->now);
	set_blocked(s, !all);
	if (s->ops->on_written)
		s->ops->on_written(s);
}

static void
flush_item(struct turn_item *item)
{
	struct stream *s = container(item, struct stream, flush);
	if (s->fd >= 0 && !s->blocked && !s->shaking)
		flush(s);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	(void)fd, (void)what;
	if (s->hungry && !s->ended) {
		s->hungry = false;
		if (!s->paused)
			event_add(&s->reading, NULL);
	}
	if (s->shaking && !s->ended)
		shake(s);
	else if (s->fd >= 0 && !s->shaking)
		flush(s);
}

/* The loop of a slot's thread.
 *
 *	recv ──► for each whole run message: claim ─► run ─► settle ─► send the answer ──► recv …
 *
 * Most of the time a turn is: one recv that brings several small messages, then per message one compare-and-exchange, one call
 * and one write into the ring. An answer is sent before the next task is claimed: then it neither dies with that task nor waits for it. Which
 * way an answer takes is decided in slot_deliver alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/pack.h"
#include "proto/worker.h"
#include "worker/slot.h"

enum { ERROR_MESSAGE_MAX = 4096 };

void
slot_init(struct slot *s, unsigned number, int fd, struct board *board, struct ring *ring, uint64_t message_max,
	const _Atomic bool *ending)
{
	int flags = fcntl(fd, F_GETFL);

	memset(s, 0, sizeof *s);
	s->number = number;
	s->board = board;
	ring_writer_init(&s->ring, ring);
	s->message_max = message_max;
	s->ending = ending;
	channel_init(&s->channel, fd, message_max + WORKER_ENVELOPE);
	pthread_mutex_init(&s->sending, NULL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

void
slot_clear(struct slot *s)
{
	close(s->channel.fd);
	channel_clear(&s->channel);
	pthread_mutex_destroy(&s->sending);
}

/* ---- sending ---- */

/* Sends one message, or notes that the slot is closed. Blocks while the daemon does not read. */
static void
send_pieces(struct slot *s, struct iovec *piece, size_t count)
{
	struct msghdr msg = {.msg_iov = piece, .msg_iovlen = count};

	ring_note_said(&s->ring);
	while (!s->broken && msg.msg_iovlen > 0) {
		ssize_t n = sendmsg(s->channel.fd, &msg, MSG_NOSIGNAL);

		if (n < 0) {
			s->broken = errno != EINTR;
			continue;
		}
		while (msg.msg_iovlen > 0 && (size_t)n >= msg.msg_iov->iov_len) {
			n -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen > 0) {
			msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + n;
			msg.msg_iov->iov_len -= (size_t)n;
		}
	}
}

static void
wake_daemon(struct slot *s)
{
	while (send(s->channel.fd, ring_wake, sizeof ring_wake, MSG_NOSIGNAL) < 0)
		if (errno != EINTR) {
			s->broken = true;
			return;
		}
}

/* The one way an answer takes to the daemon: a small one into the ring, else through the socket. */
static void
slot_deliver(struct slot *s)
{
	if (ring_write(&s->ring, s->channel.out.data, s->channel.out.len)) {
		if (ring_must_wake(&s->ring))
			wake_daemon(s);
		s->channel.out.len = 0;
		return;
	}
	ring_note_said(&s->ring);
	if (channel_flush(&s->channel, CHANNEL_WAIT) == CHANNEL_GONE)
		s->broken = true;
}

/* ---- what a runtime packs ---- */

static struct buf *
answer_begin(struct slot *s, const char *verb, size_t count)
{
	struct buf *b = &s->channel.out;

	b->len = 0;
	b->failed = false;
	pack_array(b, count);
	pack_cstr(b, verb);
	pack_uint(b, s->task.id);
	return b;
}

struct buf *
slot_ok(struct slot *s)
{
	return answer_begin(s, "ok", 3);
}

struct buf *
slot_error(struct slot *s)
{
	return answer_begin(s, "error", 3);
}

void
slot_cancelled(struct slot *s)
{
	answer_begin(s, "cancelled", 2);
}

void
slot_pack_error(struct buf *b, size_t extra, const char *type, const char *message, size_t len)
{
	if (len > ERROR_MESSAGE_MAX)
		len = ERROR_MESSAGE_MAX;
	pack_map(b, 2 + extra);
	pack_key(b, "type");
	pack_text(b, type, strnlen(type, 256));
	pack_key(b, "message");
	pack_text(b, message, len);
}

void
slot_fail_va(struct slot *s, const char *type, const char *fmt, va_list ap)
{
	char message[ERROR_MESSAGE_MAX];

	vsnprintf(message, sizeof message, fmt, ap);
	slot_pack_error(slot_error(s), 0, type, message, strlen(message));
}

void
slot_fail(struct slot *s, const char *type, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	slot_fail_va(s, type, fmt, ap);
	va_end(ap);
}

bool
slot_is_stopped(const struct slot *s)
{
	return s->entry != NULL && board_is_stopped(s->entry);
}

/* A cursor at the value of an option; READER_END if it did not come. */
static struct reader
option(const struct slot *s, const char *key)
{
	struct reader r = s->task.options, none = {0};

	for (uint32_t i = 0; i < s->task.option_count; i++) {
		if (read_is(&r, key))
			return r;
		if (!read_skip(&r) || !read_skip(&r))
			break;
	}
	return none;
}

bool
slot_has_kwargs(const struct slot *s)
{
	struct reader r = option(s, "kwargs");
	uint32_t pairs;

	return read_map(&r, &pairs) && pairs > 0;
}

void
slot_secret(const struct slot *s, char *to, size_t size)
{
	struct reader r = option(s, "secret");
	const char *secret;
	size_t len;

	if (!read_str(&r, &secret, &len) || len >= size)
		len = 0;
	else
		memcpy(to, secret, len);
	to[len] = '\0';
}

/* ---- what a task says before its answer ---- */

void
slot_output_locked(struct slot *s, enum slot_stream stream, const void *bytes, size_t len)
{
	uint64_t id = atomic_load(&s->listening);
	const char *at = bytes;
	uint8_t header[64];

	while (len > 0) {
		size_t piece = len < SLOT_OUTPUT_MAX ? len : SLOT_OUTPUT_MAX;
		struct buf b = {.data = header, .cap = sizeof header}; /* 39 bytes at most: it never grows */

		if (id == 0) {
			if (write(STDERR_FILENO, at, piece) < 0)
				return; /* the log is gone: nobody is left to tell */
		} else {
			pack_array(&b, 4);
			pack_cstr(&b, "output");
			pack_uint(&b, id);
			pack_cstr(&b, stream == SLOT_STDOUT ? "stdout" : "stderr");
			pack_bin_header(&b, piece);
			send_pieces(s, (struct iovec[]){{b.data, b.len}, {(void *)(uintptr_t)at, piece}}, 2);
		}
		at += piece;
		len -= piece;
	}
}

void
slot_output(struct slot *s, enum slot_stream stream, const void *bytes, size_t len)
{
	pthread_mutex_lock(&s->sending);
	slot_output_locked(s, stream, bytes, len);
	pthread_mutex_unlock(&s->sending);
}

void
slot_progress(struct slot *s, double done, double total, const char *note, size_t len)
{
	struct buf b;

	if (s->task.id == 0)
		return;
	buf_init(&b);
	pack_array(&b, 5);
	pack_cstr(&b, "progress");
	pack_uint(&b, s->task.id);
	pack_number(&b, done);
	if (total < 0)
		pack_nil(&b);
	else
		pack_number(&b, total);
	pack_text(&b, note == NULL ? "" : note, note == NULL ? 0 : len < ERROR_MESSAGE_MAX ? len : ERROR_MESSAGE_MAX);
	if (!b.failed) {
		pthread_mutex_lock(&s->sending);
		send_pieces(s, &(struct iovec){b.data, b.len}, 1);
		pthread_mutex_unlock(&s->sending);
	}
	buf_clear(&b);
}

/* ---- running ---- */

static void
run_task(struct slot *s)
{
	struct buf *out = &s->channel.out;

	out->len = 0;
	out->failed = false;
	s->run(s);
	if (out->failed) {
		buf_clear(out);
		slot_fail(s, "MemoryError", "out of memory while the answer was encoded");
	} else if (out->len == 0) {
		slot_fail(s, "RuntimeError", "the runtime gave no answer");
	} else if (out->len > s->message_max) {
		slot_fail(s, "ValueError", "the result has %zu bytes; a message may have %llu", out->len,
			(unsigned long long)s->message_max);
	}
}

static void
answer_task(struct slot *s)
{
	pthread_mutex_lock(&s->sending);
	if (s->settle != NULL)
		s->settle(s);
	atomic_store(&s->listening, 0);
	if (!s->broken)
		slot_deliver(s);
	pthread_mutex_unlock(&s->sending);
}

static void
serve_task(struct slot *s)
{
	if (!board_claim(s->entry, s->task.id, now_us()))
		return; /* revoked: it never runs, and nobody is told */
	atomic_store(&s->listening, s->task.id);
	run_task(s);
	answer_task(s);
}

bool
slot_initialize(struct slot *s, const char *fn, const void *args, size_t len, struct buf *error)
{
	struct reader answer;
	const uint8_t *map;
	size_t map_len;
	uint32_t count;

	memset(&s->task, 0, sizeof s->task);
	s->entry = NULL;
	s->task.fn = fn;
	s->task.fn_len = strlen(fn);
	reader_init(&s->task.args, args, len);
	if (!read_array(&s->task.args, &s->task.arg_count)) {
		slot_pack_error(error, 0, "ValueError", "initargs is not an array", strlen("initargs is not an array"));
		return false;
	}
	run_task(s);
	if (s->settle != NULL) {
		pthread_mutex_lock(&s->sending);
		s->settle(s);
		pthread_mutex_unlock(&s->sending);
	}
	reader_init(&answer, s->channel.out.data, s->channel.out.len);
	s->channel.out.len = 0; /* it goes nowhere, but stays readable */
	read_array(&answer, &count);
	if (read_is(&answer, "ok"))
		return true;
	if (read_skip(&answer) && read_skip(&answer) && read_raw(&answer, &map, &map_len))
		pack_raw(error, map, map_len);
	else
		slot_pack_error(error, 0, "CancelledError", "the initializer gave up", strlen("the initializer gave up"));
	return false;
}

bool
slot_serve(struct slot *s, const char **why)
{
	enum channel_verdict verdict;
	struct reader message;
	uint32_t elements;

	while ((verdict = channel_next(&s->channel, CHANNEL_WAIT, &message, &elements)) == CHANNEL_MESSAGE) {
		if (!run_read(message, elements, &s->task) || s->task.id == 0)
			break;
		if (atomic_load_explicit(s->ending, memory_order_relaxed))
			return true;
		s->entry = &s->board->entry[s->task.entry];
		serve_task(s);
		if (s->broken)
			return true;
	}
	*why = "what came is not a run message";
	return verdict == CHANNEL_END;
}

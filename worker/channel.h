/* One socket of the worker contract: whole messages in, encoded messages out.
 *
 * What comes is checked by proto/frame before anybody looks at it, and never kept beyond the `message` limit of `hello`.
 * A channel belongs to one thread at a time. A runtime with a thread per slot calls channel_next(…, CHANNEL_WAIT, …) in each of
 * them; one with an event loop polls channel->fd and calls it with CHANNEL_NOW. The descriptor itself may be either blocking or
 * not: each call says what it wants. */
#ifndef FUTURED_WORKER_CHANNEL_H
#define FUTURED_WORKER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/frame.h"
#include "proto/reader.h"

enum { CHANNEL_PASSED_MAX = 16 };

enum channel_wait { CHANNEL_NOW, CHANNEL_WAIT };

enum channel_verdict {
	CHANNEL_MESSAGE,
	CHANNEL_EMPTY, /* CHANNEL_NOW only: nothing whole has come yet */
	CHANNEL_END,   /* the other side closed, or is gone */
	CHANNEL_BAD,   /* not MessagePack, not an array that begins with a str, or larger than the limit: end the host */
};

enum channel_flushed { CHANNEL_SENT, CHANNEL_FULL, CHANNEL_GONE };

struct channel {
	int fd;                 /* borrowed; -1 is allowed in none of the calls */
	struct buf in;          /* from `at` on: bytes that are not used yet */
	size_t at;              /* where the next message begins */
	size_t scanned;         /* bytes behind `at` that the scan has passed over */
	struct frame_scan scan;
	struct buf out;         /* from `sent` on: encoded and not yet written; append to it freely */
	size_t sent;
	bool said_by_others;    /* `out` and `sent` belong to whoever holds the owner's lock, and not to the thread that reads */
	int passed[CHANNEL_PASSED_MAX]; /* descriptors that came along and were not taken yet, oldest first */
	size_t passed_count;
};

void channel_init(struct channel *c, int fd, uint64_t limit);
/* Frees the buffers and closes descriptors nobody took; the socket stays open. */
void channel_clear(struct channel *c);
/* Changes the size limit for messages to come. */
void channel_limit(struct channel *c, uint64_t limit);

/* The next message: *message stands behind the array's header, at the verb, and ends where the message ends; its bytes are
 * good until the next channel_next on this channel. *elements (may be NULL) counts the verb too. */
enum channel_verdict channel_next(struct channel *c, enum channel_wait wait, struct reader *message, uint32_t *elements);
/* The oldest descriptor that came by SCM_RIGHTS, which the caller now owns; -1: none came. */
int channel_take_descriptor(struct channel *c);

/* Writes what is in `out`. CHANNEL_NOW: CHANNEL_FULL means that some is left. CHANNEL_GONE: the other side is gone or memory ran
 * out while encoding; `out` is then empty. Never raises SIGPIPE. */
enum channel_flushed channel_flush(struct channel *c, enum channel_wait wait);

#endif

/* A task's stdin: what is to be written into it, from the `run` message or from `input` messages.
 *
 * A task may close its stdin, or end, at any time. What is then left is dropped, and counts as taken: nobody waits for a
 * reader that is gone. SIGPIPE must be blocked or ignored. */
#ifndef FUTURED_WORKER_FEED_H
#define FUTURED_WORKER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

struct feed {
	int fd;               /* our end, not blocking; -1: closed */
	const uint8_t *bytes; /* borrowed, written first */
	size_t left;
	struct buf queue;     /* from input; from `at` on */
	size_t at;
	bool ended;           /* nothing more will be added: close when all is written */
	size_t taken;         /* bytes of the queue that went since somebody set this to 0 */
};

void feed_init(struct feed *f);
void feed_clear(struct feed *f);
/* Opens a pipe; the task's end, *task_end, is the caller's to close once the task has it. bytes are borrowed until
 * feed_close. `ended`: nothing will be added. False, with errno set, if there is no pipe to be had. */
bool feed_open(struct feed *f, const void *bytes, size_t len, bool ended, int *task_end);
/* Ends it and drops what was not written. */
void feed_close(struct feed *f);

/* More for the task, and whether that was all. False without memory. */
bool feed_add(struct feed *f, const void *bytes, size_t len, bool ended);
/* Bytes that were added and are not taken. */
size_t feed_held(const struct feed *f);
/* Whether there is something to write: then poll fd for POLLOUT and call feed_write. */
bool feed_is_waiting(const struct feed *f);
/* Writes what the pipe has room for; closes it when all is written and ended, or when nobody reads. */
void feed_write(struct feed *f);

#endif

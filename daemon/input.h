/* A running command's stdin, fed by `input`: buffered up to a bound before the task runs and while it does not read. */
#ifndef FUTURED_DAEMON_INPUT_H
#define FUTURED_DAEMON_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/future.h"

struct input;

/* A feeder that waits for room. */
struct input_waiter {
	struct input_waiter *next, *prev;
	struct bytes data; /* owned by the waiter */
	bool eof;
	/* The data went into the buffer (done), or will never: the task ended. Unlinked already. */
	void (*answer)(struct input_waiter *w, bool done);
};

/* Whether the future takes input, and more may come: its spec says so, it is not final, and eof has not been said. */
bool input_is_open(const struct future *f);
/* Whether so much would be given to its task at once, which runs and takes what comes. */
bool input_is_taken(const struct future *f, size_t len);
/* What is buffered, or waits to be, counts as its owner's bytes. Buffers the data and returns true if there is room now (or nothing is buffered). False: wait with input_wait. Remembers the feeder, a
 * connection id. *failed: no memory. */
bool input_feed(struct future *f, const void *data, size_t len, bool eof, uint64_t feeder, bool *failed);
void input_wait(struct future *f, struct input_waiter *w);
void input_unwait(struct future *f, struct input_waiter *w);
/* The task runs: what was buffered for it is given. */
void input_begin(struct future *f);
/* The host says that the task took n bytes. */
void input_taken(struct future *f, uint64_t n);
/* The feeder's connection ended: that is the end of the input, if it was the one that fed last. */
void input_feeder_gone(struct future *f, uint64_t feeder);
/* The task is over: whoever still feeds is told, and the buffer is freed. */
void input_end_of_task(struct future *f);

#endif

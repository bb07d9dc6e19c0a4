/* Input for tasks that have not begun.
 *
 * `run` comes on the slot's socket and `input` on the control socket, so which is read first is chance. Input for a task that
 * is not running is therefore kept until the task begins, unless the task is known to be over. */
#ifndef FUTURED_WORKER_EARLY_H
#define FUTURED_WORKER_EARLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/board.h"
#include "worker/feed.h"

/* How many tasks that are over are remembered: until the daemon has heard of one's end, it can have as many others begun and
 * ended as a board holds. */
enum { EARLY_OVER = 2 * BOARD_ENTRIES };

struct early_input;

struct early {
	struct early_input *first; /* owned; at most one for each task that can be ahead */
	size_t count;
	size_t held;               /* bytes */
	uint64_t over[EARLY_OVER]; /* a ring of ids */
	size_t next;
};

void early_init(struct early *e);
void early_clear(struct early *e);
/* Keeps input for task `id`, if it is not over. False if more than `limit` bytes would be held, or more tasks than a board
 * has entries, or without memory. */
bool early_add(struct early *e, uint64_t id, const void *bytes, size_t len, bool eof, size_t limit);
/* The task begins: what came for it goes into its feed. False without memory. */
bool early_move(struct early *e, uint64_t id, struct feed *f);
/* The task is over, or was revoked: what came for it is dropped, and so is what will come. */
void early_forget(struct early *e, uint64_t id);

#endif

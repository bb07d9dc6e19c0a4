/* One command to run, read from a `run` message: argv, environment and settings, checked and terminated. */
#ifndef FUTURED_WORKER_TASK_H
#define FUTURED_WORKER_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "worker/host.h"
#include "worker/process.h"

enum task_stdin { TASK_STDIN_NONE, TASK_STDIN_BYTES, TASK_STDIN_OPEN };

struct task {
	uint64_t id, attempt;
	struct process_plan plan; /* in, out and err are the caller's to fill */
	enum task_stdin in;
	const uint8_t *bytes;     /* TASK_STDIN_BYTES: borrowed from the message */
	size_t len;
	struct buf text;          /* what the plan points to */
	struct buf pointers;
};

/* In place, to be used for one task after the other: the buffers are kept. */
void task_init(struct task *t);
void task_clear(struct task *t);
/* Fills it from a run message, whose memory must stay until the task is over. False, with a sentence in why (a ValueError), if
 * something cannot be: the task must not be started then. */
bool task_read(struct task *t, const struct run *run, char *why, size_t why_size);

#endif

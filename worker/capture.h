/* One output of a task: the pipe it is printed into and the bytes that were read and not yet passed on.
 *
 * The host keeps a write end of the pipe itself. So only bytes wake it: not every process that closes its output, and not
 * the task's end, which SIGCHLD tells already. When the whole task is dead, what the pipe still holds is all there will be, and
 * no end of file has to be waited for, which a stranger who was handed the pipe could keep away for ever. */
#ifndef FUTURED_WORKER_CAPTURE_H
#define FUTURED_WORKER_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

struct capture {
	const char *name;  /* "stdout", "stderr" */
	int from;          /* our end, not blocking; -1 while there is no task */
	int into;          /* the task's end */
	struct buf bytes;  /* at most `chunk` */
	size_t chunk;
};

void capture_init(struct capture *c, const char *name, size_t chunk);
void capture_clear(struct capture *c);
/* A new pipe; false, with errno set, if there is none to be had. */
bool capture_open(struct capture *c);
void capture_close(struct capture *c);

bool capture_is_full(const struct capture *c);
/* Reads once, at most `most` bytes and what there is room for. Returns the number read; 0: there was nothing. */
size_t capture_read(struct capture *c, size_t most);
/* How many bytes the pipe holds now. */
size_t capture_held(const struct capture *c);
/* Encodes ["output", id, name, bin] with all that was read, which is then forgotten. */
void capture_pack(struct capture *c, uint64_t id, struct buf *out);

#endif

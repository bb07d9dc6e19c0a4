/* The files that a batch names beside its rows: large payloads, output that was spilled, boards of hosts. */
#ifndef FUTURED_DAEMON_BATCH_FILES_H
#define FUTURED_DAEMON_BATCH_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct batch;

/* Before the commit, any thread: what its rows will refer to is on the disk. False, with a sentence. */
bool batch_files_write(const struct batch *b, char *why, size_t size);
/* After it, any thread: files of what is gone. */
void batch_files_remove(const struct batch *b);
/* After it, in the loop: large payloads are in files now, and their memory may go. */
void batch_files_let_go(const struct batch *b);

#endif

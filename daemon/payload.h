/* Large payloads of the durable store: each is a file beside it, and the memory that held it becomes a view of that file, which the system may drop
 * and read again. Whoever holds the bytes notices nothing.
 *
 *     the thread writes the file (payload_write) ─► the batch is committed ─► the loop lets go of the memory (payload_let_go) ─► … ─► payload_remove */
#ifndef FUTURED_DAEMON_PAYLOAD_H
#define FUTURED_DAEMON_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bytes.h"

enum { PAYLOAD_LARGE = 256 * 1024, PAYLOAD_PAGE = 4096 };

enum payload_kind { PAYLOAD_ARGS, PAYLOAD_VALUE };

/* Makes the directory for them, `path`. False with errno. */
bool payload_use_directory(const char *path);
/* Writes one and waits until the disk has it; any thread. A file has the data behind `pad` bytes, such that pages of the one are pages of the other.
 * False with a sentence. */
bool payload_write(uint64_t id, enum payload_kind kind, const void *data, size_t len, char *why, size_t why_size);
unsigned payload_pad(const void *data);
/* The pages that lie wholly within the data are the file's from now on. */
void payload_let_go(uint64_t id, enum payload_kind kind, const struct bytes *of, const void *data, size_t len);
/* The directory's entries are on the disk, too. */
bool payload_sync(char *why, size_t why_size);
void payload_remove(uint64_t id, enum payload_kind kind);
/* The data of an earlier daemon's file, as a view of it. False if it is not there, or without memory. */
bool payload_read(uint64_t id, enum payload_kind kind, unsigned pad, struct bytes *out);
/* The file itself, mapped for reading; any thread. NULL if it is not there. */
void *payload_map(uint64_t id, enum payload_kind kind, size_t *size);
/* Bytes on the disk. */
uint64_t payload_bytes(void);
/* Removes the files that `is_known` does not know, and counts the others. */
void payload_sweep(bool (*is_known)(uint64_t id, enum payload_kind kind));

#endif

/* Ids as clients give them: single ones, and runs of consecutive ones, kept as runs in the order asked. */
#ifndef FUTURED_DAEMON_IDS_H
#define FUTURED_DAEMON_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"

enum { IDS_MAX = 1000000 };

struct id_run {
	uint64_t first, count;
};

struct ids {
	struct id_run *run; /* owned */
	size_t runs, size;
	uint64_t total;
	size_t at;          /* where walking is: ids_next */
	uint64_t offset;
};

/* Appends a run, joined to the last one where it follows it. False without memory. */
bool ids_add(struct ids *ids, uint64_t first, uint64_t count);
/* Reads one element of an array of ids: an id, or a pair [first, count]. False, and the cursor anywhere, if it is neither. */
bool ids_read_element(struct reader *r, uint64_t *first, uint64_t *count);
/* The next one, in order; false at the end. */
bool ids_next(struct ids *ids, uint64_t *id);
void ids_rewind(struct ids *ids);
/* Removes what was named before. False without memory, or when they span more than 2^30 ids: then all of them
 * are still there. Cheap when nothing is named twice. */
bool ids_unique(struct ids *ids);
void ids_clear(struct ids *ids);

#endif

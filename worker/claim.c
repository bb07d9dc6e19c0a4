/* The claim of a task, for hosts in languages that have no atomics: lib/futured/claim.so, a library of one function, to be called
 * as languages call C. */
#include <time.h>

#include "proto/board.h"

__attribute__((visibility("default"))) int futured_claim(struct board_entry *e, uint64_t id);

/* 1 if the task `id` may now run; 0 if it was revoked: pass over it. */
int
futured_claim(struct board_entry *e, uint64_t id)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return board_claim(e, id, (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

/* A queue of future ids, in order, with consecutive ones kept as runs. */
#ifndef FUTURED_DAEMON_BACKLOG_H
#define FUTURED_DAEMON_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog_run {
	uint64_t first;
	uint32_t count;
	bool want;
};

struct backlog {
	struct backlog_run *run; /* a ring */
	size_t head, used, size;
};

/* False without memory. */
bool backlog_push(struct backlog *b, uint64_t id, bool want);
bool backlog_pop(struct backlog *b, uint64_t *id, bool *want);
bool backlog_is_empty(const struct backlog *b);
void backlog_clear(struct backlog *b);

#endif

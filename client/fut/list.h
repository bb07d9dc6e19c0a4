/* Walking over the daemon's futures, a page at a time. */
#ifndef FUT_LIST_H
#define FUT_LIST_H

#include "client/fut/fut.h"

/* What a list calls states: those of the protocol, with two for finished ones. */
enum list_state { LIST_PENDING = 1, LIST_RUNNING = 2, LIST_CANCELLED = 4, LIST_SUCCEEDED = 8, LIST_FAILED = 16 };

struct list_filter {
	const char *pool, *tag, *name, *state; /* NULL: any */
	unsigned states;                       /* of enum list_state; 0: any */
	double since;                          /* submitted; 0: any */
	int64_t most;                          /* 0: any number */
	bool newest;                           /* of more than `most` the last ones */
	uint64_t after;                        /* only ids above this one */
};

/* Calls `each` for every future map, by id, until it returns false. EXIT_OK or what to exit with, said. */
int list_each(struct fut *f, const struct list_filter *filter, bool (*each)(struct futured_value map, void *data), void *data);
/* The highest id that there is, 0 if there is none, in a few questions. False: *refused is what the daemon answered instead, for fut_refused, and to be freed. */
bool list_last(struct fut *f, double timeout, uint64_t *last, struct futured_reply **refused);
/* Appends the ids of them to *ids (grown with realloc); the same. */
int list_ids(struct fut *f, const struct list_filter *filter, uint64_t **ids, size_t *n);
/* Reads names of states, in any case, with commas between them, into the filter. False: said. */
bool list_states(struct fut *f, const char *text, struct list_filter *filter);
/* What a list shows of a task: its name, else its function and what is known of its arguments. New. */
char *list_title(struct futured_value map);
/* Its function and arguments, quoted as in a shell where that is needed. New; NULL without a function. */
char *list_command(struct futured_value map);

#endif

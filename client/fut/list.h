/* Walking over the daemon's futures, a page at a time. */
#ifndef FUT_LIST_H
#define FUT_LIST_H

#include "client/fut/fut.h"

struct list_filter {
	const char *pool, *tag, *name, *state; /* NULL: any */
	double since;                          /* submitted; 0: any */
	int64_t most;                          /* 0: any number */
};

/* Calls `each` for every future map, by id, until it returns false. EXIT_OK or what to exit with, said. */
int list_each(struct fut *f, const struct list_filter *filter, bool (*each)(struct futured_value map, void *data), void *data);
/* Reads a state's name in any case: "running" is "RUNNING". False: said. */
bool list_state(struct fut *f, const char *text, const char **state);
/* What a list shows of a task: its name, else its function and what is known of its arguments. New. */
char *list_title(struct futured_value map);
/* Its function and arguments, quoted as in a shell where that is needed. New; NULL without a function. */
char *list_command(struct futured_value map);

#endif

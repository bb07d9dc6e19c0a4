/* What map works on: operands, or lines of stdin as they come. */
#ifndef FUT_ITEMS_H
#define FUT_ITEMS_H

#include "client/fut/fut.h"

struct items {
	char **operands; /* NULL: stdin */
	int count, at;
	char separator;  /* of stdin */
	char *data;      /* read and not yet taken, from `begin` on */
	size_t begin, len, cap;
	bool ended;      /* nothing more will come from stdin */
	uint64_t taken;
	uint64_t total;  /* 0: not known yet */
};

void items_init(struct items *it, char **operands, int count, char separator);
void items_free(struct items *it);
/* Takes the next that is there now; the text is terminated and stays good until the next call. */
bool items_next(struct items *it, const char **text, size_t *len);
/* Whether one is there now. */
bool items_ready(struct items *it);
/* Whether there will be none any more. */
bool items_over(struct items *it);
/* To be polled for reading when none is ready; -1: nothing to wait for. */
int items_fd(const struct items *it);
/* Reads more; false if stdin cannot be read or a line is too long (said). */
bool items_read(struct items *it, struct fut *f);

#endif

/* Feeding a running task's stdin from a descriptor of ours. */
#ifndef FUT_FEED_H
#define FUT_FEED_H

#include "client/fut/fut.h"

enum feed_kind {
	FEED_NONE,  /* the task reads /dev/null */
	FEED_BYTES, /* all of it is here and goes along with the submit */
	FEED_LIVE,  /* goes bit by bit, as the task takes it */
};

struct feed {
	struct fut *f;
	enum feed_kind kind;
	int fd;         /* -1: none, or at its end */
	uint64_t id;    /* 0: not known yet */
	char *head;     /* FEED_BYTES: all; FEED_LIVE: what was read before it was known to be long */
	size_t head_len;
	int flying;     /* inputs that have not been taken yet */
	bool over;      /* the task takes no more */
};

/* Decides what the task will read. `path`: a file, "-" for our stdin, NULL: our stdin if it is something other than a terminal and
 * /dev/null. `whole`: it must be FEED_BYTES or nothing (retries run with the same input again). False: said. */
bool feed_open(struct feed *feed, struct fut *f, const char *path, bool whole);
/* Whether our stdin has something to read that the task was not given. */
bool feed_is_left_out(const struct feed *feed);
/* The option of submit that belongs to it. */
void feed_options(const struct feed *feed, struct futured_options *o);
/* The task is known now. */
void feed_begin(struct feed *feed, uint64_t id);
/* The descriptor to poll for reading, -1 for none now. */
int feed_fd(const struct feed *feed);
/* It is readable: reads and sends a piece. */
void feed_read(struct feed *feed);
void feed_close(struct feed *feed);

#endif

/* Why a task does not begin, told on a terminal to whoever waits for it: after a second, and when the reason changes. */
#ifndef FUT_WAITING_H
#define FUT_WAITING_H

#include "client/fut/fut.h"

struct waiting {
	struct fut *f;
	const char *pool;
	uint64_t id;   /* 0: not known yet */
	bool over;     /* it runs, or did; or nobody looks on */
	bool block;    /* its submit may wait for room */
	bool asking;   /* a `show` is under way */
	double look_at;
	char *told;    /* the code of the reason that was told last; NULL: none */
};

void waiting_begin(struct waiting *w, struct fut *f, const char *pool, bool block);
/* Looks, if it is time for that. `id` 0: it is not known. */
void waiting_look(struct waiting *w, uint64_t id);
/* Milliseconds until it is time; -1: never. */
int waiting_ms(const struct waiting *w);
/* It has been heard of: nothing more is told. */
void waiting_end(struct waiting *w);
void waiting_clear(struct waiting *w);

#endif

/* When map gives up early, in GNU parallel's words: never, soon,fail=3, now,fail=10%, now,success=1, soon,done=100. */
#ifndef FUT_HALT_H
#define FUT_HALT_H

#include "client/fut/fut.h"

enum halt_when {
	HALT_NEVER,
	HALT_SOON, /* what runs may finish */
	HALT_NOW,  /* what runs is killed */
};

struct halt {
	enum halt_when when;
	enum { HALT_FAIL, HALT_SUCCESS, HALT_DONE } what;
	uint64_t count; /* or a percentage */
	bool percent;
};

bool halt_read(struct fut *f, const char *text, struct halt *h);
/* Whether that is reached. `total` 0: not known, and a percentage is one of what is done, from the third on. */
bool halt_is_reached(const struct halt *h, uint64_t done, uint64_t failed, uint64_t total);

#endif

/* The progress line of map, on stderr, where that is a terminal. */
#ifndef FUT_PROGRESS_H
#define FUT_PROGRESS_H

#include "client/fut/fut.h"

struct progress {
	const struct fut *f;
	bool on;
	bool drawn;   /* the line is on the screen now */
	bool unfinished; /* a task's line stands there that has not ended */
	bool held;    /* nothing is drawn: see progress_hold */
	double begun, shown;
	double rate;  /* a second, smoothed */
	double rate_at;
	uint64_t rate_done;
};

void progress_init(struct progress *p, const struct fut *f);
/* Draws it if it is time again. `total` 0: not known. */
void progress_show(struct progress *p, uint64_t done, uint64_t failed, uint64_t total);
/* Takes it off the screen, so that something else can be written. */
void progress_hide(struct progress *p);
/* Something was written where the line is drawn, after progress_hide. A line that it left unfinished is ended before the next drawing. */
void progress_wrote(struct progress *p, const char *bytes, size_t len);
/* The same for what fut itself says: a line of its own. */
void progress_break(struct progress *p);
/* Nothing is drawn until this is taken back: somebody else may have left an unfinished line there, which we cannot end. */
void progress_hold(struct progress *p, bool hold);
/* Milliseconds until it should be drawn again; -1: never. */
int progress_wait(const struct progress *p);

#endif

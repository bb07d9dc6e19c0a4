/* A request that walks many futures, in slices over turns: cancel, release, state, watch, unwatch, list.
 * Its answer is encoded as it goes and said at the end; until then notifications to its connection wait. */
#ifndef FUTURED_DAEMON_WALK_H
#define FUTURED_DAEMON_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/request.h"

struct walk {
	struct pending pending;
	struct turn_item item;
	struct ids ids;
	struct buf out;    /* the answer's value so far */
	uint64_t count;    /* for visitors to count in */
	uint64_t a, b, c;  /* a visitor's own settings */
	/* One future; NULL if it is not to be had any more. `conn` is whose request it is. False ends the walk here. */
	bool (*visit)(struct walk *w, struct conn *conn, uint64_t id, struct future *f);
	/* All were visited: completes w->out. May be NULL. */
	void (*finish)(struct walk *w);
	/* Instead of ids: finds the next future after `id`, NULL at the end. */
	struct future *(*next)(struct walk *w, uint64_t id);
	void (*clear)(struct walk *w); /* frees what a, b, c own; may be NULL */
	uint64_t last;     /* with next: where it is */
	bool does;         /* something, and not only looks: it is done whole, though the connection be gone */
	bool settled;      /* all that it tells of rests on no commit any more; for visitors to say */
	bool over;
};

/* Goes on until the answer is said. `w` is copied; its ids, and what a, b, c own, are taken. */
void walk_begin(struct request *r, const struct walk *w);

#endif

/* Watching many futures at once, cheaply: one small record per page of the registry, not one per future. A million watched futures
 * cost 4,000 records. For one future and one answer there is struct waiter. */
#ifndef FUTURED_DAEMON_WATCH_H
#define FUTURED_DAEMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/future.h"

struct watch;

/* Embedded in what watches; zero bytes but for notify. */
struct watcher {
	/* A watched future reached its final state; it is no longer watched. Must not add or remove watches. */
	void (*notify)(struct watcher *w, struct future *f, bool want);
	/* The task says how far it is: the three values of a progress message, encoded. May be NULL. */
	void (*progress)(struct watcher *w, const struct future *f, const uint8_t *values, size_t len);
	struct watch *watches;
	struct watch *last; /* where the last one was added: the next is often beside it */
	uint64_t count;     /* futures watched now */
};

/* Watches a future that is not final. Twice is once; `want` (passed to notify) stays set once it was. *added says whether it is new.
 * False without memory. */
bool watch_add(struct watcher *w, const struct future *f, bool want, bool *added);
void watch_remove(struct watcher *w, uint64_t id);
/* Removes all of them. */
void watch_clear(struct watcher *w);
/* Tells whoever watches f. Only future_set_state calls this. */
void watch_notify(struct future *f);
void watch_progress(const struct future *f, const uint8_t *values, size_t len);

#endif

/* Who wants to be told when a future is done. */
#ifndef FUTURED_CLIENT_WATCH_H
#define FUTURED_CLIENT_WATCH_H

#include "client/core.h"

struct watch_job;

/* As futured_watch; *job, if `job` is not NULL, is a handle for watch_cancel, good until the last id has been told. */
enum futured_status watch_add(struct core *k, const uint64_t *ids, size_t n, bool results,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data,
	struct watch_job **job);
/* Nobody is called for it any more. */
void watch_cancel(struct watch_job *job);
/* A future is done: tells whoever watches it. False if nobody does. */
bool watch_done(struct core *k, uint64_t id, const struct futured_reply *reply);
/* The connection has ended: tells everybody. */
void watch_end(struct core *k, const struct futured_reply *reply);
/* Frees everything without a call. */
void watch_clear(struct core *k);

#endif

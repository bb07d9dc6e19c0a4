/* Who wants to be told when a future is done. */
#ifndef FUTURED_CLIENT_WATCH_H
#define FUTURED_CLIENT_WATCH_H

#include "client/core.h"

struct watch_job;

/* As futured_watch; *job, if `job` is not NULL, is a handle for watch_cancel, good until the last id has been told. */
enum futured_status watch_add(struct core *k, const uint64_t *ids, size_t n, bool results,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data,
	struct watch_job **job);
/* For an id that the daemon watches already, since it was submitted with the option `watch`: nothing is asked. `progress`, which may
 * be NULL, is called for each progress notification. */
enum futured_status watch_expect(struct core *k, uint64_t id,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data),
	void (*progress)(double done, double total, const char *note, size_t note_len, void *data), void *data,
	struct watch_job **job);
/* The job gets progress too. */
void watch_on_progress(struct watch_job *job,
	void (*progress)(double done, double total, const char *note, size_t note_len, void *data));
/* Nobody is called for it any more. */
void watch_cancel(struct watch_job *job);
/* A future is done: tells whoever watches it. False if nobody does. */
bool watch_done(struct core *k, uint64_t id, const struct futured_reply *reply);
/* A `progress` notification; false if nobody takes it. */
bool watch_progress(struct core *k, const struct message *m);
/* Another connection to the same daemon: has it watch again what is watched. */
enum futured_status watch_resume(struct core *k);
/* The connection has ended: tells everybody. */
void watch_end(struct core *k, const struct futured_reply *reply);
/* Frees everything without a call. */
void watch_clear(struct core *k);

#endif

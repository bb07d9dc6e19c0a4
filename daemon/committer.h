/* The thread that commits batches: one at a time, and copies of the store in between. Called in the loop. */
#ifndef FUTURED_DAEMON_COMMITTER_H
#define FUTURED_DAEMON_COMMITTER_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct engine;

struct committer_news {
	bool good;
	uint64_t us;    /* how long it took */
	uint64_t bytes; /* that the store has now */
	char why[256];  /* not good: a sentence */
};

/* Before the start: each batch is committed at once, by the loop itself. For tests to which a thread's time is one input too many; there are no
 * backups then. */
void committer_use_no_thread(void);
/* The loop is told of each commit and each copy. False without memory, descriptors or threads. */
bool committer_start(const struct engine *engine, void (*committed)(const struct committer_news *news), void (*backed_up)(bool good, const char *why));
/* When nothing is given any more. */
void committer_end(void);
/* The batch stays as it is until `committed` is told. `again`: an earlier try failed. */
void committer_give(const struct batch *b, bool again);
/* False: one is being made, or there is no memory. */
bool committer_backup(const char *path);
/* Waits until what was given is committed, or could not be, and told. */
void committer_wait(void);

#endif

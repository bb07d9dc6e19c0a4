/* Workers: how many of them a pool has, and which ones go. They come when there is work, up to the pool's number; they go when
 * they are too many, used up, too large or idle.
 *
 * A task that waits for other tasks holds its worker, and those may need one: if all workers of a pool hold such tasks while
 * others are queued, the pool is lent one worker more, and so on up to WORKERS_LENT. It is let go when they wait no longer. */
#ifndef FUTURED_DAEMON_WORKERS_H
#define FUTURED_DAEMON_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

struct pool;

enum { WORKERS_LENT = 256 };

/* Whether the workers are threads of one host. */
bool workers_share_host(const struct pool *p);
/* Starts as many as there is work for that nobody is free to do. */
void workers_start(struct pool *p);
/* Tries a broken pool; false if no host could be started. */
bool workers_try(struct pool *p);
/* Lets those go that are too many: idle ones first, busy ones when their task has ended. */
void workers_trim(struct pool *p);
/* Lets those go that have run as many tasks, or grown as large, as they may. */
void workers_retire(struct pool *p);
/* Idle ones will be let go after idle_timeout. */
void workers_watch_idle(struct pool *p);
/* A connection that speaks for this attempt of a task begins to wait for an answer, or no longer does. */
void workers_note_wait(uint64_t task, unsigned attempt, bool waits);

#endif

/* A host: one worker process, with a control socket and one socket and claim board per slot.
 *
 *     STARTING ──ready──► READY ──end──► ENDING ──┐
 *         │                 │                      ▼
 *         └──── killed or died by itself ───────► DEAD (reaped and drained) ──► freed
 *
 * The only thing that starts processes for pools. */
#ifndef FUTURED_DAEMON_HOST_H
#define FUTURED_DAEMON_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/child.h"
#include "daemon/stream.h"
#include "daemon/timer.h"
#include "proto/board.h"

struct box;
struct pool;
struct slot;

enum host_state { HOST_STARTING, HOST_READY, HOST_ENDING, HOST_DEAD };

enum { HOST_STDERR_TAIL = 4096 };

struct host {
	enum host_state state;
	struct pool *pool;         /* which lists it */
	struct host *next, *prev;
	uint64_t number;           /* of this daemon's hosts; names its boards */
	struct child child;
	struct box *box;           /* NULL: none */
	struct stream control;
	struct event err_event;
	int err_fd;                /* reads what it writes to 2; -1: at end */
	char err_tail[HOST_STDERR_TAIL];
	size_t err_len;
	struct board *boards;      /* shared with the host; the rings lie behind them */
	size_t boards_size;        /* of all of it */
	unsigned places;           /* how many boards and rings there are */
	struct slot **slot;        /* leaving ones too, until it is dead */
	unsigned slots;
	unsigned depth;            /* tasks a slot takes ahead */
	bool uses_board, uses_ring, can_stop, can_grow;
	bool reads_stderr;         /* what it writes to 2 is its task's output: it reads that itself, we the rest when it is dead */
	struct timer timer;        /* for being ready; for ending */
	uint64_t started_us;
	uint64_t rss, rss_us;      /* when last asked */
	bool killed;               /* by us */
	bool suspect;              /* closed a socket that it should not have: it gets nothing more, and dies by itself or is killed */
	bool got_ready;            /* said "ready" once */
	bool told_failure;         /* said "failed" */
	bool oom;                  /* died because memory ran out, as far as can be told */
	uint64_t oom_before;       /* the kernel's count of such deaths when it started */
	char *broke;               /* why it was killed by us, for WorkerLostError; owned */
	struct turn_item freeing;
};

/* Starts one with `slots` slots. NULL, with a sentence, when it could not be started. */
struct host *host_new(struct pool *pool, unsigned slots, char *why, size_t why_size);
/* Asks it to finish what runs and exit; it is killed if it has not after `grace_us`. */
void host_end(struct host *h, uint64_t grace_us);
/* A task of it is over: one that is ending and runs nothing more has its grace from now. */
void host_note_answer(struct host *h);
/* Kills it at once. `why` (may be NULL) goes into the log and the errors of its tasks. */
void host_kill(struct host *h, const char *why);
/* Control messages to a host that takes them. */
void host_say_stop(struct host *h, uint64_t id, unsigned attempt, bool kill, uint64_t grace_us);
void host_say_input(struct host *h, uint64_t id, const void *bytes, size_t len, bool eof);
/* One of its sockets closed: it is dying, and about to be reaped; if it is not, it is killed. */
void host_suspect(struct host *h);
/* Adds slots to a host that can grow, up to `slots` that are not leaving. */
void host_grow(struct host *h, unsigned slots);
/* The ring of slot number n < places. */
struct ring *host_ring(const struct host *h, unsigned n);
/* What it wrote to 2, for WorkerLostError. */
void host_keep_stderr(struct host *h, const char *bytes, size_t len);
/* Resident memory in bytes, as of at most 50 ms ago. */
uint64_t host_rss(struct host *h);
/* Whether the exit of the host was our doing. */
bool host_was_killed(const struct host *h);

#endif

/* A slot: runs one task at a time in a host, and holds a few more that were sent ahead so that it need not wait.
 *
 * What was sent and not claimed on the board can be taken back at any moment. */
#ifndef FUTURED_DAEMON_SLOT_H
#define FUTURED_DAEMON_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/future.h"
#include "daemon/host.h"
#include "daemon/rings.h"

enum { SLOT_SECRET = 16, SLOT_LONG_US = 5000, SLOT_KILL_SECONDS = 10, SLOT_DEAF_SECONDS = 60 };

struct slot {
	struct host *host;
	unsigned index;             /* in the host */
	struct stream stream;
	struct board *board;
	struct rings_item ring;     /* in use if the host said so */
	struct future_list sent;    /* in the order sent: the first is running, or the next to run */
	unsigned in_flight;         /* how many */
	uint64_t next;              /* sequence number of the next to be sent; entry next % 64 */
	unsigned batch;             /* answers since it was last measured */
	uint64_t first_us, last_us; /* when the first and the last of these tasks began */
	uint64_t served;            /* tasks, for max_tasks_per_worker */
	uint64_t idle_since_us;
	uint64_t front_us;          /* since when the first of those sent is the first */
	struct timer stop_timer;    /* when the task being stopped costs the host */
	uint64_t stopping;          /* that task */
	bool leaving;               /* gets no more tasks: shrinking or recycling */
	bool closing;               /* its input ends when what was said has been written */
	bool touched, noted;        /* the store is to be told what it holds; was told of it */
	struct slot *touched_next, *touched_prev;
	bool back;                  /* tasks were taken back, … */
	uint64_t back_from;         /* … the first of them from this number in the sequence, … */
	uint32_t back_batch;        /* … which is committed with this batch: until then the board is all that says that they had not begun */
	unsigned waiting;           /* connections that speak for the running task and wait for an answer */
	uint8_t secret[BOARD_ENTRIES][SLOT_SECRET];
};

/* The mean run time of the tasks that were answered since the last call, in µs. False: there were none. */
bool slot_measure(struct slot *s, uint64_t *mean_us);
/* Takes fd. NULL without memory (fd is closed). */
struct slot *slot_new(struct host *h, unsigned index, int fd, struct board *board, struct ring *ring);
/* Its tasks must have been settled (slot_settle). */
void slot_free(struct slot *s);
/* How many more tasks it takes now, given that short ones are sent ahead. */
unsigned slot_room(struct slot *s);
/* Whether no entry of its board needs to stay as it is, once it holds nothing. */
bool slot_board_is_free(struct slot *s);
/* Hands a PENDING future over. False if it could not be (it has failed then). */
bool slot_send(struct slot *s, struct future *f);
/* Learns from the board whether the first of those sent has begun, and makes it RUNNING if so. */
void slot_look(struct future *f);
/* Takes a sent future back: true if it will not run now. It is in no place then. */
bool slot_take_back(struct future *f);
/* Takes back the last `max` of those sent ahead and puts them into the queue again. */
unsigned slot_take_back_ahead(struct slot *s, unsigned max);
/* Says that no more tasks come: the host's thread for it ends after what it is running. */
void slot_close_input(struct slot *s);
/* Stops a claimed future: by asking, or by whatever kills it in this kind. grace_us UINT64_MAX: the pool's. */
void slot_stop(struct future *f, bool kill, uint64_t grace_us);
/* Removes it from the list. Only future_leave_place calls this. */
void slot_unlink(struct future *f);
/* Hears all that the host has said until now, on both ways. */
void slot_drain(struct slot *s);
/* The host is dead: what it was running fails with the error made by `lost`, the rest goes back into the queue. */
void slot_settle(struct slot *s, int wait_status);
/* Whether it has not begun the first of those sent for SLOT_DEAF_SECONDS, though it was told: it is stopped, or hangs. */
bool slot_is_deaf(struct slot *s);
/* The future that runs in it; NULL if none was seen to. */
struct future *slot_running(struct slot *s);
/* The task running in it whose secret this is; NULL if none has it. May read what the host has said, and so end other futures. */
struct future *slot_find_secret(struct slot *s, const uint8_t secret[SLOT_SECRET]);

#endif

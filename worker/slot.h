/* A slot: one socket and one claim board, over which one task at a time comes and its answer goes.
 *
 * slot_serve is the blocking loop of a slot's thread: it reads as many run messages as there are, and for each claims it on
 * the board, lets the runtime run it, and writes the answer out before it claims the next. A runtime packs its
 * answer straight into the channel's buffer:
 *
 *	b = slot_ok(s);    then one value
 *	b = slot_error(s); then one error map
 *	slot_cancelled(s);
 *
 * The last of these counts, so that a runtime which finds its value impossible half-way can begin an error instead.
 *
 * Nothing is allocated per task: the buffers are the slot's and stay. Threads: a slot belongs to its thread; only
 * slot_output may be called from others too (a runtime that captures a descriptor), and slot_is_stopped. */
#ifndef FUTURED_WORKER_SLOT_H
#define FUTURED_WORKER_SLOT_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/board.h"
#include "proto/buf.h"
#include "worker/channel.h"
#include "worker/host.h"

enum { SLOT_OUTPUT_MAX = 64 * 1024 }; /* bytes in one output message */

enum slot_stream { SLOT_STDOUT, SLOT_STDERR };

struct slot {
	struct channel channel;       /* owns its descriptor; `out` holds the answer */
	unsigned number;
	struct board *board;
	struct ring_writer ring;
	uint64_t message_max;         /* bytes an answer may have */
	const _Atomic bool *ending;   /* true: claim nothing more */
	void (*run)(struct slot *s);  /* the runtime: runs s->task and packs an answer */
	void (*settle)(struct slot *s); /* before an answer goes: hands on what the task printed; may be NULL */
	void *state;                  /* the runtime's own, of this slot */

	struct run task;              /* id 0: an initializer, which nobody hears */
	struct board_entry *entry;    /* the task's; NULL in an initializer */
	pthread_mutex_t sending;      /* one message at a time on the socket, and `listening` */
	_Atomic uint64_t listening;   /* the task that output belongs to; 0: none */
	bool broken;                  /* a send failed: the daemon has closed this slot */
};

/* Takes fd; ring may be NULL. run, settle and state are the caller's to set, before slot_serve. */
void slot_init(struct slot *s, unsigned number, int fd, struct board *board, struct ring *ring, uint64_t message_max,
	const _Atomic bool *ending);
/* Closes fd and frees the buffers; not the runtime's state. */
void slot_clear(struct slot *s);

/* Runs tasks until the daemon closes the slot, or ending is set. A message that breaks the contract ends it too: false, with a
 * sentence in *why. */
bool slot_serve(struct slot *s, const char **why);
/* Runs `fn` with args (a MessagePack array) as a task that nobody hears: an initializer. If it failed, false, and the
 * error map is appended to *error. */
bool slot_initialize(struct slot *s, const char *fn, const void *args, size_t len, struct buf *error);

/* For runtimes, while s->run runs. */
struct buf *slot_ok(struct slot *s);
struct buf *slot_error(struct slot *s);
void slot_cancelled(struct slot *s);
/* A whole error answer of type and message; the message is cut at 4 KiB and made valid UTF-8. */
void slot_fail(struct slot *s, const char *type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void slot_fail_va(struct slot *s, const char *type, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* Appends {type, message} to b, with room for `extra` more pairs that the caller packs. */
void slot_pack_error(struct buf *b, size_t extra, const char *type, const char *message, size_t len);
/* Whether the task was asked to stop. */
bool slot_is_stopped(const struct slot *s);
/* What the task printed, in pieces. Outside a task it goes to descriptor 2, the daemon's log. */
void slot_output(struct slot *s, enum slot_stream stream, const void *bytes, size_t len);
/* The same for settle, and for others that hold `sending` already. */
void slot_output_locked(struct slot *s, enum slot_stream stream, const void *bytes, size_t len);
/* A negative total is not known; note may be NULL and is len bytes. */
void slot_progress(struct slot *s, double done, double total, const char *note, size_t len);
/* Whether the task came with keyword arguments. */
bool slot_has_kwargs(const struct slot *s);
/* The task's secret for a nested client ("" if there is none), terminated into to[size]. */
void slot_secret(const struct slot *s, char *to, size_t size);

#endif

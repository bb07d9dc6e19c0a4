/* What every host shares, whatever its runtime: its descriptors and claim boards, the hello, what the daemon says on the
 * control socket, and what is said back (docs/worker-contract.md).
 *
 * main.c opens the host and hands it to a runtime. A runtime loads its things, says host_ready() or host_failed(), and then
 * serves: one thread reads the control socket with host_control(); each slot's socket is read by whoever serves that slot, through a
 * struct channel of its own. host_ready, host_failed, host_log and host_say may be called from any thread. */
#ifndef FUTURED_WORKER_HOST_H
#define FUTURED_WORKER_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/board.h"
#include "proto/buf.h"
#include "proto/reader.h"
#include "proto/ring.h"
#include "proto/status.h"
#include "worker/channel.h"

/* Read-only once opened. Texts are terminated copies, owned by the host, good until host_close. */
struct host {
	struct channel control;      /* read by one thread only */
	pthread_mutex_t lock;        /* of control.out */
	uint32_t slots;
	uint32_t board_entries;      /* in use on each board, 1 to BOARD_ENTRIES */
	struct board *boards;        /* [slots]; see host_board for slots that come later */
	size_t boards_size;          /* bytes mapped */
	uint64_t rings;              /* where in them the rings begin; 0: the daemon has none */
	uint64_t message;            /* the largest message, both ways, in bytes */
	char *kind;                  /* "command", "process", "thread", "interpreter" */
	char *pool;
	char *address;               /* where the daemon is reached; "" if it did not say */
	char *initializer;           /* NULL: none */
	struct reader initargs;      /* at an array, or READER_END if there is none */
	struct reader options;       /* at a map, or READER_END if there is none */
	uint8_t *hello;              /* owned: what the readers point into */
};

/* Reads FUTURED_SLOTS, makes the descriptors close-on-exec, maps the boards, gives up its inherited session, ignores nothing
 * yet, and waits for the hello. False if the program was not started as a host or the hello is wrong: the reason has been said
 * on the control socket where that could be done, and on stderr. */
bool host_open(struct host *h);
void host_close(struct host *h);

/* The value of an option of the hello; false if it is not there. */
bool host_option(const struct host *h, const char *key, struct reader *value);
/* The descriptor of a slot that was there from the start (n < h->slots). */
int host_slot_fd(const struct host *h, uint32_t n);
/* The board of slot n, also one that came later; NULL if the mapping has none for it. */
struct board *host_board(const struct host *h, uint32_t n);
/* Its ring; NULL if there is none. */
struct ring *host_ring(const struct host *h, uint32_t n);

/* What the runtime says of itself in `ready`. */
struct host_ready {
	const char *name;
	uint32_t depth;               /* tasks a slot takes ahead */
	bool stop;                    /* it can end a running task and feed its stdin */
	bool grow;                    /* it takes slots later */
	bool ring;                    /* it puts answers into rings, where there are any */
	const char *const *functions; /* borrowed; NULL: it cannot say */
	size_t function_count;
};
void host_ready(struct host *h, const struct host_ready *ready);
/* The pool is broken; the runtime then returns an exit status other than 0. fmt is a sentence. */
void host_failed(struct host *h, const char *type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A line for the daemon's log; level is "error", "warn", "info" or "debug". */
void host_log(struct host *h, const char *level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Writes whole messages to the control socket, waiting for room. The buffer stays the caller's. */
void host_say(struct host *h, const struct buf *messages);
/* A line on stderr, whose end the daemon puts into WorkerLostError: for what ends the host itself. */
void host_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

enum control_verb {
	CONTROL_NONE,  /* CHANNEL_NOW: nothing whole has come */
	CONTROL_GONE,  /* the daemon is gone: end the tasks, then the host */
	CONTROL_BAD,   /* it does not keep to the contract; complained about: end as for GONE, with status 1 */
	CONTROL_STOP,
	CONTROL_INPUT,
	CONTROL_SLOT,
	CONTROL_END,
};

/* One message from the control socket; which fields count depends on the verb. */
struct control {
	enum control_verb verb;
	uint64_t id;          /* STOP, INPUT */
	uint64_t attempt;     /* STOP: 0: whichever runs */
	bool kill;            /* STOP: else it is only asked */
	uint64_t grace_us;    /* STOP with kill: from TERM to KILL */
	const uint8_t *bytes; /* INPUT: good until the next host_control */
	size_t len;
	bool eof;
	uint32_t slot;        /* SLOT: its number */
	int fd;               /* SLOT: its socket, now the caller's */
};
enum control_verb host_control(struct host *h, enum channel_wait wait, struct control *out);

/* A `run` message taken apart; everything points into the channel's memory. */
struct run {
	uint32_t entry;
	uint64_t id;
	uint64_t attempt;
	const char *fn; /* not terminated */
	size_t fn_len;
	uint32_t arg_count;
	struct reader args;    /* at the first argument */
	uint32_t option_count; /* pairs */
	struct reader options; /* at the first key */
};
/* Reads one, `message` being as channel_next left it. False if it is no well-formed run message: a broken daemon. */
bool run_read(struct reader message, uint32_t elements, struct run *out);
/* Begins an answer, ["verb", id, …]: the caller packs the other elements. */
void run_answer(struct buf *b, const char *verb, uint64_t id, size_t elements);
/* A whole error answer. fmt is a sentence. */
void run_error(struct buf *b, uint64_t id, enum status type, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* CLOCK_MONOTONIC. */
uint64_t now_us(void);

#endif

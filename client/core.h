/* The core of the library: requests and what comes back, as bytes in and bytes out.
 *
 * It does no input or output: whoever owns it moves `out` to the other side and feeds what came from there to core_input, and
 * says core_end when there will be no more. So the same code serves the blocking face, a caller's own loop and tests without a
 * socket. Callbacks run inside core_input, core_end and core_tick only. */
#ifndef FUTURED_CLIENT_CORE_H
#define FUTURED_CLIENT_CORE_H

#include "client/futured.h"
#include "client/reply.h"
#include "proto/buf.h"
#include "proto/frame.h"
#include "proto/message.h"

struct watch;
struct follower;
struct warm;

/* Waits for the answer with its number. Numbers are dealt so that `msgid & (cap - 1)` finds the slot at once. */
struct core_request {
	uint32_t msgid; /* 0: the slot is free */
	bool safe;      /* may be said again when it is not known whether it was heard */
	bool hello;     /* belongs to one connection, never said again */
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data);
	void *data;
	uint8_t *frame; /* its bytes, owned, where core.keep; else NULL */
	size_t len;
	uint64_t end;   /* core.queued behind it: it has left whole once core.sent is there. UINT64_MAX: held back */
};

struct core {
	struct futured *owner; /* what callbacks are given */
	struct buf out;        /* to be written by the owner, from out_at on */
	size_t out_at;
	const uint8_t *lent;   /* behind `out`: parameters of the request that a blocking call is about, borrowed from it */
	size_t lent_len;
	bool borrows;          /* the next request may leave its own there */
	uint64_t queued, sent; /* bytes that have gone into `out`, and out of it, on this connection */
	bool mute;             /* writing has failed: nothing leaves any more on this connection */
	bool keep;             /* keep each request's bytes, to say it again on another connection */
	bool held;             /* between two connections: requests wait in their slots */
	struct buf in;         /* the beginning of a frame that is not whole yet, */
	size_t scanned;        /* looked at up to here */
	struct warm *warm;     /* memory for large ones; NULL until there was one */
	struct frame_scan scan;
	uint64_t limit;
	struct core_request *slot; /* cap of them, a power of two; NULL at first */
	size_t cap, used;
	uint32_t next;             /* msgid to try first; never 0, which is the daemon's for protocol errors */
	void (*wanted)(struct futured *c); /* there is something to write; may be NULL */
	enum futured_status ended; /* FUTURED_OK while the connection lives */
	char reason[512];
	bool dispatching;
	struct watch *watch;       /* by id; watch.c */
	struct follower *follower; /* by id; follow.c */
	void (*heard)(struct futured *c, const char *method, struct futured_value params, void *data);
	void *heard_data;
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data);
	void *done_data;
};

void core_init(struct core *k, struct futured *owner);
/* Frees everything; nobody is called. */
void core_clear(struct core *k);
/* After core_end: ready for another connection, with the same handlers. */
void core_restart(struct core *k);

/* Queues a request; `params` NULL: none. Nothing is queued on failure. *msgid may be NULL. */
enum futured_status core_request(struct core *k, const char *method, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data, uint32_t *msgid);
void core_forget(struct core *k, uint32_t msgid);
/* From here until core_settle, large parameters of a request need not be copied: they stay as they are so long. */
void core_borrow(struct core *k);
/* What was borrowed and has not left is copied. */
void core_settle(struct core *k);

/* The connection is lost and another will be tried; needs `keep` from the beginning. Requests that may have been heard and must not
 * be said twice are called with FUTURED_LOST and `why`; all others, and new ones, wait. */
void core_hold(struct core *k, const char *why);
/* On the new connection: the one request that goes out while others are held. */
enum futured_status core_hello(struct core *k, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data);
/* It is the same daemon: says what waits again, in its order. FUTURED_NO_MEMORY: nothing was said; end it. */
enum futured_status core_resume(struct core *k);

/* How many bytes are to be written; the next of them, *len in one place; and how many of these have been written. */
size_t core_unsent(const struct core *k);
const uint8_t *core_output(const struct core *k, size_t *len);
void core_sent(struct core *k, size_t len);
/* They cannot be written: what has not left is not heard, and there is nothing to be written until the next connection. */
void core_mute(struct core *k);

/* Room for at least `want` bytes from the other side; NULL without memory. core_input then says how many came. */
uint8_t *core_room(struct core *k, size_t want, size_t *room);
/* Takes them and dispatches every whole message. On a protocol error it has ended, with everybody told. */
enum futured_status core_input(struct core *k, size_t len);
/* The frame that is being dispatched, which is the last one in `in`: its memory is the caller's, to be freed, or if *warm is not NULL given to that,
 * which is counted. */
uint8_t *core_take_frame(struct core *k, struct warm **warm);
/* There will be no more: everybody who waits is told. The first reason stays. `text` NULL: the status's sentence. */
void core_end(struct core *k, enum futured_status status, const char *text);

#endif

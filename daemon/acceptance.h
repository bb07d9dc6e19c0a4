/* Answers to submits that wait for the commit of what they accepted: an id is told when it is durable, or StoreError and nothing was accepted.
 * With the memory store they are said at once. */
#ifndef FUTURED_DAEMON_ACCEPTANCE_H
#define FUTURED_DAEMON_ACCEPTANCE_H

#include <stdbool.h>
#include <stdint.h>

struct conn;

enum acceptance_shape {
	ACCEPTANCE_ID,   /* the id itself */
	ACCEPTANCE_RUN,  /* [first, count] */
	ACCEPTANCE_IDS,  /* [id, id, …] */
};

struct acceptance {
	uint64_t conn_id;
	uint64_t first, count;
	uint32_t msgid;
	uint8_t shape;
	bool made; /* by this request; else a key stood for it already */
};

/* Answers, now or later. No notification is made for the connection before. */
void acceptance_answer(struct conn *c, const struct acceptance *a);
/* A request that is answered by its future's outcome accepted this one: it is undone if it cannot be made durable. */
void acceptance_note(uint64_t id);
/* A batch begins: those so far rest on it. */
void acceptance_seal(void);
/* It is committed. */
void acceptance_release(void);
/* It could not be: all of them are refused, and undone. */
void acceptance_fail(const char *why);

#endif

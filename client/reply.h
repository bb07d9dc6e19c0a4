/* An answer: what callbacks see on the stack of the dispatcher, and what blocking calls return as a copy. */
#ifndef FUTURED_CLIENT_REPLY_H
#define FUTURED_CLIENT_REPLY_H

#include "client/futured.h"
#include "proto/reader.h"

struct core;
struct warm;

struct futured_reply {
	enum futured_status status;
	struct futured_value value; /* where status is OK */
	struct futured_error error; /* where it is not */
	struct core *core;          /* of one on the stack: whose `in` it lies in, if nothing lies behind it there; NULL: something does */
	uint8_t *taken;             /* of a copy: memory that its bytes are in instead; owned */
	struct warm *warm;          /* … and where that goes; counted */
	uint8_t owned[];            /* a copy's bytes; nothing in one on the stack */
};

/* An error that was made on this side; `text` is borrowed and must live as long; NULL: the status's sentence. */
void error_local(struct futured_error *out, enum futured_status status, const char *text);

/* From the wire: an error (nil: none) and a result, which are borrowed. */
void reply_read(struct futured_reply *r, struct reader error, struct reader result);
void reply_value(struct futured_reply *r, struct futured_value value);
/* As futured_reply_copy, but for whoever looks at the original no more: a large value is moved. */
struct futured_reply *reply_keep(const struct futured_reply *r);
void reply_local(struct futured_reply *r, enum futured_status status, const char *text);

#endif

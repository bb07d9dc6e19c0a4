/* A request: one call of one method, its parameters read in order, and its one answer.
 *
 * A handler reads parameters with param_*; a wrong one is answered with a ValueError that names it, and the param_ function returns
 * false: the handler just returns. It then answers with request_result or request_fail, or hands the answer to something that
 * waits (a struct pending with the connection's id and the msgid). One file req_*.c per family of methods, one row in the table. */
#ifndef FUTURED_DAEMON_REQUEST_H
#define FUTURED_DAEMON_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/conn.h"
#include "daemon/ids.h"
#include "proto/message.h"
#include "proto/status.h"

struct method;

struct request {
	struct conn *conn;
	uint32_t msgid;
	const struct method *method;
	struct reader params;    /* at the next parameter */
	uint32_t left;           /* parameters not read */
	const uint8_t *frame;    /* the whole message */
	size_t frame_len;
};

struct method {
	const char *name;
	void (*handle)(struct request *r);
	enum right right;
	uint32_t params;         /* how many there may be */
};

/* The table, ended by a NULL name. */
extern const struct method request_methods[];

/* One whole frame from a client. False: it was a protocol error; the connection is to be closed. */
bool request_handle(struct conn *c, const uint8_t *bytes, size_t len);
/* What an unfinished frame's beginning proves. False: as above. */
bool request_check(struct conn *c, const uint8_t *bytes, size_t len);
/* Says a ProtocolError with msgid 0. */
void request_protocol_error(struct conn *c, const char *why);

/* ---- answering: a request, or a connection and msgid kept from one ---- */

/* The answer's value is encoded into what this returns; nothing may be looked at meanwhile that could have news, as they might be answers to the same
 * connection. */
struct buf *request_result(struct request *r);
/* The value that was encoded aside, which is taken. */
void request_encoded(struct request *r, struct buf *value);
void request_nil(struct request *r);
void request_fail(struct request *r, enum status s, uint64_t future, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* LimitError: the daemon is out of memory. Returns false. */
bool request_no_memory(struct request *r);
struct buf *answer_result(struct conn *c, uint32_t msgid);
void answer_bytes(struct conn *c, uint32_t msgid, struct bytes value); /* borrowed */
void answer_error(struct conn *c, uint32_t msgid, struct bytes error); /* borrowed */
void answer_fail(struct conn *c, uint32_t msgid, enum status s, uint64_t future, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The future's outcome as an answer: its value, or its error; which counts as looking at it. */
void answer_outcome(struct conn *c, uint32_t msgid, struct future *f);
/* conn_pend, or a LimitError. */
bool request_pend(struct request *r, struct pending *p, void (*abandon)(struct pending *));

/* ---- parameters ---- */

/* Whether the next parameter is there and not nil; passes over a nil one. */
bool param_given(struct request *r);
/* Required ones: absent and nil are wrong too. */
bool param_str(struct request *r, const char *name, const char **s, size_t *len);
bool param_id(struct request *r, const char *name, uint64_t *id);
/* Runs of ids. ids_clear afterwards, if true. */
bool param_ids(struct request *r, struct ids *ids);
bool param_bin(struct request *r, const char *name, const uint8_t **bytes, size_t *len);
bool param_array(struct request *r, const char *name, const uint8_t **raw, size_t *len);
/* Optional: seconds, nil or absent for none. *us is UINT64_MAX for none; negative ones mean 0. */
bool param_timeout(struct request *r, uint64_t *us);

/* ---- options: the last parameter, a map ---- */

/* Reads the options map (absent or nil: none) and calls each(r, key, value reader, arg) for every pair; each returns false after answering. An
 * unknown key is for it to refuse, with option_unknown. */
bool options_read(struct request *r, bool (*each)(struct request *r, const char *key, size_t len, struct reader *value, void *arg), void *arg);
bool option_unknown(struct request *r, const char *key, size_t len);
/* Says what was expected and what came; returns false. */
bool option_wrong(struct request *r, const char *name, const char *expected, const struct reader *value);
bool option_bool(struct request *r, const char *name, struct reader *value, bool *out);
bool option_int(struct request *r, const char *name, struct reader *value, int64_t low, int64_t high, int64_t *out);
/* A duration: 0 to 10^9 seconds. */
bool option_seconds(struct request *r, const char *name, struct reader *value, uint64_t *us);
bool option_str(struct request *r, const char *name, struct reader *value, size_t max, const char **s, size_t *len);
/* The same for what is kept terminated: a NUL in it is refused. */
bool option_text(struct request *r, const char *name, struct reader *value, size_t max, const char **s, size_t *len);
/* Whether the key is this word. */
bool key_is(const char *key, size_t len, const char *word);

/* ---- what the parameters name, looked up when all of them have been read: a wrong one is said first ---- */

/* NULL after UnknownFutureError or ExpiredFutureError. */
struct future *request_future(struct request *r, uint64_t id);
/* NULL after UnknownPoolError. */
struct pool *request_pool(struct request *r, const char *name, size_t len);
/* Whether it may submit there; says which key forbids it, if not. */
bool request_may_use(struct request *r, const struct pool *p);
/* What they are for: to look at; to change; to release, which passes over expired ones. */
enum ids_for { IDS_SEE, IDS_CHANGE, IDS_RELEASE };
/* Whether all of them are to be had for that. Says so, and clears them, if not. */
bool request_ids(struct request *r, struct ids *ids, enum ids_for what);
/* PermissionError; returns false. */
bool request_not_yours(struct request *r, uint64_t id);
/* Why an id is not to be had; answers and returns false. */
bool request_no_future(struct request *r, uint64_t id);

#endif

/* Awaiting one future for one answer: `result`, `exception` and `call`. */
#ifndef FUTURED_DAEMON_AWAIT_H
#define FUTURED_DAEMON_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/request.h"

enum await_mode {
	AWAIT_RESULT,    /* the value, or the error as the answer's error */
	AWAIT_EXCEPTION, /* nil, or the error as the answer's result */
};

struct await {
	enum await_mode mode;
	bool release;        /* the future is released when the answer is queued */
	bool cancel;         /* it is cancelled when the connection ends before that */
	uint64_t timeout_us; /* UINT64_MAX: none */
};

/* Answers the request when the future is final, at once if it is. False: answered with an error instead; nothing waits. */
bool await_future(struct request *r, struct future *f, const struct await *how);

#endif

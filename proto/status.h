/* The one list of what can go wrong: the same name travels on the wire as an error's `type`, comes back from
 * libfutured and is printed by fut. Add a line here rather than inventing a number. */
#ifndef FUTURED_PROTO_STATUS_H
#define FUTURED_PROTO_STATUS_H

#include <stddef.h>

/* X(constant, wire name, sentence when there is nothing better to say) */
#define STATUS_LIST(X) \
	X(STATUS_TIMEOUT, "TimeoutError", "the wait ran out; the task goes on") \
	X(STATUS_CANCELLED, "CancelledError", "the future was cancelled") \
	X(STATUS_INVALID_STATE, "InvalidStateError", "the future is in a state that does not allow this") \
	X(STATUS_BROKEN_POOL, "BrokenPoolError", "the pool is not usable") \
	X(STATUS_WORKER_LOST, "WorkerLostError", "the worker that ran the task died") \
	X(STATUS_TASK_TIMEOUT, "TaskTimeoutError", "the task ran longer than it may") \
	X(STATUS_DEPENDENCY, "DependencyError", "a future that this one waits for failed") \
	X(STATUS_EXIT, "ExitError", "the command failed") \
	X(STATUS_UNKNOWN_FUTURE, "UnknownFutureError", "no future with this id was ever given") \
	X(STATUS_EXPIRED_FUTURE, "ExpiredFutureError", "this future is not to be had any more") \
	X(STATUS_UNKNOWN_POOL, "UnknownPoolError", "there is no such pool") \
	X(STATUS_UNKNOWN_METHOD, "UnknownMethodError", "there is no such method") \
	X(STATUS_QUEUE_FULL, "QueueFullError", "the pool's queue is full") \
	X(STATUS_LIMIT, "LimitError", "a limit was reached") \
	X(STATUS_SHUTDOWN, "ShutdownError", "cannot schedule new futures after shutdown") \
	X(STATUS_PERMISSION, "PermissionError", "not permitted") \
	X(STATUS_AUTHENTICATION, "AuthenticationError", "not authenticated") \
	X(STATUS_VALUE, "ValueError", "a parameter is wrong") \
	X(STATUS_UNSUPPORTED, "UnsupportedError", "this pool's kind cannot do that") \
	X(STATUS_PROTOCOL, "ProtocolError", "not MessagePack-RPC") \
	X(STATUS_STORE, "StoreError", "it could not be made durable; nothing was accepted")

enum status {
	STATUS_OK = 0,
#define X(constant, name, text) constant,
	STATUS_LIST(X)
#undef X
	STATUS_COUNT
};

/* The wire name, "TimeoutError"; "" for STATUS_OK. */
const char *status_name(enum status s);
const char *status_text(enum status s);
/* The status of a wire name, STATUS_OK if it is none of ours (a task's own exception type). */
enum status status_find(const char *name, size_t len);

#endif

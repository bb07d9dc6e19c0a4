/* libfutured: submit tasks to a futured daemon and get their futures, from C.
 *
 * A `struct futured` is one connection. Around it there are two ways to work, which may be mixed freely:
 *
 *   blocking    futured_submit, futured_result, futured_wait, … send one request and wait for its answer with
 *               poll(2). The library starts no thread: news about other futures is dispatched while you are in any
 *               blocking call, or in futured_step.
 *   callbacks   futured_request and what is built on it queue a request and return; your callback gets the answer.
 *               Thousands may be in flight. Drive it with futured_step, or from a loop of your own through
 *               futured_fd, futured_events, futured_timeout_ms and futured_process.
 *
 * Threads: one struct futured is used by one thread at a time; different ones are independent. There is no global state.
 * A child after fork(2) cannot use its parent's: every call there answers FUTURED_FORKED, and futured_free only frees.
 *
 * Errors: functions that can fail return an enum futured_status. FUTURED_OK is 0. The sentence that belongs to the last
 * failure is futured_error_text. The library never prints, never exits, never raises SIGPIPE, and reports every failed
 * allocation as FUTURED_NO_MEMORY.
 *
 * Callbacks run in the thread that drives the connection, never inside futured_request. A callback may start requests and
 * may call futured_free-like functions on its own objects; it may not call a blocking function, futured_step,
 * futured_process or futured_free on the connection that called it (blocking ones answer FUTURED_INVALID_STATE). It returns
 * nothing, so it cannot fail; it must not leave by longjmp or a C++ exception, which would skip its siblings and leave the
 * library in the middle of a message.
 *
 * Futures: there are two ways to hold one. Its id is a number that anyone may keep, pass on and ask about, at the price of asking
 * (futured_result, futured_state, …). A struct futured_future is a handle that is told by itself when the future is done and
 * keeps the outcome here; it has the whole API of Future in concurrent.futures. Both may be used for the same future.
 *
 * Units: seconds in doubles. Ids are positive and at most 2^53 - 1. Strings are UTF-8. */
#ifndef FUTURED_H
#define FUTURED_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FUTURED_API __attribute__((visibility("default")))
#else
#define FUTURED_API
#endif

/* ---- status ---------------------------------------------------------------------------------------------------- */

/* X(constant, name, sentence). The first part is what the daemon says, in the names of the wire; the second is what only
 * this side can know. */
#define FUTURED_STATUS_LIST(X) \
	X(FUTURED_TIMEOUT, "TimeoutError", "the wait ran out; the task goes on") \
	X(FUTURED_CANCELLED, "CancelledError", "the future was cancelled") \
	X(FUTURED_INVALID_STATE, "InvalidStateError", "this is not possible in this state") \
	X(FUTURED_BROKEN_POOL, "BrokenPoolError", "the pool is not usable") \
	X(FUTURED_WORKER_LOST, "WorkerLostError", "the worker that ran the task died") \
	X(FUTURED_TASK_TIMEOUT, "TaskTimeoutError", "the task ran longer than it may") \
	X(FUTURED_DEPENDENCY, "DependencyError", "a future that this one waits for failed") \
	X(FUTURED_EXIT, "ExitError", "the command failed") \
	X(FUTURED_UNKNOWN_FUTURE, "UnknownFutureError", "no future with this id was ever given") \
	X(FUTURED_EXPIRED_FUTURE, "ExpiredFutureError", "this future is not to be had any more") \
	X(FUTURED_UNKNOWN_POOL, "UnknownPoolError", "there is no such pool") \
	X(FUTURED_UNKNOWN_METHOD, "UnknownMethodError", "the daemon does not know this method") \
	X(FUTURED_QUEUE_FULL, "QueueFullError", "the pool's queue is full") \
	X(FUTURED_LIMIT, "LimitError", "a limit was reached") \
	X(FUTURED_SHUTDOWN, "ShutdownError", "cannot schedule new futures after shutdown") \
	X(FUTURED_PERMISSION, "PermissionError", "not permitted") \
	X(FUTURED_AUTHENTICATION, "AuthenticationError", "not authenticated") \
	X(FUTURED_VALUE, "ValueError", "a parameter is wrong") \
	X(FUTURED_UNSUPPORTED, "UnsupportedError", "this pool's kind cannot do that") \
	X(FUTURED_PROTOCOL, "ProtocolError", "the other side does not speak the protocol") \
	X(FUTURED_STORE, "StoreError", "it could not be made durable; nothing was accepted") \
	X(FUTURED_TASK, "TaskError", "the task raised an exception of its own") \
	X(FUTURED_NO_DAEMON, "NoDaemonError", "no daemon answers") \
	X(FUTURED_LOST, "ConnectionLostError", "the connection to the daemon was lost") \
	X(FUTURED_NO_MEMORY, "MemoryError", "out of memory") \
	X(FUTURED_SYSTEM, "OSError", "a system call failed") \
	X(FUTURED_FORKED, "ForkedError", "this connection belongs to the parent process") \
	X(FUTURED_TYPE, "TypeError", "the value is of another type") \
	X(FUTURED_END, "StopIteration", "there are no more")

enum futured_status {
	FUTURED_OK = 0,
#define FUTURED_X(constant, name, text) constant,
	FUTURED_STATUS_LIST(FUTURED_X)
#undef FUTURED_X
	FUTURED_STATUS_COUNT
};

/* Constant strings, never NULL: "TimeoutError" ("" for FUTURED_OK), and a sentence. */
FUTURED_API const char *futured_status_name(enum futured_status status);
FUTURED_API const char *futured_status_text(enum futured_status status);
/* The library's version, "0.1.0". */
FUTURED_API const char *futured_version(void);

/* ---- values: MessagePack, looked at in place ------------------------------------------------------------------- */

/* A view of one value, or (as a cursor) of the values that are left in a container. It borrows its bytes from whatever gave
 * it and holds nothing itself. All zeros is "no value". Getters return false, leaving *out alone, when the value is of
 * another type or does not fit. */
struct futured_value {
	const uint8_t *at;
	const uint8_t *end;
};

enum futured_type {
	FUTURED_TYPE_NONE, /* no value */
	FUTURED_TYPE_NIL,
	FUTURED_TYPE_BOOL,
	FUTURED_TYPE_INT,
	FUTURED_TYPE_FLOAT,
	FUTURED_TYPE_STR,
	FUTURED_TYPE_BIN,
	FUTURED_TYPE_ARRAY,
	FUTURED_TYPE_MAP,
	FUTURED_TYPE_EXT
};

FUTURED_API enum futured_type futured_value_type(struct futured_value v);
/* "nil", "bool", "int", …: for messages. */
FUTURED_API const char *futured_type_name(enum futured_type type);
FUTURED_API bool futured_value_bool(struct futured_value v, bool *out);
FUTURED_API bool futured_value_int(struct futured_value v, int64_t *out);
FUTURED_API bool futured_value_uint(struct futured_value v, uint64_t *out);
/* An int or a float. */
FUTURED_API bool futured_value_number(struct futured_value v, double *out);
/* The bytes are not terminated; they live as long as the value's. _text takes str or bin. */
FUTURED_API bool futured_value_str(struct futured_value v, const char **s, size_t *len);
FUTURED_API bool futured_value_bin(struct futured_value v, const void **bytes, size_t *len);
FUTURED_API bool futured_value_text(struct futured_value v, const char **s, size_t *len);
FUTURED_API bool futured_value_ext(struct futured_value v, int *type, const void **bytes, size_t *len);
FUTURED_API bool futured_value_is_str(struct futured_value v, const char *s);
/* Opens a container: *inside is a cursor at its first element (map: first key, its value, next key, …). */
FUTURED_API bool futured_value_array(struct futured_value v, size_t *count, struct futured_value *inside);
FUTURED_API bool futured_value_map(struct futured_value v, size_t *pairs, struct futured_value *inside);
/* Takes the next value from a cursor; false at the end. */
FUTURED_API bool futured_value_next(struct futured_value *cursor, struct futured_value *item);
/* Looks a str key up in a map; false (and *out no value) if v is no map or has no such key. Linear. */
FUTURED_API bool futured_value_find(struct futured_value map, const char *key, struct futured_value *out);
/* The same with a getter behind it. */
FUTURED_API bool futured_find_int(struct futured_value map, const char *key, int64_t *out);
FUTURED_API bool futured_find_uint(struct futured_value map, const char *key, uint64_t *out);
FUTURED_API bool futured_find_number(struct futured_value map, const char *key, double *out);
FUTURED_API bool futured_find_bool(struct futured_value map, const char *key, bool *out);
FUTURED_API bool futured_find_text(struct futured_value map, const char *key, const char **s, size_t *len);

/* ---- packing --------------------------------------------------------------------------------------------------- */

/* A growing run of MessagePack. Running out of memory, or a wrong format, is remembered: pack everything, then ask
 * futured_pack_status once (functions that take a pack ask it for you). */
struct futured_pack;

FUTURED_API struct futured_pack *futured_pack_new(void); /* NULL: no memory */
FUTURED_API void futured_pack_free(struct futured_pack *p); /* NULL is fine */
FUTURED_API void futured_pack_reset(struct futured_pack *p); /* empty again, its memory kept */
FUTURED_API enum futured_status futured_pack_status(const struct futured_pack *p);
FUTURED_API size_t futured_pack_size(const struct futured_pack *p);
/* What has been packed; good until the pack is changed or freed. */
FUTURED_API struct futured_value futured_pack_value(const struct futured_pack *p);

FUTURED_API void futured_pack_nil(struct futured_pack *p);
FUTURED_API void futured_pack_bool(struct futured_pack *p, bool v);
FUTURED_API void futured_pack_int(struct futured_pack *p, int64_t v);
FUTURED_API void futured_pack_uint(struct futured_pack *p, uint64_t v);
FUTURED_API void futured_pack_double(struct futured_pack *p, double v);
FUTURED_API void futured_pack_str(struct futured_pack *p, const char *s); /* terminated, UTF-8 */
FUTURED_API void futured_pack_bin(struct futured_pack *p, const void *bytes, size_t len);
/* A str where the bytes are UTF-8, else a bin: for argv and paths. */
FUTURED_API void futured_pack_text(struct futured_pack *p, const char *s, size_t len);
FUTURED_API void futured_pack_array(struct futured_pack *p, size_t count); /* then that many values */
FUTURED_API void futured_pack_map(struct futured_pack *p, size_t pairs);   /* then that many keys and values in turn */
/* Stands for the value of a future: the task waits for it and gets the value in its place. */
FUTURED_API void futured_pack_future(struct futured_pack *p, uint64_t id);
/* One array of ids as the methods take it: runs of consecutive ones become pairs [first, count]. */
FUTURED_API void futured_pack_ids(struct futured_pack *p, const uint64_t *ids, size_t n);
/* Copies one value. */
FUTURED_API void futured_pack_copy(struct futured_pack *p, struct futured_value v);

/* Packs by a format, one letter a value; blanks and commas in it are passed over.
 *   i int   I int64_t   u uint64_t   d double   b int as a bool   n nil (no argument)   r uint64_t: the value of a future
 *   s const char *: str   t const char *: str or, where it is not UTF-8, bin   S const char *, size_t: as t
 *   B const void *, size_t: bin   v struct futured_value: a copy
 *   [ … ] array   { … } map: keys and values in turn
 * A NULL for s or t is nil. A format with anything else fails the pack with FUTURED_VALUE. */
FUTURED_API void futured_packf(struct futured_pack *p, const char *format, ...);
FUTURED_API void futured_vpackf(struct futured_pack *p, const char *format, va_list ap);

/* Options of a call: a map that is built a key at a time. Keys are not checked here; the daemon names one it does not know.
 * The value is one that futured_packf would pack: futured_options_set(o, "timeout", "d", 2.5). Setting a key twice is
 * FUTURED_VALUE, reported where the options are used. */
struct futured_options;

FUTURED_API struct futured_options *futured_options_new(void); /* NULL: no memory */
FUTURED_API void futured_options_free(struct futured_options *o);
FUTURED_API void futured_options_set(struct futured_options *o, const char *key, const char *format, ...);
/* The map as it stands, appended to a pack. `o` NULL: an empty map. */
FUTURED_API void futured_options_pack(const struct futured_options *o, struct futured_pack *p);

/* ---- answers --------------------------------------------------------------------------------------------------- */

/* An answer: a value, or an error. Handed to callbacks (good until they return) or returned new by blocking calls (free it
 * with futured_reply_free). */
struct futured_reply;

/* What went wrong. Strings are not terminated and live as long as the reply. */
struct futured_error {
	enum futured_status status; /* FUTURED_TASK where the task itself raised `type` */
	const char *type;
	size_t type_len;
	const char *message;
	size_t message_len;
	const char *traceback;
	size_t traceback_len;
	uint64_t future;      /* 0: none */
	bool has_exit;        /* ExitError, WorkerLostError: an exit status is there */
	int64_t exit;
	int64_t signal;       /* 0: none */
	struct futured_value map; /* all of it; no value if the error was made on this side */
};

FUTURED_API enum futured_status futured_reply_status(const struct futured_reply *r);
/* The value; no value where there is an error. */
FUTURED_API struct futured_value futured_reply_value(const struct futured_reply *r);
/* False, *out zeroed, if there is no error. */
FUTURED_API bool futured_reply_error(const struct futured_reply *r, struct futured_error *out);
/* A copy that outlives the callback. NULL: no memory. */
FUTURED_API struct futured_reply *futured_reply_copy(const struct futured_reply *r);
FUTURED_API void futured_reply_free(struct futured_reply *r);
/* Reads an error map found inside a value (of `exception`, `failures`); false if it is none. */
FUTURED_API bool futured_error_read(struct futured_value v, struct futured_error *out);

/* ---- connection ------------------------------------------------------------------------------------------------ */

struct futured;

/* Not connected yet. NULL: no memory. */
FUTURED_API struct futured *futured_new(void);
/* Closes the connection. What still waits is dropped without a call. Tasks go on, except bound ones. NULL is fine. */
FUTURED_API void futured_free(struct futured *c);

/* Whom to connect to: "unix:PATH", "tcp:HOST:PORT", "tls:HOST:PORT". NULL or never called: $FUTURED_ADDRESS, else the user's own daemon, else
 * the system's. Copied. */
FUTURED_API enum futured_status futured_set_address(struct futured *c, const char *address);
/* How long futured_connect may take; default 10 s. */
FUTURED_API enum futured_status futured_set_connect_timeout(struct futured *c, double seconds);
/* What is said in `hello`, each copied, each may be NULL: who is asking, an access token, the secret that a running task
 * finds in its context. Setting any makes futured_connect say hello; on TCP it always does. */
FUTURED_API enum futured_status futured_set_hello(struct futured *c, const char *client, const char *token, const char *task);
/* Where the access token is read from when connecting to tcp: or tls:, if futured_set_hello gave none: a file that only we can read, with
 * one line. NULL or never called: $FUTURED_TOKEN_FILE. On tcp: beyond loopback it is not sent, unless $FUTURED_PLAINTEXT is 1. Copied. */
FUTURED_API enum futured_status futured_set_token_file(struct futured *c, const char *path);
/* PEM files for tls:, copied; for each that is NULL, $FUTURED_TLS_CA, $FUTURED_TLS_CERT, $FUTURED_TLS_KEY: who may have signed the
 * daemon's certificate (else whom the system trusts), our own certificate (else none), and its key (else in the same file). */
FUTURED_API enum futured_status futured_set_tls(struct futured *c, const char *ca, const char *cert, const char *key);
/* The largest answer that is accepted, in bytes; default 64 MiB and a little. */
FUTURED_API enum futured_status futured_set_message_limit(struct futured *c, uint64_t bytes);

/* After a lost connection, try for so many seconds to connect again to the same address before anybody is told; 0, the default: do
 * not. If the same daemon answers, or one that has its store, ids stay valid and all goes on: futures are watched again, outputs
 * followed from where they stood, requests said again. What may have been heard and may not be said twice (a submit without
 * `key`, most of all) is told FUTURED_LOST instead. If another daemon answers, or none, everybody is told FUTURED_LOST. A bound
 * future or pool does not survive, as its name says. A timeout that the daemon keeps (of futured_result, futured_wait) begins
 * anew there. On TCP an attempt to connect may block for the connect timeout. Call it
 * before connecting; requests are then kept in memory until they are answered. */
FUTURED_API enum futured_status futured_set_reconnect(struct futured *c, double seconds);
/* Give each submit and map that has neither `key` nor `bound` a key made here, so that one whose answer was lost is safe to say
 * again: nothing is run twice. FUTURED_SYSTEM: no random bytes to be had. */
FUTURED_API enum futured_status futured_set_keys(struct futured *c, bool on);

/* Connects; blocking. FUTURED_NO_DAEMON: none answers (futured_error_text says where was looked). FUTURED_VALUE: the address
 * is not one. FUTURED_AUTHENTICATION: a certificate, ours or the daemon's, or the token is not accepted, or its file cannot be used.
 * FUTURED_UNSUPPORTED: tls: needs OpenSSL 3, which is loaded then, and is not there. */
FUTURED_API enum futured_status futured_connect(struct futured *c);
FUTURED_API bool futured_is_connected(const struct futured *c);
/* Whom it is, or was last, connected to; "" before. Good until the next connect or free. */
FUTURED_API const char *futured_address(const struct futured *c);
/* Whether it is this user's own daemon: it runs as this very user on this machine, and is at the user's own address, or nobody else can
 * connect to its socket. False on TCP, and for the system's, /run/futured/futured.sock. */
FUTURED_API bool futured_is_own(const struct futured *c);
/* The daemon's process, 0 where that cannot be known. */
FUTURED_API int64_t futured_daemon_pid(const struct futured *c);
/* The sentence for the last failure of a function that was given `c`; "" if none. Good until the next call with `c`. */
FUTURED_API const char *futured_error_text(const struct futured *c);

/* ---- requests with callbacks ----------------------------------------------------------------------------------- */

/* Queues a request. `params` are the positional parameters one after another (not the array around them), borrowed; NULL:
 * none. `done` is called once: with the answer, or with FUTURED_LOST if the connection ends first; it may be NULL. `msgid`,
 * if not NULL, gets the number by which futured_forget takes it back. The bytes leave with the next futured_process,
 * futured_step or blocking call, so that what is queued together is written together. */
FUTURED_API enum futured_status futured_request(struct futured *c, const char *method, const struct futured_pack *params,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data, uint32_t *msgid);
/* The same, parameters by a futured_packf format; its values are the parameters. */
FUTURED_API enum futured_status futured_requestf(struct futured *c,
	void (*done)(struct futured *c, const struct futured_reply *reply, void *data), void *data,
	const char *method, const char *format, ...);
/* Takes a request back on this side: its callback will not be called. The daemon still carries it out. */
FUTURED_API void futured_forget(struct futured *c, uint32_t msgid);
/* Requests that wait for their answer. */
FUTURED_API size_t futured_waiting(const struct futured *c);
/* Bytes that are queued and not yet written. */
FUTURED_API size_t futured_unsent(const struct futured *c);

/* Notifications that nothing below has taken: method, and its parameters as an array. One handler a connection; NULL: they
 * are dropped. */
FUTURED_API void futured_on_notification(struct futured *c,
	void (*heard)(struct futured *c, const char *method, struct futured_value params, void *data), void *data);
/* `done` notifications of ids that futured_watch does not know: what the option `watch` of submit and map brings. `state` is a
 * constant string; `reply` is the outcome. */
FUTURED_API void futured_on_done(struct futured *c,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data);

/* For a poll loop: the descriptor (-1: none), the poll(2) events wanted now, and milliseconds until futured_process should be
 * called even without (-1: no need). */
FUTURED_API int futured_fd(const struct futured *c);
FUTURED_API short futured_events(const struct futured *c);
FUTURED_API int futured_timeout_ms(const struct futured *c);
/* For the same: called when any of the three may have changed outside futured_process, since a request was queued or the connection
 * was lost. It may not use the connection but for asking them. One a connection; futured_event uses it. */
FUTURED_API void futured_on_wanted(struct futured *c, void (*wanted)(struct futured *c, void *data), void *data);
/* Reads and writes what is possible without blocking and runs callbacks. When the connection has ended, every callback that
 * waits is called with FUTURED_LOST (or FUTURED_PROTOCOL, where the daemon gave that as its reason), and this and later calls
 * answer the same. */
FUTURED_API enum futured_status futured_process(struct futured *c);
/* Waits until something happened, `timeout` seconds at most (negative: for ever), and processes it. FUTURED_TIMEOUT: nothing. */
FUTURED_API enum futured_status futured_step(struct futured *c, double timeout);

/* ---- blocking calls -------------------------------------------------------------------------------------------- */

/* Calls any method and waits for the answer, `timeout` seconds at most (negative: for ever; FUTURED_TIMEOUT then, and the
 * answer is dropped when it comes). Returns the reply's status. *reply, if `reply` is not NULL, is new or NULL. */
FUTURED_API enum futured_status futured_call(struct futured *c, const char *method, const struct futured_pack *params,
	double timeout, struct futured_reply **reply);
/* The same by format, without a time limit. */
FUTURED_API enum futured_status futured_callf(struct futured *c, struct futured_reply **reply, const char *method,
	const char *format, ...);

/* Submits fn with arguments by format: futured_submit(c, &id, "cpu", "add", "ii", 2, 3). */
FUTURED_API enum futured_status futured_submit(struct futured *c, uint64_t *id, const char *pool, const char *fn,
	const char *format, ...);
/* The same with arguments that are packed already (one array) and options. Either may be NULL. */
FUTURED_API enum futured_status futured_submit_with(struct futured *c, uint64_t *id, const char *pool, const char *fn,
	const struct futured_pack *args, const struct futured_options *options);
/* One future per element of `items`, an array of arrays of arguments; all are accepted or none. Their ids are *first,
 * *first + 1, … */
FUTURED_API enum futured_status futured_map(struct futured *c, uint64_t *first, uint64_t *count, const char *pool,
	const char *fn, const struct futured_pack *items, const struct futured_options *options);

/* Waits for the outcome: the value, or the error of the task. FUTURED_TIMEOUT leaves the task alone. `timeout` negative:
 * for ever. */
FUTURED_API enum futured_status futured_result(struct futured *c, uint64_t id, double timeout, struct futured_reply **reply);
/* FUTURED_OK when the future is done and was not cancelled: the reply's value is nil, or its error as a value. */
FUTURED_API enum futured_status futured_exception(struct futured *c, uint64_t id, double timeout,
	struct futured_reply **reply);

enum futured_state { FUTURED_PENDING, FUTURED_RUNNING, FUTURED_STATE_CANCELLED, FUTURED_FINISHED };
FUTURED_API const char *futured_state_name(enum futured_state state);
FUTURED_API enum futured_status futured_state(struct futured *c, uint64_t id, enum futured_state *state);

enum futured_when { FUTURED_ALL_COMPLETED, FUTURED_FIRST_COMPLETED, FUTURED_FIRST_EXCEPTION };
/* Waits until the condition holds or the time is over, which is no error. done[i], if `done` is not NULL, says whether ids[i]
 * is done. */
FUTURED_API enum futured_status futured_wait(struct futured *c, const uint64_t *ids, size_t n, enum futured_when when,
	double timeout, bool *done);

enum futured_how { FUTURED_CANCEL_PENDING, FUTURED_CANCEL_ASK, FUTURED_CANCEL_KILL };
/* cancelled[i], if not NULL, says whether ids[i] was or will be cancelled. `grace` negative: the pool's. */
FUTURED_API enum futured_status futured_cancel(struct futured *c, const uint64_t *ids, size_t n, enum futured_how how,
	double grace, bool *cancelled);
/* Lets the daemon forget futures and what they hold. */
FUTURED_API enum futured_status futured_release(struct futured *c, const uint64_t *ids, size_t n);

/* ---- being told ------------------------------------------------------------------------------------------------ */

/* Calls `done` once for each id when it is done, at the next occasion if it is already; with FUTURED_LOST if the connection
 * ends first. `results` true: the reply is the outcome; else it has only a status: FUTURED_OK finished, FUTURED_CANCELLED.
 * Watching one id several times calls several times, in the order of watching. If the request itself fails (unknown id), each
 * id is called with that error. */
FUTURED_API enum futured_status futured_watch(struct futured *c, const uint64_t *ids, size_t n, bool results,
	void (*done)(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data), void *data);

/* Futures in the order in which they finish. */
struct futured_completed;
/* `ids` are copied; duplicates count once. `timeout` is for all of it, from now. NULL: see futured_error_text. */
FUTURED_API struct futured_completed *futured_completed_new(struct futured *c, const uint64_t *ids, size_t n, double timeout);
/* The next one: *id, and its outcome as a new reply (if `reply` is not NULL). FUTURED_OK while there is one, whatever its outcome;
 * FUTURED_END when all have been given; FUTURED_TIMEOUT when the time is over. Blocking. */
FUTURED_API enum futured_status futured_completed_next(struct futured_completed *i, uint64_t *id, struct futured_reply **reply);
/* May be called at any time outside callbacks, before futured_free; cancels nothing. */
FUTURED_API void futured_completed_free(struct futured_completed *i);

/* Output as it comes. `stream` is "stdout" or "stderr"; `offset` is where these bytes belong; both streams may interleave and
 * after a reconnect or an overlap bytes may come twice, so place them by offset. The last call has `eof` true and perhaps no
 * bytes; a lost connection or an error calls with `error` not NULL instead, once, and nothing follows. */
struct futured_output {
	const char *stream;
	uint64_t offset;
	const void *bytes;
	size_t len;
	bool eof;
	const struct futured_reply *error; /* NULL: none */
};
/* `streams` is "stdout", "stderr" or "both". One follower per id and connection: a second is FUTURED_INVALID_STATE. */
FUTURED_API enum futured_status futured_follow(struct futured *c, uint64_t id, const char *streams, uint64_t offset,
	void (*heard)(struct futured *c, uint64_t id, const struct futured_output *output, void *data), void *data);

/* ---- futures --------------------------------------------------------------------------------------------------- */

/* A handle on a future. Its outcome arrives by itself while the connection is driven, and counts as looked at then. Functions that
 * say "waits" are blocking: in a callback they answer FUTURED_INVALID_STATE where they would have to wait. When the connection
 * ends for good, every handle that is not done gets FUTURED_LOST as its outcome and its callbacks run; the task goes on, and its
 * id may be attached to again. futured_free drops what still waits without a call: the outcome is FUTURED_LOST then too. */
struct futured_future;

/* Queues a submit; does not wait. A refusal (a full queue, an unknown pool) becomes the outcome. NULL: not even queued; see
 * futured_error_text. Free with futured_future_free. */
FUTURED_API struct futured_future *futured_future_submit(struct futured *c, const char *pool, const char *fn,
	const char *format, ...);
/* The same with arguments that are packed already (one array) and options, both borrowed. Either may be NULL. */
FUTURED_API struct futured_future *futured_future_submit_with(struct futured *c, const char *pool, const char *fn,
	const struct futured_pack *args, const struct futured_options *options);
/* A handle on a future that is known by its id; does not wait. An unknown or expired id becomes the outcome. */
FUTURED_API struct futured_future *futured_future_attach(struct futured *c, uint64_t id);
/* The task goes on; no callback is called any more. NULL is fine. Allowed in callbacks, its own too, and after futured_free. */
FUTURED_API void futured_future_free(struct futured_future *f);

/* Waits until the submit is answered. *id is the future's; or the status is the refusal's. */
FUTURED_API enum futured_status futured_future_id(struct futured_future *f, uint64_t *id);
/* Asks the daemon, and waits for its answer, unless the future is known to be done. */
FUTURED_API enum futured_status futured_future_state(struct futured_future *f, enum futured_state *state);
/* Take what has come, wait for nothing. _running asks the daemon and waits for its answer; false where it cannot be asked. */
FUTURED_API bool futured_future_done(struct futured_future *f);
FUTURED_API bool futured_future_cancelled(struct futured_future *f);
FUTURED_API bool futured_future_running(struct futured_future *f);
/* Waits for the outcome, `timeout` seconds at most (negative: for ever; 0: takes what has come). Returns its status and, if `reply`
 * is not NULL, the outcome: borrowed, as long as the handle. FUTURED_TIMEOUT, *reply NULL, leaves the task alone. */
FUTURED_API enum futured_status futured_future_result(struct futured_future *f, double timeout,
	const struct futured_reply **reply);
/* The same, but an error is no error: FUTURED_OK and *reply NULL if all went well, or the outcome. FUTURED_CANCELLED if it was. */
FUTURED_API enum futured_status futured_future_exception(struct futured_future *f, double timeout,
	const struct futured_reply **reply);
/* The outcome if it is here, else NULL. Neither reads nor waits: for callbacks. */
FUTURED_API const struct futured_reply *futured_future_outcome(const struct futured_future *f);
/* The id if it is here, else 0. */
FUTURED_API uint64_t futured_future_known_id(const struct futured_future *f);
/* Its connection; NULL after futured_free of that. */
FUTURED_API struct futured *futured_future_connection(const struct futured_future *f);
/* How many futures that have a handle on this connection are not done: what there is to drive it for. */
FUTURED_API size_t futured_pending_futures(const struct futured *c);

/* Waits until the daemon has decided; *cancelled says what. One that was pending is cancelled when this returns, its callbacks have
 * run. With `cancelled` NULL it is only queued: for callbacks. `grace` negative: the pool's. */
FUTURED_API enum futured_status futured_future_cancel(struct futured_future *f, enum futured_how how, double grace,
	bool *cancelled);
/* `done` is called once for each time it was added, in that order, when the future is done; at once, from here, if it is already. `f` NULL
 * is FUTURED_VALUE, so that what submit returned need not be looked at first. */
FUTURED_API enum futured_status futured_future_add_done_callback(struct futured_future *f,
	void (*done)(struct futured_future *f, void *data), void *data);
/* `told` is called for each progress that the task reports from now on; `total` negative: not known. `note` is not terminated. One
 * a handle; NULL: none. */
FUTURED_API void futured_future_on_progress(struct futured_future *f,
	void (*told)(struct futured_future *f, double done, double total, const char *note, size_t note_len, void *data),
	void *data);

/* Waits until the condition holds or the time is over, which is no error. All on one connection. done[i], if not NULL, says whether
 * fs[i] is done. A refused or lost one is done, with an error. */
FUTURED_API enum futured_status futured_future_wait(struct futured_future *const *fs, size_t n, enum futured_when when,
	double timeout, bool *done);

/* Handles in the order in which they finish: first those that are done, then as it happens. */
struct futured_as_completed;
/* All on one connection, duplicates count once; they may be freed meanwhile. `timeout` is for all of it, from now. NULL: no memory,
 * or not one connection. */
FUTURED_API struct futured_as_completed *futured_as_completed_new(struct futured_future *const *fs, size_t n, double timeout);
/* Waits for the next: *f is borrowed until the iterator is freed. FUTURED_END when all have been given; FUTURED_TIMEOUT when the
 * time is over: none is cancelled, and futured_as_completed_left says how many are missing. */
FUTURED_API enum futured_status futured_as_completed_next(struct futured_as_completed *i, struct futured_future **f);
FUTURED_API size_t futured_as_completed_left(const struct futured_as_completed *i);
FUTURED_API void futured_as_completed_free(struct futured_as_completed *i);

/* ---- lazy map -------------------------------------------------------------------------------------------------- */

/* One future per item, results in the order of the items whatever the order of completion. */
struct futured_mapping;
/* `item` is asked for the next item's arguments: it packs one array and returns 1; 0 when there are no more; -1 when it failed.
 * `ahead` 0: all items are taken and submitted now. Else only so many now, and one more by each futured_mapping_next before it
 * waits. `timeout` is for all of it, from now. pool, fn and options are copied. `item` may use the connection only for what does
 * not wait. NULL: see futured_error_text; what was submitted until then runs. */
FUTURED_API struct futured_mapping *futured_mapping_new(struct futured *c, const char *pool, const char *fn,
	int (*item)(struct futured_pack *args, void *data), void *data, const struct futured_options *options, size_t ahead,
	double timeout);
/* Waits for the next outcome, borrowed until the next call. FUTURED_OK while there is one: a failed item is an outcome like any
 * other, and the next call goes on. Once told, the daemon forgets the future. FUTURED_END when all have been given, or after
 * closing. FUTURED_TIMEOUT when the time is over and FUTURED_VALUE when `item` failed: these close it. */
FUTURED_API enum futured_status futured_mapping_next(struct futured_mapping *m, const struct futured_reply **reply);
/* Cancels what has not begun; what runs goes on. */
FUTURED_API void futured_mapping_close(struct futured_mapping *m);
/* Closes and frees it. Before futured_free. NULL is fine. */
FUTURED_API void futured_mapping_free(struct futured_mapping *m);

/* ---- executors ------------------------------------------------------------------------------------------------- */

/* A pool of one's own, with the kind and runtime of another: what an Executor object is in Python. */
struct futured_executor;
/* `options` of `open_pool` beside `like` (workers, initializer, initargs, max_tasks_per_worker, bound), borrowed; NULL: none. Waits.
 * *e is new on FUTURED_OK. */
FUTURED_API enum futured_status futured_executor_new(struct futured *c, const char *like,
	const struct futured_options *options, struct futured_executor **e);
/* Its name, for everything that takes a pool. As long as the executor. */
FUTURED_API const char *futured_executor_pool(const struct futured_executor *e);
/* As futured_future_submit; NULL with FUTURED_SHUTDOWN's sentence after shutdown. */
FUTURED_API struct futured_future *futured_executor_submit(struct futured_executor *e, const char *fn, const char *format, ...);
/* No new futures. `wait`: returns when all is done; else at once, and pending work still runs. `cancel_futures`: what has not begun is
 * cancelled. Again is fine. */
FUTURED_API enum futured_status futured_executor_shutdown(struct futured_executor *e, bool wait, bool cancel_futures);
/* terminate_workers and kill_workers: what runs is ended, with the pool's grace or without, and fails with FUTURED_BROKEN_POOL; what
 * waits is cancelled. Waits until the workers are gone. */
FUTURED_API enum futured_status futured_executor_terminate(struct futured_executor *e);
FUTURED_API enum futured_status futured_executor_kill(struct futured_executor *e);
/* Shuts down without waiting, if that was not done, and frees it. Before futured_free. NULL is fine. */
FUTURED_API void futured_executor_free(struct futured_executor *e);

#ifdef __cplusplus
}
#endif

#endif

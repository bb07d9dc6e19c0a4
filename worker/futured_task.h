/* futured_task.h: task functions in C for the pools of futured.
 *
 * A module is a shared object that exports one symbol, `futured_module`. A pool of kind `process` or `thread` names it in
 * `modules`; every function of its table can then be called by any client:
 *
 *	#include <futured_task.h>
 *
 *	static int
 *	add(struct futured_task *t)
 *	{
 *		int64_t a, b;
 *
 *		if (!futured_args(t, 2, 2) || !futured_arg_int(t, 0, &a) || !futured_arg_int(t, 1, &b))
 *			return FUTURED_FAILED;
 *		futured_put_int(t, a + b);
 *		return FUTURED_OK;
 *	}
 *
 *	static const struct futured_function functions[] = {
 *		{"add", add, "add(a, b): the sum of two integers"},
 *		{NULL, NULL, NULL},
 *	};
 *
 *	FUTURED_MODULE("example", functions, NULL, NULL);
 *
 *	cc -shared -fPIC -o example.so example.c
 *
 * The functions declared here are the host's (futured-worker); a module needs no library. C99 and C++.
 *
 * Threads: in a `thread` pool the functions of a module run on several threads at once, so what they share is theirs to lock.
 * A struct futured_task is used only by the thread on which the function was called, and only until it returns;
 * futured_stop_requested alone may be asked from other threads too, while the function runs.
 *
 * Ownership: every pointer that a futured_arg_ function yields, and the struct futured_task itself, is good until the
 * function returns. Whatever is passed in is copied before the call returns.
 *
 * Output: what a function prints on C's `stdout` belongs to its task in both kinds. In a `process` pool descriptor 1 is
 * captured, and with it what child processes print; in a `thread` pool the stream is, for the thread on which the function was
 * called. Descriptor 2 stays the daemon's log, and its last lines explain a crash; for the task's own stderr there is
 * futured_write. */
#ifndef FUTURED_TASK_H
#define FUTURED_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes only when a module built against an older header could not run. Functions may be added without it: a module that
 * uses one which its host does not have is refused with the name of that function. */
#define FUTURED_TASK_ABI 1

#define FUTURED_API __attribute__((visibility("default")))

struct futured_task;

/* What a function returns. */
enum futured_return {
	FUTURED_OK = 0,        /* the value is what was put; nil if nothing was */
	FUTURED_FAILED = 1,    /* the error is what futured_fail, or a futured_arg_ function that said false, has noted */
	FUTURED_CANCELLED = 2, /* it was asked to stop, and did */
};

typedef int futured_function_fn(struct futured_task *t);

struct futured_function {
	const char *name;          /* what clients call; NULL ends the table */
	futured_function_fn *call;
	const char *help;          /* one line; may be NULL */
};

struct futured_module {
	uint32_t abi;      /* FUTURED_TASK_ABI */
	uint32_t size;     /* sizeof(struct futured_module) */
	const char *name;  /* for messages */
	const struct futured_function *functions;
	/* Called once after loading, on the host's main thread, before any task; may be NULL. NULL is success, else a sentence
	 * (static, or never freed): the pool is broken, with it as the reason. */
	const char *(*init)(void);
	/* Called when the host ends in an orderly way, after the last task; may be NULL. */
	void (*fini)(void);
};

extern FUTURED_API const struct futured_module futured_module;

#define FUTURED_MODULE(name, functions, init, fini) \
	const struct futured_module futured_module = { \
		FUTURED_TASK_ABI, (uint32_t)sizeof(struct futured_module), name, functions, init, fini}

/* ---- arguments, counted from 0 ---- */

enum futured_type {
	FUTURED_NONE, /* there is no such argument */
	FUTURED_NIL,
	FUTURED_BOOL,
	FUTURED_INT,
	FUTURED_DOUBLE,
	FUTURED_STR, /* text in UTF-8 */
	FUTURED_BIN, /* bytes */
	FUTURED_ARRAY,
	FUTURED_MAP,
	FUTURED_EXT,
};

FUTURED_API size_t futured_arg_count(struct futured_task *t);
FUTURED_API enum futured_type futured_arg_type(struct futured_task *t, size_t index);

/* Each of these is false when the argument is missing, of another type or out of range; the task's error is then noted (a
 * `TypeError` or `ValueError` that names the argument) and the function may simply return FUTURED_FAILED. */

/* Whether there are min to max arguments. */
FUTURED_API bool futured_args(struct futured_task *t, size_t min, size_t max);
FUTURED_API bool futured_arg_bool(struct futured_task *t, size_t index, bool *v);
FUTURED_API bool futured_arg_int(struct futured_task *t, size_t index, int64_t *v);
/* Takes integers too. */
FUTURED_API bool futured_arg_double(struct futured_task *t, size_t index, double *v);
/* Not terminated by a NUL. */
FUTURED_API bool futured_arg_str(struct futured_task *t, size_t index, const char **s, size_t *len);
/* A str or a bin. */
FUTURED_API bool futured_arg_bytes(struct futured_task *t, size_t index, const void **bytes, size_t *len);
/* Copies a str or bin into to[size] with a NUL behind it: for file names and the like. False too if it is too long or has a
 * NUL inside. */
FUTURED_API bool futured_arg_cstr(struct futured_task *t, size_t index, char *to, size_t size);
/* The argument as the MessagePack bytes that came, one whole well-formed value: for arrays and maps. */
FUTURED_API bool futured_arg_raw(struct futured_task *t, size_t index, const void **bytes, size_t *len);

/* ---- the value ----
 *
 * The first put decides: a plain value is the whole result, an array or a map is followed by its elements (count of them, or
 * pairs of key and value). After futured_fail they build the error's `data`. What is not exactly one value nested at
 * most 24 deep, or larger than a message may be, fails the task with `ValueError`. */
FUTURED_API void futured_put_nil(struct futured_task *t);
FUTURED_API void futured_put_bool(struct futured_task *t, bool v);
FUTURED_API void futured_put_int(struct futured_task *t, int64_t v);
FUTURED_API void futured_put_uint(struct futured_task *t, uint64_t v);
FUTURED_API void futured_put_double(struct futured_task *t, double v);
/* UTF-8; bytes that are not become U+FFFD. */
FUTURED_API void futured_put_str(struct futured_task *t, const char *s, size_t len);
FUTURED_API void futured_put_cstr(struct futured_task *t, const char *s);
FUTURED_API void futured_put_bin(struct futured_task *t, const void *bytes, size_t len);
FUTURED_API void futured_put_array(struct futured_task *t, size_t count);
FUTURED_API void futured_put_map(struct futured_task *t, size_t pairs);
/* MessagePack made elsewhere, for instance by msgpack-c. */
FUTURED_API void futured_put_raw(struct futured_task *t, const void *bytes, size_t len);

/* Notes the task's error, in place of any value put so far or of an earlier error: `type` is a name that clients can tell
 * apart ("FileNotFoundError"), the message a sentence of at most 4 KiB. Returns FUTURED_FAILED, so that a function
 * may end with `return futured_fail(t, …)`. */
FUTURED_API int futured_fail(struct futured_task *t, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- while it runs ---- */

/* Whether somebody asked for this task to stop: one atomic load, cheap enough for an inner loop. */
FUTURED_API bool futured_stop_requested(struct futured_task *t);
/* Tells whoever watches. A negative total means that it is not known; note may be NULL. */
FUTURED_API void futured_progress(struct futured_task *t, double done, double total, const char *note);

enum futured_stream { FUTURED_STDOUT, FUTURED_STDERR };

/* The task's own output, whatever the kind. */
FUTURED_API void futured_print(struct futured_task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
FUTURED_API void futured_write(struct futured_task *t, enum futured_stream stream, const void *bytes, size_t len);

enum futured_level { FUTURED_LOG_ERROR, FUTURED_LOG_WARN, FUTURED_LOG_INFO, FUTURED_LOG_DEBUG };

/* A line in the daemon's log. */
FUTURED_API void futured_log(struct futured_task *t, enum futured_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The future that this task is, and which attempt at it (from 1); 0 in an initializer. */
FUTURED_API uint64_t futured_id(struct futured_task *t);
FUTURED_API unsigned futured_attempt(struct futured_task *t);
FUTURED_API const char *futured_pool(struct futured_task *t);
/* For a client inside a task: where the daemon is, and the secret to give as `task` in its hello, so that the daemon
 * knows the new tasks' parent. "" where there is none. */
FUTURED_API const char *futured_address(struct futured_task *t);
FUTURED_API const char *futured_secret(struct futured_task *t);

#ifdef __cplusplus
}
#endif

#endif

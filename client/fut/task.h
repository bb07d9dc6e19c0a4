/* The options that describe a task, shared by run, submit and map. */
#ifndef FUT_TASK_H
#define FUT_TASK_H

#include "client/fut/args.h"

enum { TASK_ENV_CLEAR = OPTION_LONG, TASK_TIMEOUT, TASK_DEADLINE, TASK_DELAY, TASK_PRIORITY, TASK_AFTER, TASK_RETRIES,
	TASK_RETRY_DELAY, TASK_KEY, TASK_RETAIN, TASK_NICE, TASK_LIMIT, TASK_SHELL, TASK_BLOCK, TASK_LAST };

#define TASK_ROWS \
	{ 'p', "pool", "POOL", "the pool to run it in (default: shell)" }, \
	{ TASK_SHELL, "shell", NULL, "the operands are one shell command: --shell 'a | b'" }, \
	{ 'n', "name", "NAME", "a name, for people and for ls" }, \
	{ 'T', "tag", "TAG", "a tag, for ls and cancel; may be repeated" }, \
	{ 'C', "cwd", "DIR", "where to run it (your own daemon: here)" }, \
	{ 'e', "env", "K=V", "a variable; may be repeated" }, \
	{ TASK_ENV_CLEAR, "env-clear", NULL, "without this environment" }, \
	{ 'i', "stdin", "FILE|-", "what it reads from its stdin" }, \
	{ TASK_TIMEOUT, "timeout", "S", "stop it when it has run that long (status 124); 0: no limit" }, \
	{ TASK_DEADLINE, "deadline", "S", "the same for waiting and running together" }, \
	{ TASK_DELAY, "delay", "S", "not before that long from now" }, \
	{ TASK_PRIORITY, "priority", "N", "higher first, -32768 to 32767" }, \
	{ TASK_AFTER, "after", "ID[,ID]", "once these have finished without error" }, \
	{ TASK_RETRIES, "retries", "N", "run it again after a failure, at most N times" }, \
	{ TASK_RETRY_DELAY, "retry-delay", "S", "the first pause before that; doubles each time" }, \
	{ TASK_KEY, "key", "KEY", "once only: while a task with this key is known, its id is the answer" }, \
	{ TASK_RETAIN, "retain", "S", "keep it that long after it has finished" }, \
	{ TASK_BLOCK, "block", NULL, "wait for room when the pool's queue is full" }, \
	{ TASK_NICE, "nice", "N", "as nice(1)" }, \
	{ TASK_LIMIT, "limit", "WHAT=N", "memory, processes, cpus, cpu, files, file_size, core or stack; may be repeated" }

/* What was asked for. */
struct task {
	struct fut *fut;
	const char *pool;
	const char *name, *cwd, *key, *stdin_path;
	bool shell, env_clear, block;
	const char **tags, **env, **limits; /* as given, owned arrays of borrowed strings */
	size_t tag_count, env_count, limit_count;
	uint64_t *after;
	size_t after_count;
	double timeout, deadline, delay, retry_delay, retain; /* negative: not given */
	int64_t priority, retries, nice;
	bool has_priority, has_nice;
};

void task_init(struct task *t, struct fut *f);
void task_clear(struct task *t);
/* Takes an option; 1 taken, 0 not one of these, -1 wrong (said). */
int task_take(struct task *t, int key, const char *value);
/* The options for the daemon that f->c is connected to, without stdin. NULL: something is wrong (said). */
struct futured_options *task_options(struct task *t);
/* Program and arguments from operands; with --shell, sh -c. Appends the args array to `args`; returns the program. */
const char *task_command(const struct task *t, char **operands, int count, struct futured_pack *args);

/* Says why a submit was refused: that the pool runs no commands, where that is it; else as fut_refused, or without a reply as fut_lost.
 * Not in a callback. */
int task_refused(struct fut *f, const char *pool, enum futured_status status, const struct futured_reply *reply);

#endif

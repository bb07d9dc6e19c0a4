/* Functions that do one odd thing each, for the tests of the native runtime. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <futured_task.h>

/* ---- arguments and values ---- */

static int
types(struct futured_task *t)
{
	static const char *const name[] = {"none", "nil", "bool", "int", "double", "str", "bin", "array", "map", "ext"};
	size_t count = futured_arg_count(t);

	futured_put_array(t, count);
	for (size_t i = 0; i < count; i++)
		futured_put_cstr(t, name[futured_arg_type(t, i)]);
	return FUTURED_OK;
}

/* Its arguments in the opposite order, so that the cursor must go back. */
static int
reverse(struct futured_task *t)
{
	size_t count = futured_arg_count(t), len;
	const void *bytes;

	futured_put_array(t, count);
	for (size_t i = count; i > 0; i--) {
		if (!futured_arg_raw(t, i - 1, &bytes, &len))
			return FUTURED_FAILED;
		futured_put_raw(t, bytes, len);
	}
	return FUTURED_OK;
}

static int
want(struct futured_task *t)
{
	char kind[16], text[8];
	const char *s;
	int64_t i;
	double d;
	size_t len;
	bool b;

	if (!futured_args(t, 2, 2) || !futured_arg_cstr(t, 0, kind, sizeof kind))
		return FUTURED_FAILED;
	if (strcmp(kind, "int") == 0 && futured_arg_int(t, 1, &i))
		futured_put_int(t, i);
	else if (strcmp(kind, "double") == 0 && futured_arg_double(t, 1, &d))
		futured_put_double(t, d);
	else if (strcmp(kind, "bool") == 0 && futured_arg_bool(t, 1, &b))
		futured_put_bool(t, b);
	else if (strcmp(kind, "str") == 0 && futured_arg_str(t, 1, &s, &len))
		futured_put_str(t, s, len);
	else if (strcmp(kind, "cstr") == 0 && futured_arg_cstr(t, 1, text, sizeof text))
		futured_put_cstr(t, text);
	else
		return FUTURED_FAILED;
	return FUTURED_OK;
}

/* An argument that may be missing: the noted error is taken back by the put. */
static int
or_ten(struct futured_task *t)
{
	int64_t n;

	if (!futured_arg_int(t, 0, &n))
		n = 10;
	futured_put_int(t, n);
	return FUTURED_OK;
}

static int
two_values(struct futured_task *t)
{
	futured_put_int(t, 1);
	futured_put_int(t, 2);
	return FUTURED_OK;
}

static int
half_an_array(struct futured_task *t)
{
	futured_put_array(t, 2);
	futured_put_int(t, 1);
	return FUTURED_OK;
}

static int
nested(struct futured_task *t)
{
	int64_t depth;

	if (!futured_arg_int(t, 0, &depth))
		return FUTURED_FAILED;
	for (; depth > 1; depth--)
		futured_put_array(t, 1);
	futured_put_array(t, 0);
	return FUTURED_OK;
}

static int
bytes(struct futured_task *t)
{
	int64_t len;
	char *block;

	if (!futured_arg_int(t, 0, &len))
		return FUTURED_FAILED;
	block = calloc(1, (size_t)len + 1);
	if (block == NULL)
		return futured_fail(t, "MemoryError", "out of memory");
	futured_put_bin(t, block, (size_t)len);
	free(block);
	return FUTURED_OK;
}

static int
bad_text(struct futured_task *t)
{
	futured_put_str(t, "a\xff z", 4);
	return FUTURED_OK;
}

/* ---- errors ---- */

static int
fail(struct futured_task *t)
{
	const void *data;
	size_t len;

	futured_put_cstr(t, "a value that is given up");
	futured_fail(t, "CustomError", "it was %s", "me");
	if (futured_arg_count(t) > 0 && futured_arg_raw(t, 0, &data, &len))
		futured_put_raw(t, data, len);
	return FUTURED_FAILED;
}

static int
fail_in_silence(struct futured_task *t)
{
	futured_put_int(t, 1);
	return FUTURED_FAILED;
}

static int
return_seven(struct futured_task *t)
{
	(void)t;
	return 7;
}

static int
give_up(struct futured_task *t)
{
	(void)t;
	return FUTURED_CANCELLED;
}

/* ---- while it runs ---- */

static void
nap(void)
{
	const struct timespec ms = {0, 1000 * 1000};

	nanosleep(&ms, NULL);
}

static int
until_stopped(struct futured_task *t)
{
	bool consent;

	if (!futured_arg_bool(t, 0, &consent))
		return FUTURED_FAILED;
	while (!futured_stop_requested(t))
		nap();
	if (consent)
		return FUTURED_CANCELLED;
	futured_put_cstr(t, "went on");
	return FUTURED_OK;
}

/* Waits until a file is there. */
static int
until_file(struct futured_task *t)
{
	char path[4096];

	if (!futured_arg_cstr(t, 0, path, sizeof path))
		return FUTURED_FAILED;
	while (access(path, F_OK) != 0)
		nap();
	return FUTURED_OK;
}

/* Returns once `count` of it run at the same time: only with as many threads. */
static int
meet(struct futured_task *t)
{
	static atomic_int here;
	int64_t count;

	if (!futured_arg_int(t, 0, &count))
		return FUTURED_FAILED;
	atomic_fetch_add(&here, 1);
	while (atomic_load(&here) % (int)count != 0)
		if (futured_stop_requested(t))
			return FUTURED_CANCELLED;
	futured_put_uint(t, (uint64_t)pthread_self());
	return FUTURED_OK;
}

static int
progress(struct futured_task *t)
{
	futured_progress(t, 1, 4, "begun");
	futured_progress(t, 2.5, -1, NULL);
	return FUTURED_OK;
}

static int
context(struct futured_task *t)
{
	futured_put_array(t, 5);
	futured_put_uint(t, futured_id(t));
	futured_put_uint(t, futured_attempt(t));
	futured_put_cstr(t, futured_pool(t));
	futured_put_cstr(t, futured_address(t));
	futured_put_cstr(t, futured_secret(t));
	return FUTURED_OK;
}

static int
log_line(struct futured_task *t)
{
	futured_log(t, FUTURED_LOG_WARN, "from task %u", (unsigned)futured_id(t));
	return FUTURED_OK;
}

/* ---- printing ---- */

static int
print_all(struct futured_task *t)
{
	printf("printf\n");
	futured_print(t, "futured_print %d\n", 1);
	fputs("no newline", stdout);
	futured_write(t, FUTURED_STDERR, "to stderr\n", 10);
	return FUTURED_OK;
}

static int
print_by_descriptor(struct futured_task *t)
{
	if (write(STDOUT_FILENO, "write\n", 6) != 6 || system("echo child") != 0)
		return futured_fail(t, "OSError", "%s", strerror(errno));
	return FUTURED_OK;
}

static int
print_lines(struct futured_task *t)
{
	int64_t count;

	if (!futured_arg_int(t, 0, &count))
		return FUTURED_FAILED;
	for (int64_t i = 0; i < count; i++)
		printf("%lld\n", (long long)i);
	return FUTURED_OK;
}

static int
print_many(struct futured_task *t)
{
	int64_t len;

	if (!futured_arg_int(t, 0, &len))
		return FUTURED_FAILED;
	for (; len > 0; len--)
		putchar('x');
	return FUTURED_OK;
}

/* Runs a command of the shell as this task: a client in it can say whom it speaks for. Returns its status. */
static int
shell_as_task(struct futured_task *t)
{
	char command[4096], whole[8192];

	if (!futured_arg_cstr(t, 0, command, sizeof command))
		return FUTURED_FAILED;
	snprintf(whole, sizeof whole, "FUTURED_ADDRESS='%s' FUTURED_TASK='%s'; export FUTURED_ADDRESS FUTURED_TASK; %s", futured_address(t),
		futured_secret(t), command);
	futured_put_int(t, system(whole));
	return FUTURED_OK;
}

/* Writes its secret to PATH.ID, for a client elsewhere that speaks for it; then waits until GO is there. */
static int
lend_secret(struct futured_task *t)
{
	char path[2048], file[4096], go[2048];
	FILE *f;

	if (!futured_arg_cstr(t, 0, path, sizeof path) || !futured_arg_cstr(t, 1, go, sizeof go))
		return FUTURED_FAILED;
	snprintf(file, sizeof file, "%s.%u", path, (unsigned)futured_id(t));
	f = fopen(file, "we");
	if (f == NULL)
		return futured_fail(t, "OSError", "%s: %s", file, strerror(errno));
	fprintf(f, "%s\n", futured_secret(t));
	fclose(f);
	while (access(go, F_OK) != 0)
		nap();
	return FUTURED_OK;
}

/* Runs a command of the shell; returns its status. */
static int
shell(struct futured_task *t)
{
	char command[4096];

	if (!futured_arg_cstr(t, 0, command, sizeof command))
		return FUTURED_FAILED;
	futured_put_int(t, system(command));
	return FUTURED_OK;
}

static int
complain(struct futured_task *t)
{
	(void)t;
	fprintf(stderr, "a line for the log\n");
	return FUTURED_OK;
}

/* ---- state, and endings ---- */

static _Thread_local int64_t warmth;

static int
set_warmth(struct futured_task *t)
{
	if (!futured_arg_int(t, 0, &warmth))
		return FUTURED_FAILED;
	if (warmth < 0)
		return futured_fail(t, "ColdError", "it is %d degrees", (int)warmth);
	return FUTURED_OK;
}

static int
get_warmth(struct futured_task *t)
{
	futured_put_int(t, warmth);
	return FUTURED_OK;
}

static int
mark(struct futured_task *t)
{
	char path[4096];
	FILE *f;

	if (!futured_arg_cstr(t, 0, path, sizeof path))
		return FUTURED_FAILED;
	f = fopen(path, "ae");
	if (f == NULL)
		return futured_fail(t, "OSError", "%s: %s", path, strerror(errno));
	fprintf(f, "%u\n", (unsigned)futured_id(t));
	fclose(f);
	return FUTURED_OK;
}

/* Takes memory, touches it and keeps it. */
static int
grow(struct futured_task *t)
{
	int64_t size;
	static char *kept;

	if (!futured_arg_int(t, 0, &size))
		return FUTURED_FAILED;
	free(kept);
	kept = malloc((size_t)size);
	if (kept == NULL)
		return futured_fail(t, "MemoryError", "out of memory");
	memset(kept, 1, (size_t)size);
	return FUTURED_OK;
}

static int
crash(struct futured_task *t)
{
	(void)t;
	fprintf(stderr, "about to crash\n");
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return FUTURED_OK;
}

static int
leave(struct futured_task *t)
{
	int64_t status;

	if (!futured_arg_int(t, 0, &status))
		return FUTURED_FAILED;
	_exit((int)status);
}

static int
close_all(struct futured_task *t)
{
	(void)t;
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	return FUTURED_OK;
}

static int
end_thread(struct futured_task *t)
{
	(void)t;
	pthread_exit(NULL);
}

static const char *
on_init(void)
{
	return getenv("TESTING_REFUSES");
}

static void
on_fini(void)
{
	fprintf(stderr, "testing: fini\n");
}

static const struct futured_function functions[] = {
	{"types", types, NULL},
	{"reverse", reverse, NULL},
	{"want", want, NULL},
	{"or_ten", or_ten, NULL},
	{"two_values", two_values, NULL},
	{"half_an_array", half_an_array, NULL},
	{"nested", nested, NULL},
	{"bytes", bytes, NULL},
	{"bad_text", bad_text, NULL},
	{"fail", fail, NULL},
	{"fail_in_silence", fail_in_silence, NULL},
	{"return_seven", return_seven, NULL},
	{"give_up", give_up, NULL},
	{"until_stopped", until_stopped, NULL},
	{"until_file", until_file, NULL},
	{"meet", meet, NULL},
	{"progress", progress, NULL},
	{"context", context, NULL},
	{"log_line", log_line, NULL},
	{"print_all", print_all, NULL},
	{"print_by_descriptor", print_by_descriptor, NULL},
	{"print_lines", print_lines, NULL},
	{"print_many", print_many, NULL},
	{"shell", shell, NULL},
	{"shell_as_task", shell_as_task, NULL},
	{"lend_secret", lend_secret, NULL},
	{"complain", complain, NULL},
	{"set_warmth", set_warmth, NULL},
	{"get_warmth", get_warmth, NULL},
	{"mark", mark, NULL},
	{"grow", grow, NULL},
	{"crash", crash, NULL},
	{"leave", leave, NULL},
	{"close_all", close_all, NULL},
	{"end_thread", end_thread, NULL},
	{NULL, NULL, NULL},
};

FUTURED_MODULE("testing", functions, on_init, on_fini);

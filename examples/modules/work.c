/* A task module with functions of every sort: one that only thinks, some that read files, one that waits. Build it with
 *
 *	cc -shared -fPIC -o work.so work.c
 *
 * and name it in a pool of kind process or thread. count_primes gains from processes as much as from threads, as C does;
 * what threads share, a crash in one of them costs all. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <futured_task.h>

enum { PATH_SIZE = 4096, BLOCK_SIZE = 64 * 1024 };

/* ---- the smallest ones ---- */

static int
noop(struct futured_task *t)
{
	(void)t;
	return FUTURED_OK;
}

static int
echo(struct futured_task *t)
{
	const void *bytes;
	size_t len;

	if (!futured_args(t, 1, 1) || !futured_arg_raw(t, 0, &bytes, &len))
		return FUTURED_FAILED;
	futured_put_raw(t, bytes, len);
	return FUTURED_OK;
}

static int
add(struct futured_task *t)
{
	int64_t a, b, sum;
	double x, y;

	if (!futured_args(t, 2, 2))
		return FUTURED_FAILED;
	if (futured_arg_type(t, 0) == FUTURED_INT && futured_arg_type(t, 1) == FUTURED_INT) {
		if (!futured_arg_int(t, 0, &a) || !futured_arg_int(t, 1, &b))
			return FUTURED_FAILED;
		if (__builtin_add_overflow(a, b, &sum))
			return futured_fail(t, "OverflowError", "%" PRId64 " + %" PRId64 " does not fit into 64 bits", a, b);
		futured_put_int(t, sum);
		return FUTURED_OK;
	}
	if (!futured_arg_double(t, 0, &x) || !futured_arg_double(t, 1, &y))
		return FUTURED_FAILED;
	futured_put_double(t, x + y);
	return FUTURED_OK;
}

/* ---- bound by the processor ---- */

static bool
is_prime(int64_t n)
{
	if (n % 2 == 0 || n % 3 == 0)
		return n == 2 || n == 3;
	for (int64_t d = 5; d * d <= n; d += 6)
		if (n % d == 0 || n % (d + 2) == 0)
			return false;
	return n > 1;
}

/* By trial division, on purpose: it is here to keep a processor busy, with nothing shared. */
static int
count_primes(struct futured_task *t)
{
	int64_t limit, count = 0;

	if (!futured_args(t, 1, 1) || !futured_arg_int(t, 0, &limit))
		return FUTURED_FAILED;
	if (limit < 0)
		return futured_fail(t, "ValueError", "count_primes: the limit is %" PRId64 ", expected at least 0", limit);
	for (int64_t n = 2; n < limit; n++) {
		if (n % 4096 == 0 && futured_stop_requested(t))
			return FUTURED_CANCELLED;
		if (n % 1048576 == 0)
			futured_progress(t, (double)n, (double)limit, NULL);
		count += is_prime(n);
	}
	futured_put_int(t, count);
	return FUTURED_OK;
}

/* ---- bound by input and output ---- */

static int
fail_errno(struct futured_task *t, const char *path)
{
	const char *type = errno == ENOENT ? "FileNotFoundError" : errno == EACCES ? "PermissionError" : "OSError";
	int error = errno;

	futured_fail(t, type, "%s: %s", path, strerror(error));
	futured_put_map(t, 2);
	futured_put_cstr(t, "errno");
	futured_put_int(t, error);
	futured_put_cstr(t, "path");
	futured_put_cstr(t, path);
	return FUTURED_FAILED;
}

struct words {
	uint64_t lines, words, bytes;
	bool inside;
};

static void
words_add(struct words *w, const char *block, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool space = block[i] == ' ' || (block[i] >= '\t' && block[i] <= '\r');

		w->lines += block[i] == '\n';
		w->words += !space && !w->inside;
		w->inside = !space;
	}
	w->bytes += len;
}

static int
count_words(struct futured_task *t)
{
	char path[PATH_SIZE], block[BLOCK_SIZE];
	struct words w = {0, 0, 0, false};
	FILE *f;
	size_t n;
	int failed;

	if (!futured_args(t, 1, 1) || !futured_arg_cstr(t, 0, path, sizeof path))
		return FUTURED_FAILED;
	f = fopen(path, "rbe");
	if (f == NULL)
		return fail_errno(t, path);
	while (!futured_stop_requested(t) && (n = fread(block, 1, sizeof block, f)) > 0)
		words_add(&w, block, n);
	failed = ferror(f);
	fclose(f);
	if (failed)
		return fail_errno(t, path);
	if (futured_stop_requested(t))
		return FUTURED_CANCELLED;
	futured_put_map(t, 3);
	futured_put_cstr(t, "lines");
	futured_put_uint(t, w.lines);
	futured_put_cstr(t, "words");
	futured_put_uint(t, w.words);
	futured_put_cstr(t, "bytes");
	futured_put_uint(t, w.bytes);
	return FUTURED_OK;
}

static uint32_t
crc32_add(uint32_t crc, const unsigned char *block, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= block[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

static int
crc32(struct futured_task *t)
{
	char path[PATH_SIZE];
	unsigned char block[BLOCK_SIZE];
	uint32_t crc = 0xffffffffu;
	FILE *f;
	size_t n;
	int failed;

	if (!futured_args(t, 1, 1) || !futured_arg_cstr(t, 0, path, sizeof path))
		return FUTURED_FAILED;
	f = fopen(path, "rbe");
	if (f == NULL)
		return fail_errno(t, path);
	while (!futured_stop_requested(t) && (n = fread(block, 1, sizeof block, f)) > 0)
		crc = crc32_add(crc, block, n);
	failed = ferror(f);
	fclose(f);
	if (failed)
		return fail_errno(t, path);
	if (futured_stop_requested(t))
		return FUTURED_CANCELLED;
	futured_put_uint(t, crc ^ 0xffffffffu);
	return FUTURED_OK;
}

/* Does nothing for a while, as a task does that waits for somebody else; looks every 10 ms whether it should stop. */
static int
wait_seconds(struct futured_task *t)
{
	const struct timespec slice = {0, 10 * 1000 * 1000};
	struct timespec start, now;
	double seconds, passed = 0;

	if (!futured_args(t, 1, 1) || !futured_arg_double(t, 0, &seconds))
		return FUTURED_FAILED;
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (passed < seconds) {
		if (futured_stop_requested(t))
			return FUTURED_CANCELLED;
		if (seconds - passed < 0.01) {
			struct timespec rest = {0, (long)((seconds - passed) * 1e9)};

			nanosleep(&rest, NULL);
		} else {
			nanosleep(&slice, NULL);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		passed = (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
	}
	futured_put_double(t, passed);
	return FUTURED_OK;
}

/* An initializer is a function like any other: the pool names it, and it runs once in each worker. */
static int
warm_up(struct futured_task *t)
{
	futured_log(t, FUTURED_LOG_INFO, "a worker of pool %s is warm", futured_pool(t));
	return FUTURED_OK;
}

static const struct futured_function functions[] = {
	{"noop", noop, "noop(): nothing, as fast as possible"},
	{"echo", echo, "echo(value): the value"},
	{"add", add, "add(a, b): the sum of two numbers"},
	{"count_primes", count_primes, "count_primes(limit): how many primes are below limit; keeps a processor busy"},
	{"count_words", count_words, "count_words(path): {lines, words, bytes} of a file"},
	{"crc32", crc32, "crc32(path): the CRC-32 of a file"},
	{"wait", wait_seconds, "wait(seconds): waits, and stops when asked; returns the seconds that passed"},
	{"warm_up", warm_up, "warm_up(...): an initializer that says so in the log"},
	{NULL, NULL, NULL},
};

FUTURED_MODULE("work", functions, NULL, NULL);

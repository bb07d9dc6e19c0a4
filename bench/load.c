/* A client in C that loads a daemon with no-op tasks, written as a user of libfutured would: what bench/peers measures.
 *
 *	load ADDRESS POOL call COUNT            one `call` at a time; microseconds for each
 *	load ADDRESS POOL flow COUNT DEPTH      DEPTH calls in flight, each result received; calls a second
 *	load ADDRESS POOL map COUNT             one map of COUNT, and the wait for it; tasks a second
 *	load ADDRESS POOL polite SECONDS        a call every millisecond; how long it took
 *	load ADDRESS POOL bytes SIZE COUNT      `echo` of so many bytes, one at a time; megabytes a second, one way
 *	load ADDRESS POOL submit COUNT DEPTH    DEPTH submits that are not done, each result received, then released; submits a second
 *	load ADDRESS POOL pile COUNT TIMES      COUNT tasks are piled up behind a pause and then run, so many times; tasks a second
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/measure.h"
#include "client/futured.h"

enum { SAMPLES_MAX = 1 << 20 };

static struct futured *c;
static const char *pool;
static struct futured_pack *params; /* of a call of noop */
static double samples[SAMPLES_MAX]; /* µs */

static void
must(enum futured_status status, const char *what)
{
	if (status == FUTURED_OK)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, futured_status_name(status), futured_error_text(c));
	exit(1);
}

static void
print_samples(size_t n)
{
	if (n == 0)
		return;
	qsort(samples, n, sizeof *samples, ascending);
	printf("us %.2f\np99 %.2f\nmax %.2f\n", samples[n / 2], samples[n - 1 - n / 100], samples[n - 1]);
}

static void
call_once(void)
{
	must(futured_call(c, "call", params, -1, NULL), "call");
}

static void
measure_calls(size_t count)
{
	size_t kept = count < SAMPLES_MAX ? count : SAMPLES_MAX;

	for (size_t i = 0; i < 100; i++)
		call_once();
	for (size_t i = 0; i < kept; i++) {
		double begin = now();

		call_once();
		samples[i] = (now() - begin) * 1e6;
	}
	print_samples(kept);
}

/* ---- many in flight ---- */

struct flow {
	const char *method;
	size_t to_send, to_come;
};

static void
on_answer(struct futured *from, const struct futured_reply *reply, void *data)
{
	struct flow *f = data;

	must(futured_reply_status(reply), f->method);
	f->to_come--;
	if (f->to_send == 0)
		return;
	f->to_send--;
	must(futured_request(from, f->method, params, on_answer, f, NULL), f->method);
}

static void
measure_flow(const char *method, size_t count, size_t depth)
{
	struct flow f = { method, count, count };
	double begin = now();

	for (; f.to_send > 0 && count - f.to_send < depth; f.to_send--)
		must(futured_request(c, method, params, on_answer, &f, NULL), method);
	while (f.to_come > 0)
		must(futured_step(c, -1), "step");
	printf("rate %.0f\n", (double)count / (now() - begin));
}

/* ---- submits that a durable store keeps, as it does not keep calls, which are bound to their connection ---- */

enum { RELEASED_AT_ONCE = 1000 };

static struct {
	size_t to_send, to_come;
	uint64_t done[RELEASED_AT_ONCE];
	size_t count;
} kept;

static void
on_submitted(struct futured *from, const struct futured_reply *reply, void *data)
{
	(void)from;
	(void)data;
	must(futured_reply_status(reply), "submit");
}

static void
release_done(void)
{
	struct futured_pack *p = futured_pack_new();

	futured_pack_ids(p, kept.done, kept.count);
	must(futured_request(c, "release", p, NULL, NULL, NULL), "release");
	futured_pack_free(p);
	kept.count = 0;
}

static void
on_done(struct futured *from, const char *method, struct futured_value told, void *data)
{
	struct futured_value inside, id;
	size_t n;

	if (strcmp(method, "done") != 0 || !futured_value_array(told, &n, &inside) || !futured_value_next(&inside, &id))
		return;
	futured_value_uint(id, &kept.done[kept.count++]);
	kept.to_come--;
	if (kept.count == RELEASED_AT_ONCE || kept.to_come == 0)
		release_done();
	if (kept.to_send == 0)
		return;
	kept.to_send--;
	must(futured_request(from, "submit", data, on_submitted, NULL, NULL), "submit");
}

static void
measure_submits(size_t count, size_t depth)
{
	struct futured_pack *submit = futured_pack_new();
	double begin = now();

	futured_packf(submit, "ss[]{sb}", pool, "noop", "watch", 1);
	futured_on_notification(c, on_done, submit);
	kept.to_send = kept.to_come = count;
	for (; kept.to_send > 0 && count - kept.to_send < depth; kept.to_send--)
		must(futured_request(c, "submit", submit, on_submitted, NULL, NULL), "submit");
	while (kept.to_come > 0)
		must(futured_step(c, -1), "step");
	printf("rate %.0f\n", (double)count / (now() - begin));
	futured_pack_free(submit);
}

/* ---- map ---- */

static void
measure_map(size_t count)
{
	struct futured_pack *items = futured_pack_new();
	uint64_t first, n;
	double begin;

	futured_pack_array(items, count);
	for (size_t i = 0; i < count; i++)
		futured_pack_array(items, 0);
	begin = now();
	must(futured_map(c, &first, &n, pool, "noop", items, NULL), "map");
	must(futured_callf(c, NULL, "wait", "[[uu]]", first, n), "wait");
	printf("rate %.0f\n", (double)count / (now() - begin));
	must(futured_callf(c, NULL, "release", "[[uu]]", first, n), "release");
	futured_pack_free(items);
}

static void
measure_pile(size_t count, size_t times)
{
	struct futured_pack *items = futured_pack_new();
	double begin = now();
	uint64_t first, n;

	futured_pack_array(items, count);
	for (size_t i = 0; i < count; i++)
		futured_pack_array(items, 0);
	for (size_t i = 0; i < times; i++) {
		must(futured_callf(c, NULL, "pause", "s", pool), "pause");
		must(futured_map(c, &first, &n, pool, "noop", items, NULL), "map");
		must(futured_callf(c, NULL, "resume", "s", pool), "resume");
		must(futured_callf(c, NULL, "wait", "[[uu]]", first, n), "wait");
		must(futured_callf(c, NULL, "release", "[[uu]]", first, n), "release");
	}
	printf("rate %.0f\n", (double)count * (double)times / (now() - begin));
	futured_pack_free(items);
}

/* ---- others ---- */

static void
measure_polite(double seconds)
{
	double end = now() + seconds;
	size_t n = 0;

	for (; now() < end && n < SAMPLES_MAX; n++) {
		double begin = now();

		call_once();
		samples[n] = (now() - begin) * 1e6;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	print_samples(n);
}

static void
measure_bytes(size_t size, size_t count)
{
	struct futured_pack *echo = futured_pack_new();
	struct futured_reply *reply;
	char *bytes = calloc(1, size);
	double begin = now();

	futured_packf(echo, "ss[B]", pool, "echo", bytes, size);
	for (size_t i = 0; i < count; i++) {
		must(futured_call(c, "call", echo, -1, &reply), "call");
		futured_reply_free(reply);
	}
	printf("mb_s %.0f\n", (double)size * (double)count / (now() - begin) / 1e6);
	futured_pack_free(echo);
	free(bytes);
}

int
main(int argc, char **argv)
{
	double number = argc > 4 ? strtod(argv[4], NULL) : 0;
	size_t second = argc > 5 ? strtoul(argv[5], NULL, 10) : 1000;
	const char *what = argc > 3 ? argv[3] : "";

	if (argc < 5 || number <= 0)
		return 2;
	c = futured_new();
	params = futured_pack_new();
	if (c == NULL || params == NULL)
		return 1;
	pool = argv[2];
	futured_packf(params, "ss", pool, "noop");
	must(futured_set_address(c, argv[1]), "address");
	must(futured_connect(c), "connect");
	call_once();
	if (strcmp(what, "call") == 0)
		measure_calls((size_t)number);
	else if (strcmp(what, "flow") == 0)
		measure_flow("call", (size_t)number, second);
	else if (strcmp(what, "submit") == 0)
		measure_submits((size_t)number, second);
	else if (strcmp(what, "map") == 0)
		measure_map((size_t)number);
	else if (strcmp(what, "pile") == 0)
		measure_pile((size_t)number, argc > 5 ? second : 1);
	else if (strcmp(what, "polite") == 0)
		measure_polite(number);
	else if (strcmp(what, "bytes") == 0)
		measure_bytes((size_t)number, argc > 5 ? second : 1);
	else
		return 2;
	futured_pack_free(params);
	futured_free(c);
	return 0;
}

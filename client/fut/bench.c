/* fut bench: how fast the daemon that answers is, now, from here. Everything is a `call`: bound to this connection, never stored, and
 * gone with ^C. For a comparison with others there is bench/peers. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/args.h"
#include "client/fut/clock.h"
#include "client/fut/json.h"
#include "client/fut/pools.h"
#include "client/fut/reach.h"

enum { BENCH_SECONDS = OPTION_LONG, BENCH_DEPTH, SAMPLES_MAX = 1 << 18 };

struct bench {
	struct fut *f;
	double seconds; /* for each figure */
	int64_t depth;
	const char *method;
	struct futured_pack *params;
	double until;
	size_t done, in_flight;
	struct futured_reply *failed; /* the first answer that is an error */
};

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One at a time. */
static int
measure_trips(struct bench *b, double *median, double *p99)
{
	double *trip = need(malloc(SAMPLES_MAX * sizeof *trip)), end = clock_seconds() + b->seconds, begin;
	struct futured_reply *reply = NULL;
	int status = EXIT_OK;
	size_t n = 0;

	do {
		begin = clock_seconds();
		if (futured_call(b->f->c, b->method, b->params, -1, &reply) != FUTURED_OK)
			status = fut_refused(b->f, reply);
		futured_reply_free(reply);
		trip[n++] = clock_seconds() - begin;
	} while (status == EXIT_OK && clock_seconds() < end && n < SAMPLES_MAX);
	qsort(trip, n, sizeof *trip, ascending);
	*median = trip[n / 2];
	*p99 = trip[n - 1 - n / 100];
	free(trip);
	return status;
}

static void on_answer(struct futured *c, const struct futured_reply *reply, void *data);

static void
ask(struct bench *b)
{
	if (futured_request(b->f->c, b->method, b->params, on_answer, b, NULL) == FUTURED_OK)
		b->in_flight++;
}

static void
on_answer(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct bench *b = data;

	(void)c;
	b->in_flight--;
	b->done++;
	if (futured_reply_status(reply) != FUTURED_OK && b->failed == NULL)
		b->failed = need(futured_reply_copy(reply));
	if (b->failed == NULL && clock_seconds() < b->until)
		ask(b);
}

/* Many at a time. */
static int
measure_rate(struct bench *b, double *rate)
{
	double begin = clock_seconds();
	enum futured_status stepped;
	int status = EXIT_OK;

	b->done = 0;
	b->until = begin + b->seconds;
	for (int64_t i = 0; i < b->depth; i++)
		ask(b);
	while (b->in_flight > 0 && status == EXIT_OK)
		if ((stepped = futured_step(b->f->c, -1)) != FUTURED_OK)
			status = fut_lost(b->f, stepped);
	*rate = (double)b->done / (clock_seconds() - begin);
	if (status == EXIT_OK && b->failed != NULL)
		status = fut_refused(b->f, b->failed);
	futured_reply_free(b->failed);
	b->failed = NULL;
	return status;
}

static int
measure(struct bench *b, const char *what)
{
	double median, p99, rate;
	int status = measure_trips(b, &median, &p99);

	if (status == EXIT_OK)
		status = measure_rate(b, &rate);
	if (status != EXIT_OK)
		return status;
	if (b->f->json)
		printf("{\"what\": \"%s\", \"round_trip_us\": %.1f, \"p99_us\": %.1f, \"depth\": %" PRId64 ", \"per_second\": %.1f}\n", what, median * 1e6,
			p99 * 1e6, b->depth, rate);
	else
		printf("%-10s %10.1f µs round trip, p99 %.1f µs; %.0f/s with %" PRId64 " in flight\n", what, median * 1e6, p99 * 1e6, rate, b->depth);
	fut_flush();
	return EXIT_OK;
}

/* As for fut call: JSON where it reads as that. */
static void
pack_call(struct futured_pack *p, char **operands, int count)
{
	struct futured_pack *value = need(futured_pack_new());
	char why[256];

	futured_packf(p, "ss", operands[0], operands[1]);
	futured_pack_array(p, (size_t)count - 2);
	for (int i = 2; i < count; i++) {
		futured_pack_reset(value);
		if (jsonin_read(operands[i], strlen(operands[i]), value, why, sizeof why))
			futured_pack_copy(p, futured_pack_value(value));
		else
			futured_pack_text(p, operands[i], strlen(operands[i]));
	}
	futured_pack_free(value);
}

static int
bench_all(struct bench *b, char **operands, int count)
{
	int status;

	b->params = need(futured_pack_new());
	b->method = "ping";
	status = measure(b, "ping");
	if (status == EXIT_OK && count >= 2) {
		b->method = "call";
		futured_pack_reset(b->params);
		pack_call(b->params, operands, count);
		status = measure(b, "call");
	}
	futured_pack_free(b->params);
	return status;
}

static int
bench_main(struct fut *f, int argc, char **argv)
{
	struct bench b = { .f = f, .seconds = 1, .depth = 1000 };
	struct args a;
	int key, status;

	args_init(&a, f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == BENCH_SECONDS) {
			if (!args_duration(f, "--seconds", a.value, &b.seconds))
				return EXIT_USAGE;
		} else if (key == BENCH_DEPTH) {
			if (!args_int(f, "--depth", a.value, 1, 10000, &b.depth))
				return EXIT_USAGE;
		} else {
			return a.status;
		}
	if (a.count == 1)
		return args_wrong(f, "expected a function or program behind the pool");
	if ((status = reach(f, REACH_ONLY)) != EXIT_OK || (a.count > 0 && (status = pools_check(f, a.operands[0])) != EXIT_OK))
		return status;
	return bench_all(&b, a.operands, a.count);
}

static const struct option_row bench_options[] = {
	{ BENCH_SECONDS, "seconds", "S", "how long each figure is measured; default 1" },
	{ BENCH_DEPTH, "depth", "N", "how many are in flight for the rate; default 1000" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_bench = {
	.name = "bench",
	.operands = "[POOL FN [ARG…]]",
	.summary = "how fast the daemon is, now: a round trip and a rate",
	.examples = "  fut bench                        # of the daemon alone\n"
		    "  fut bench shell true             # of a program\n"
		    "  fut --json bench cpu add 2 3     # of a function",
	.options = bench_options,
	.run = bench_main,
};

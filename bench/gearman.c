/* gearmand's side of bench/peers: a no-op worker and a client, as libgearman's users write them.
 *
 *	gearman PORT work              serves until it is killed
 *	gearman PORT call COUNT        one job at a time; microseconds, the median
 *	gearman PORT flow COUNT DEPTH  DEPTH jobs are added and run at once, again and again; jobs a second, results received
 */
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

enum { SAMPLES_MAX = 1 << 20 };

static double samples[SAMPLES_MAX];
static size_t came;

static void
must(gearman_return_t rc, const char *what)
{
	if (gearman_success(rc))
		return;
	fprintf(stderr, "%s: %s\n", what, gearman_strerror(rc));
	exit(1);
}

static void *
noop(gearman_job_st *job, void *context, size_t *size, gearman_return_t *rc)
{
	(void)job;
	(void)context;
	*size = 0;
	*rc = GEARMAN_SUCCESS;
	return NULL;
}

static int
serve(in_port_t port)
{
	gearman_worker_st *w = gearman_worker_create(NULL);

	must(gearman_worker_add_server(w, "127.0.0.1", port), "add_server");
	must(gearman_worker_add_function(w, "noop", 0, noop, NULL), "add_function");
	while (gearman_success(gearman_worker_work(w)))
		;
	return 0;
}

static gearman_return_t
on_complete(gearman_task_st *task)
{
	(void)task;
	came++;
	return GEARMAN_SUCCESS;
}

int
main(int argc, char **argv)
{
	size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 1, depth = argc > 4 ? strtoul(argv[4], NULL, 10) : 1000;
	in_port_t port = (in_port_t)(argc > 2 ? strtoul(argv[1], NULL, 10) : 0);
	gearman_client_st *c;
	gearman_return_t rc;
	size_t size;

	if (argc < 3 || count > SAMPLES_MAX)
		return 2;
	if (strcmp(argv[2], "work") == 0)
		return serve(port);
	c = gearman_client_create(NULL);
	must(gearman_client_add_server(c, "127.0.0.1", port), "add_server");
	free(gearman_client_do(c, "noop", NULL, "x", 1, &size, &rc));
	must(rc, "do");
	if (strcmp(argv[2], "call") == 0) {
		for (size_t i = 0; i < count; i++) {
			double begin = now();

			free(gearman_client_do(c, "noop", NULL, "x", 1, &size, &rc));
			must(rc, "do");
			samples[i] = (now() - begin) * 1e6;
		}
		qsort(samples, count, sizeof *samples, ascending);
		printf("us %.2f\n", samples[count / 2]);
		return 0;
	}
	gearman_client_set_complete_fn(c, on_complete);
	double begin = now();
	while (came < count) {
		for (size_t i = 0; i < depth; i++)
			gearman_client_add_task(c, NULL, NULL, "noop", NULL, "x", 1, &rc);
		must(gearman_client_run_tasks(c), "run_tasks");
		gearman_client_task_free_all(c);
	}
	printf("rate %.0f\n", (double)came / (now() - begin));
	return 0;
}

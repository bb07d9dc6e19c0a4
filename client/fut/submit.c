/* fut submit: queue a command, print its id and nothing else. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/feed.h"
#include "client/fut/reach.h"
#include "client/fut/task.h"

static int
submit_task(struct fut *f, struct task *t, char **operands, int count)
{
	struct futured_pack *args;
	struct futured_options *o;
	enum futured_status submitted;
	struct feed feed;
	const char *fn;
	uint64_t id;
	int status;

	/* Nobody stays to feed it, so what it is to read must be here, and only where that was asked for. */
	if (!feed_open(&feed, f, t->stdin_path, true))
		return EXIT_FAILED;
	if ((status = reach(f, REACH_OR_START)) != EXIT_OK)
		goto out;
	status = EXIT_FAILED;
	if ((o = task_options(t)) == NULL)
		goto out;
	feed_options(&feed, o);
	args = need(futured_pack_new());
	fn = task_command(t, operands, count, args);
	if ((submitted = futured_submit_with(f->c, &id, t->pool, fn, args, o)) != FUTURED_OK)
		status = task_refused(f, t->pool, submitted, NULL);
	else {
		printf(f->json ? "{\"id\": %" PRIu64 "}\n" : "%" PRIu64 "\n", id);
		if (!fut_flush())
			fut_say(f, "%" PRIu64 " is submitted", id);
		status = EXIT_OK;
	}
	futured_pack_free(args);
	futured_options_free(o);
out:
	feed_close(&feed);
	return status;
}

static int
submit_main(struct fut *f, int argc, char **argv)
{
	struct args a;
	struct task t;
	int key, status;

	task_init(&t, f);
	args_init(&a, f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == ARGS_STOP || task_take(&t, key, a.value) < 0) {
			task_clear(&t);
			return key == ARGS_STOP ? a.status : fut_usage(f);
		}
	status = args_expect(&a, 1, -1) ? submit_task(f, &t, a.operands, a.count) : a.status;
	task_clear(&t);
	return status;
}

static const struct option_row submit_options[] = { TASK_ROWS, { 0, NULL, NULL, NULL } };

const struct verb verb_submit = {
	.name = "submit",
	.operands = "[--] CMD ARG…",
	.summary = "queue a command and print its id",
	.examples = "  fut submit -- ./backup.sh                      # prints 17\n"
		    "  fut submit --after 17 -- ./verify.sh           # once 17 has succeeded\n"
		    "  fut submit --retries 3 --timeout 10m -- curl -fO https://example.org/big\n"
		    "  fut wait $(fut submit -- make) && echo built   # wait exits with its code",
	.options = submit_options,
	.run = submit_main,
	.flags = VERB_COMMAND,
};

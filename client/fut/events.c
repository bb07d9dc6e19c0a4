/* fut events: one JSON object per line, as things happen. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/args.h"
#include "client/fut/pools.h"
#include "client/fut/reach.h"
#include "client/fut/writer.h"

static void
on_event(struct futured *c, const char *method, struct futured_value params, void *data)
{
	struct futured_value inside, event;
	size_t n;

	(void)c;
	(void)data;
	if (strcmp(method, "event") != 0 || !futured_value_array(params, &n, &inside) || !futured_value_next(&inside, &event))
		return;
	writer_object(event);
	fut_flush();
}

/* Until the daemon goes, or whoever reads us: that is heard without another event. */
static int
follow(struct fut *f)
{
	enum futured_status heard;

	while (fut_flush()) {
		struct pollfd p[2] = { { futured_fd(f->c), futured_events(f->c), 0 }, { STDOUT_FILENO, 0, 0 } };

		if ((heard = futured_process(f->c)) != FUTURED_OK)
			return fut_lost(f, heard);
		if (poll(p, 2, futured_timeout_ms(f->c)) > 0 && (p[1].revents & (POLLERR | POLLNVAL)) != 0)
			break;
	}
	return EXIT_FAILED;
}

static int
events_main(struct fut *f, int argc, char **argv)
{
	struct futured_reply *reply;
	const char *pool = NULL;
	enum futured_status asked;
	struct args a;
	int key, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == 'p')
			pool = a.value;
		else
			return a.status;
	if (!args_expect(&a, 0, 0))
		return a.status;
	if ((status = reach(f, REACH_ONLY)) != EXIT_OK || (pool != NULL && (status = pools_check(f, pool)) != EXIT_OK))
		return status;
	futured_on_notification(f->c, on_event, f);
	asked = pool != NULL ? futured_callf(f->c, &reply, "events", "{ss}", "pool", pool) : futured_callf(f->c, &reply, "events", "{}");
	if (asked != FUTURED_OK) {
		status = fut_refused(f, reply);
		futured_reply_free(reply);
		return status;
	}
	futured_reply_free(reply);
	return follow(f);
}

static const struct option_row events_options[] = {
	{ 'p', "pool", "POOL", "only of this pool" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_events = {
	.name = "events",
	.operands = "",
	.summary = "what happens, as it happens: one JSON object per line",
	.examples = "  fut events                        # until ^C\n"
		    "  fut events -p shell | jq -c .     # of one pool",
	.options = events_options,
	.run = events_main,
};

/* Callbacks on a libevent loop, beside a timer of the program's own. Needs the pools of examples/demo.yaml:
 *
 *	events [ADDRESS]      cc events.c $(pkg-config --cflags --libs futured-event) -levent_core */
#include <inttypes.h>
#include <stdio.h>

#include <event2/event.h>
#include <futured_event.h>

static struct futured_event *loop;
static int left = 5, ticks;

static void
on_primes(struct futured_future *f, void *data)
{
	const struct futured_reply *reply = futured_future_outcome(f);
	int limit = *(const int *)data;
	struct futured_error error;
	int64_t n;

	if (futured_value_int(futured_reply_value(reply), &n))
		printf("%" PRId64 " primes below %d\n", n, limit);
	else if (futured_reply_error(reply, &error))
		printf("below %d: %.*s\n", limit, (int)error.message_len, error.message);
	futured_future_free(f);
	if (--left == 0)
		futured_event_free(loop); /* nothing is left to wait for, so the loop ends */
}

static void
on_tick(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what, (void)data;
	ticks++;
}

int
main(int argc, char **argv)
{
	static int limits[] = { 10, 100, 1000, 10000, 100000 };
	struct event_base *base = event_base_new();
	struct event *timer = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	struct futured *c = futured_new();

	futured_set_address(c, argc > 1 ? argv[1] : NULL);
	if (futured_connect(c) != FUTURED_OK || (loop = futured_event_new(c, base, NULL, NULL)) == NULL) {
		fprintf(stderr, "%s\n", futured_error_text(c));
		return 1;
	}
	for (int k = 0; k < 5; k++) {
		struct futured_future *f = futured_future_submit(c, "cpu", "count_primes", "i", limits[k]);

		if (f == NULL || futured_future_add_done_callback(f, on_primes, &limits[k]) != FUTURED_OK)
			return 1;
	}
	event_add(timer, &(struct timeval){ .tv_usec = 1000 });
	while (left > 0)
		event_base_loop(base, EVLOOP_ONCE);
	fprintf(stderr, "%d ticks meanwhile\n", ticks);
	event_free(timer);
	futured_free(c);
	event_base_free(base);
	return 0;
}

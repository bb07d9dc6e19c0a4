/* A connection on a libevent loop, against a daemon of each test's own. */
#include "client_daemon.h"

#include <sys/socket.h>

#include <event2/event.h>

#include "client/futured_event.h"

struct loop {
	struct futured *c;
	struct event_base *base;
	struct futured_event *e;
	enum futured_status why; /* it ended */
	int ended, called;
};

static void
on_end(struct futured *c, enum futured_status why, void *data)
{
	struct loop *l = data;

	assert_ptr_equal(c, l->c);
	l->why = why;
	l->ended++;
}

static int
setup_with(void **state, double reconnect)
{
	struct loop *l = calloc(1, sizeof *l);

	daemon_start();
	l->c = connected_with(reconnect, false);
	l->base = event_base_new();
	l->e = futured_event_new(l->c, l->base, on_end, l);
	*state = l;
	return l->e == NULL;
}

static int
setup(void **state)
{
	return setup_with(state, 0);
}

static int
setup_reconnecting(void **state)
{
	return setup_with(state, 10);
}

static int
teardown(void **state)
{
	struct loop *l = *state;

	futured_event_free(l->e);
	event_base_free(l->base);
	futured_free(l->c);
	free(l);
	return daemon_group_teardown(state);
}

static void
on_done(struct futured_future *f, void *data)
{
	struct loop *l = data;

	if (futured_reply_status(futured_future_outcome(f)) == FUTURED_OK)
		l->called++;
	futured_future_free(f);
}

static void
submit_another(struct futured_future *f, void *data)
{
	struct loop *l = data;

	futured_future_add_done_callback(futured_future_submit(l->c, "four", "noop", ""), on_done, l);
	futured_future_free(f);
}

static void
free_the_face(struct futured_future *f, void *data)
{
	struct loop *l = data;

	futured_event_free(l->e);
	l->e = NULL;
	on_done(f, data);
}

static void
requests_queued_before_and_inside_the_loop_are_answered(void **state)
{
	struct loop *l = *state;

	for (int i = 0; i < 100; i++)
		futured_future_add_done_callback(futured_future_submit(l->c, "four", "noop", ""), submit_another, l);
	while (l->called < 100)
		assert_int_equal(event_base_loop(l->base, EVLOOP_ONCE), 0);
	assert_int_equal(futured_pending_futures(l->c), 0);
}

static void
freed_in_a_callback_it_lets_the_loop_end(void **state)
{
	struct loop *l = *state;

	futured_future_add_done_callback(futured_future_submit(l->c, "four", "noop", ""), free_the_face, l);
	assert_int_equal(event_base_dispatch(l->base), 1); /* no events are left */
	assert_int_equal(l->called, 1);
	assert_true(futured_is_connected(l->c));
	assert_int_equal(futured_callf(l->c, NULL, "ping", ""), FUTURED_OK);
}

static void
when_the_daemon_dies_everybody_is_told_and_then_the_end(void **state)
{
	struct loop *l = *state;
	struct futured_future *f = held(l->c, "one", "never");

	for (int i = 0; i < 10; i++)
		futured_future_add_done_callback(held(l->c, "one", "never"), on_done, l);
	while (event_base_loop(l->base, EVLOOP_NONBLOCK) == 0 && futured_future_known_id(f) == 0)
		;
	daemon_end(SIGKILL);
	event_base_dispatch(l->base); /* returns: nothing is left on the loop */
	assert_int_equal(l->ended, 1);
	assert_int_equal(l->why, FUTURED_LOST);
	assert_int_equal(l->called, 0);
	assert_int_equal(futured_pending_futures(l->c), 0);
	futured_future_free(f);
}

static void
it_reconnects_on_the_loop(void **state)
{
	struct loop *l = *state;

	for (int i = 0; i < 3; i++) {
		futured_future_add_done_callback(futured_future_submit(l->c, "four", "noop", ""), on_done, l);
		while (l->called == i)
			assert_int_equal(event_base_loop(l->base, EVLOOP_ONCE), 0);
		shutdown(futured_fd(l->c), SHUT_RDWR);
		while (futured_is_connected(l->c)) /* until it has noticed */
			assert_int_equal(event_base_loop(l->base, EVLOOP_ONCE), 0);
	}
	assert_int_equal(l->ended, 0);
	assert_int_equal(futured_callf(l->c, NULL, "ping", ""), FUTURED_OK); /* blocking calls work beside it */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(requests_queued_before_and_inside_the_loop_are_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(freed_in_a_callback_it_lets_the_loop_end, setup, teardown),
		cmocka_unit_test_setup_teardown(when_the_daemon_dies_everybody_is_told_and_then_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(it_reconnects_on_the_loop, setup_reconnecting, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

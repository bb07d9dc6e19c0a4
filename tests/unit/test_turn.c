/* The turn: the order of its phases, what waits for the next one, and that it does not sleep while anything is to be done. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/clock.h"
#include "daemon/timer.h"
#include "daemon/turn.h"

enum { ITEMS = 8, HANGS_S = 20 };

static struct turn_item items[ITEMS];
static char told[64]; /* one letter for each thing that happened */

static void
tell(char letter)
{
	size_t n = strlen(told);

	assert_true(n + 1 < sizeof told);
	told[n] = letter;
	told[n + 1] = '\0';
}

static void
note(struct turn_item *item)
{
	assert_false(item->scheduled);
	tell((char)('a' + (item - items)));
}

static int
begin(void **state)
{
	(void)state;
	alarm(HANGS_S); /* a turn that sleeps for ever fails the test */
	*told = '\0';
	return turn_base() ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	for (int i = 0; i < ITEMS; i++)
		turn_unschedule(&items[i]);
	turn_before_flush(NULL);
	alarm(0);
	return 0;
}

static void
commit(void)
{
	tell('C');
}

static void
phases_run_in_order_and_the_commit_is_before_the_flush(void **state)
{
	(void)state;
	turn_before_flush(commit);
	turn_schedule(TURN_FREE, &items[4], note);
	turn_schedule(TURN_FLUSH, &items[3], note);
	turn_schedule(TURN_NOTIFY, &items[2], note);
	turn_schedule(TURN_DISPATCH, &items[1], note);
	turn_schedule(TURN_WORK, &items[0], note);
	turn_schedule(TURN_WORK, &items[5], note);
	turn_run();
	assert_string_equal(told, "afbcCde");
}

static void
an_item_runs_once_however_often_it_is_scheduled(void **state)
{
	(void)state;
	turn_schedule(TURN_WORK, &items[0], note);
	turn_schedule(TURN_WORK, &items[0], note);
	turn_schedule(TURN_FREE, &items[0], note); /* and in the phase that came first */
	turn_schedule(TURN_NOTIFY, &items[1], note);
	turn_run();
	assert_string_equal(told, "ab");
}

static void
what_is_unscheduled_does_not_run(void **state)
{
	(void)state;
	turn_schedule(TURN_WORK, &items[0], note);
	turn_schedule(TURN_WORK, &items[1], note);
	turn_schedule(TURN_WORK, &items[2], note);
	turn_unschedule(&items[1]);
	turn_unschedule(&items[1]);
	assert_false(items[1].scheduled);
	turn_run();
	assert_string_equal(told, "ac");
}

static void
once_more(struct turn_item *item)
{
	note(item);
	if (strlen(told) < 3)
		turn_schedule(item->phase, item, once_more);
}

static void
its_own_phase_comes_again_in_the_next_turn(void **state)
{
	(void)state;
	turn_schedule(TURN_DISPATCH, &items[0], once_more);
	turn_run();
	assert_string_equal(told, "a");
	turn_run(); /* does not sleep */
	assert_string_equal(told, "aa");
	turn_run();
	assert_string_equal(told, "aaa");
	assert_false(items[0].scheduled);
}

static void
schedule_all(struct turn_item *item)
{
	note(item);
	turn_schedule(TURN_WORK, &items[1], note);
	turn_schedule(TURN_DISPATCH, &items[2], note);
	turn_schedule(TURN_NOTIFY, &items[3], note);
	turn_schedule(TURN_FREE, &items[4], note);
}

static void
later_phases_of_the_same_turn_are_reached_and_earlier_ones_not(void **state)
{
	(void)state;
	turn_schedule(TURN_DISPATCH, &items[0], schedule_all);
	turn_run();
	assert_string_equal(told, "ade");
	turn_run();
	assert_string_equal(told, "adebc");
}

static void
unschedule_others(struct turn_item *item)
{
	note(item);
	turn_unschedule(&items[1]);
	turn_unschedule(&items[3]);
}

static void
an_item_may_unschedule_those_behind_it(void **state)
{
	(void)state;
	turn_schedule(TURN_WORK, &items[0], unschedule_others);
	turn_schedule(TURN_WORK, &items[1], note);
	turn_schedule(TURN_WORK, &items[2], note);
	turn_schedule(TURN_WORK, &items[3], note);
	turn_run();
	assert_string_equal(told, "ac");
}

static void
free_it(struct turn_item *item)
{
	tell('x');
	free(item);
}

static void
an_item_may_be_freed_while_it_runs(void **state)
{
	struct turn_item *item = calloc(1, sizeof *item);

	(void)state;
	turn_schedule(TURN_FREE, item, free_it);
	turn_schedule(TURN_FREE, &items[0], note);
	turn_run();
	assert_string_equal(told, "xa");
}

static void
on_timer(struct timer *t)
{
	(void)t;
	tell('t');
	turn_schedule(TURN_WORK, &items[0], note);
}

/* Sleeps until then: there is nothing else to wake it. */
static void
a_timer_wakes_the_turn_and_comes_before_its_work(void **state)
{
	struct timer t = { .due_us = 0 };

	(void)state;
	turn_schedule(TURN_WORK, &items[1], note);
	assert_true(timer_set(&t, clock_refresh() + 2000, on_timer));
	while (!strchr(told, 't'))
		turn_run();
	assert_string_equal(told, "bta");
	assert_true(clock_now() >= t.due_us);
}

static void
nothing(struct timer *t)
{
	(void)t;
}

static void
more_timers_than_a_turn_fires_need_no_wakeup(void **state)
{
	enum { COUNT = 5000 };
	struct timer *t = test_calloc(COUNT, sizeof *t);
	unsigned turns = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		assert_true(timer_set(&t[i], 1, nothing));
	while (timer_next() != UINT64_MAX) {
		turn_run();
		turns++;
	}
	assert_true(turns > 1);
	test_free(t);
}

static void
gauges_keep_the_largest_turn(void **state)
{
	struct turn_gauges before = turn_gauges();

	(void)state;
	assert_true(turn_budget() > 1000);
	unsigned budget = turn_budget();
	turn_count(1000, 5);
	turn_count(500, 7);
	assert_int_equal(turn_budget(), budget - 1500);
	turn_count(budget, 0); /* more than is left is allowed, and ends it */
	assert_int_equal(turn_budget(), 0);
	turn_schedule(TURN_WORK, &items[0], note);
	turn_run();
	assert_int_equal(turn_budget(), budget);
	assert_int_equal(turn_gauges().turns, before.turns + 1);
	assert_int_equal(turn_gauges().futures_max, budget + 1500);
	assert_int_equal(turn_gauges().bytes_max, 12);
	turn_schedule(TURN_WORK, &items[0], note);
	turn_run();
	assert_int_equal(turn_gauges().bytes_max, 12);
}

static void
after_the_end_it_can_begin_again(void **state)
{
	(void)state;
	turn_end();
	turn_end();
	assert_non_null(turn_base());
	turn_schedule(TURN_WORK, &items[0], note);
	turn_run();
	assert_string_equal(told, "a");
	turn_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(phases_run_in_order_and_the_commit_is_before_the_flush, begin, end),
		cmocka_unit_test_setup_teardown(an_item_runs_once_however_often_it_is_scheduled, begin, end),
		cmocka_unit_test_setup_teardown(what_is_unscheduled_does_not_run, begin, end),
		cmocka_unit_test_setup_teardown(its_own_phase_comes_again_in_the_next_turn, begin, end),
		cmocka_unit_test_setup_teardown(later_phases_of_the_same_turn_are_reached_and_earlier_ones_not, begin, end),
		cmocka_unit_test_setup_teardown(an_item_may_unschedule_those_behind_it, begin, end),
		cmocka_unit_test_setup_teardown(an_item_may_be_freed_while_it_runs, begin, end),
		cmocka_unit_test_setup_teardown(a_timer_wakes_the_turn_and_comes_before_its_work, begin, end),
		cmocka_unit_test_setup_teardown(more_timers_than_a_turn_fires_need_no_wakeup, begin, end),
		cmocka_unit_test_setup_teardown(gauges_keep_the_largest_turn, begin, end),
		cmocka_unit_test_setup_teardown(after_the_end_it_can_begin_again, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

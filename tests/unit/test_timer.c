/* Timers: the heap against a naive model, what fires and when, and what happens without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/timer.h"
#include "tests/unit/chance.h"
#include "tests/unit/failing_memory.h"

enum { TIMERS = 200, OPERATIONS = 20000 };

static struct timer timers[TIMERS];
static size_t fired[TIMERS], fires;

static void
note(struct timer *t)
{
	assert_false(timer_is_set(t));
	if (fires < TIMERS)
		fired[fires] = (size_t)(t - timers);
	fires++;
}

static void
set(size_t i, uint64_t due)
{
	assert_true(timer_set(&timers[i], due, note));
	assert_true(timer_is_set(&timers[i]));
}

static int
forget(void **state)
{
	(void)state;
	for (size_t i = 0; i < TIMERS; i++)
		timer_unset(&timers[i]);
	fires = 0;
	return timer_next() == UINT64_MAX ? 0 : -1;
}

static void
zero_bytes_are_unset(void **state)
{
	struct timer t = { .due_us = 0 };

	(void)state;
	assert_false(timer_is_set(&t));
	timer_unset(&t);
	assert_int_equal(timer_next(), UINT64_MAX);
	assert_false(timer_run(UINT64_MAX, 10));
}

static void
what_is_due_fires_in_order_and_nothing_else(void **state)
{
	static const uint64_t due[] = { 50, 10, 40, 20, 30 };

	(void)state;
	for (size_t i = 0; i < 5; i++)
		set(i, due[i]);
	assert_int_equal(timer_next(), 10);
	assert_false(timer_run(9, 10));
	assert_int_equal(fires, 0);
	assert_false(timer_run(30, 10)); /* due means reached */
	assert_int_equal(fires, 3);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 3);
	assert_int_equal(fired[2], 4);
	assert_int_equal(timer_next(), 40);
	assert_false(timer_is_set(&timers[1]));
	assert_true(timer_is_set(&timers[0]));
}

/* The tasks of a map with a delay are due together: a heap alone would begin the last one second. */
static void
those_due_together_fire_in_the_order_of_their_setting(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++)
		set(i, 7);
	set(100, 3);
	set(40, 7); /* again: behind the others */
	assert_false(timer_run(7, TIMERS));
	assert_int_equal(fires, 101);
	assert_int_equal(fired[0], 100);
	for (size_t i = 1; i < 100; i++)
		assert_int_equal(fired[i], i - 1 < 40 ? i - 1 : i);
	assert_int_equal(fired[100], 40);
}

static void
setting_again_moves_it(void **state)
{
	(void)state;
	set(0, 10);
	set(1, 20);
	set(0, 30);
	assert_int_equal(timer_next(), 20);
	set(0, 5);
	assert_int_equal(timer_next(), 5);
	assert_false(timer_run(100, 10));
	assert_int_equal(fires, 2);
	assert_int_equal(fired[0], 0);
}

static void
at_most_so_many_fire_and_the_rest_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++)
		set(i, i);
	assert_true(timer_run(10, 0));
	assert_int_equal(fires, 0);
	assert_true(timer_run(10, 2));
	assert_int_equal(fires, 2);
	assert_true(timer_run(3, 1));
	assert_int_equal(fires, 3);
	assert_false(timer_run(3, 1)); /* exactly as many as were due */
	assert_int_equal(fires, 4);
	assert_false(timer_run(10, 1));
	assert_int_equal(fires, 5);
}

static void
again(struct timer *t)
{
	assert_false(timer_is_set(t));
	fires++;
	assert_true(timer_set(t, t->due_us + 10, again));
}

static void
one_that_fires_may_set_itself_again(void **state)
{
	(void)state;
	assert_true(timer_set(&timers[0], 10, again));
	assert_false(timer_run(35, 100));
	assert_int_equal(fires, 3); /* at 10, 20 and 30 */
	assert_int_equal(timer_next(), 40);
	assert_true(timer_run(UINT64_MAX / 2, 7)); /* for ever: only the bound ends it */
	assert_int_equal(fires, 10);
}

static void
unset_others(struct timer *t)
{
	note(t);
	timer_unset(&timers[1]);
	set(2, 15);
	timer_unset(&timers[3]);
}

static void
one_that_fires_may_unset_and_move_others(void **state)
{
	(void)state;
	assert_true(timer_set(&timers[0], 10, unset_others));
	set(1, 11);
	set(2, 500);
	set(3, 12);
	set(4, 20);
	assert_false(timer_run(30, 10));
	assert_int_equal(fires, 3);
	assert_int_equal(fired[1], 2);
	assert_int_equal(fired[2], 4);
}

/* ---- against a model: due[i], 0 where it is not set, and the how manieth setting that was ---- */

static uint64_t due[TIMERS], settings[TIMERS], made;

static void
set_at(size_t i, uint64_t when)
{
	due[i] = when;
	settings[i] = ++made;
}

/* The index of each is its own place: no two share one, and together they fill 1 to n. */
static void
indexes_hold(void)
{
	bool taken[TIMERS + 1] = { true };
	uint64_t least = UINT64_MAX;
	size_t n = 0;

	for (size_t i = 0; i < TIMERS; i++) {
		assert_int_equal(timer_is_set(&timers[i]), due[i] != 0);
		assert_int_equal(timers[i].index != 0, due[i] != 0);
		if (!due[i])
			continue;
		n++;
		least = due[i] < least ? due[i] : least;
		assert_true(timers[i].index <= TIMERS);
		assert_false(taken[timers[i].index]);
		taken[timers[i].index] = true;
	}
	for (size_t i = 1; i <= n; i++)
		assert_true(taken[i]);
	assert_int_equal(timer_next(), least);
}

static uint64_t latest;

static void
fires_next(struct timer *t)
{
	size_t i = (size_t)(t - timers);

	assert_true(due[i] != 0);
	assert_true(t->due_us == due[i]);
	for (size_t other = 0; other < TIMERS; other++)
		assert_true(!due[other] || due[other] > due[i] || (due[other] == due[i] && settings[other] >= settings[i]));
	assert_true(due[i] <= latest);
	due[i] = 0;
	if (chance(3) == 0) { /* some go on */
		set_at(i, latest + 1 + chance(1000));
		assert_true(timer_set(t, due[i], fires_next));
	}
}

static void
anything_that_happens_happens_as_in_the_model(void **state)
{
	uint64_t now = 1;

	(void)state;
	chance_begin();
	for (int n = 0; n < OPERATIONS; n++) {
		size_t i = chance(TIMERS);
		uint64_t what = chance(20);
		if (what < 12) {
			set_at(i, now + chance(500) + 1);
			assert_true(timer_set(&timers[i], due[i], fires_next));
		} else if (what < 18) {
			due[i] = 0;
			timer_unset(&timers[i]);
		} else {
			latest = now += chance(100);
			while (timer_run(now, (unsigned)chance(4) + 1))
				;
			for (size_t k = 0; k < TIMERS; k++)
				assert_true(!due[k] || due[k] > now);
		}
		indexes_hold();
	}
	for (size_t i = 0; i < TIMERS; i++)
		due[i] = 0;
}

static void
without_memory_it_is_not_set_and_the_others_stay(void **state)
{
	enum { COUNT = 3000 };
	struct timer *t = test_calloc(COUNT, sizeof *t);
	size_t refused = 0, order = 0;
	uint64_t last = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		memory_fail_after(0);
		if (!timer_set(&t[i], COUNT - i, note)) {
			refused++;
			assert_false(timer_is_set(&t[i]));
			memory_is_good_again();
			assert_true(timer_set(&t[i], COUNT - i, note));
		}
		assert_int_equal(timer_next(), COUNT - i);
	}
	memory_is_good_again();
	assert_true(refused > 0);
	for (; timer_next() != UINT64_MAX; order++) {
		assert_true(timer_next() > last);
		last = timer_next();
		timer_run(last, 1);
	}
	assert_int_equal(order, COUNT);
	test_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_bytes_are_unset),
		cmocka_unit_test_teardown(what_is_due_fires_in_order_and_nothing_else, forget),
		cmocka_unit_test_teardown(those_due_together_fire_in_the_order_of_their_setting, forget),
		cmocka_unit_test_teardown(setting_again_moves_it, forget),
		cmocka_unit_test_teardown(at_most_so_many_fire_and_the_rest_is_told, forget),
		cmocka_unit_test_teardown(one_that_fires_may_set_itself_again, forget),
		cmocka_unit_test_teardown(one_that_fires_may_unset_and_move_others, forget),
		cmocka_unit_test_teardown(anything_that_happens_happens_as_in_the_model, forget),
		cmocka_unit_test_teardown(without_memory_it_is_not_set_and_the_others_stay, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

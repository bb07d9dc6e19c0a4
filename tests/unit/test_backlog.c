/* The backlog: ids in order, consecutive ones as runs, in a ring that grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/backlog.h"
#include "tests/unit/chance.h"
#include "tests/unit/failing_memory.h"

static void
next_is(struct backlog *b, uint64_t expected, bool expected_want)
{
	uint64_t id;
	bool want;

	assert_false(backlog_is_empty(b));
	assert_true(backlog_pop(b, &id, &want));
	assert_int_equal(id, expected);
	assert_int_equal(want, expected_want);
}

static void
an_empty_one_has_nothing(void **state)
{
	struct backlog b = { .size = 0 };
	uint64_t id = 5;
	bool want;

	(void)state;
	assert_true(backlog_is_empty(&b));
	assert_false(backlog_pop(&b, &id, &want));
	backlog_clear(&b);
	assert_true(backlog_is_empty(&b));
}

static void
ids_come_out_in_the_order_they_went_in(void **state)
{
	static const uint64_t ids[] = { 9, 3, 4, 5, 3, 100, 99, 98, 1 };
	struct backlog b = { .size = 0 };

	(void)state;
	for (size_t i = 0; i < 9; i++)
		assert_true(backlog_push(&b, ids[i], false));
	for (size_t i = 0; i < 9; i++)
		next_is(&b, ids[i], false);
	assert_true(backlog_is_empty(&b));
}

static void
consecutive_ids_are_one_run(void **state)
{
	struct backlog b = { .size = 0 };

	(void)state;
	for (uint64_t id = 1; id <= 1000000; id++)
		assert_true(backlog_push(&b, id, true));
	assert_int_equal(b.used, 1);
	for (uint64_t id = 1; id <= 500000; id++)
		next_is(&b, id, true);
	assert_true(backlog_push(&b, 1000001, true)); /* a run that has begun goes on */
	assert_int_equal(b.used, 1);
	for (uint64_t id = 500001; id <= 1000001; id++)
		next_is(&b, id, true);
	assert_true(backlog_is_empty(&b));
}

static void
want_belongs_to_each_id(void **state)
{
	struct backlog b = { .size = 0 };

	(void)state;
	for (uint64_t id = 1; id <= 9; id++)
		assert_true(backlog_push(&b, id, id % 3 == 0));
	assert_int_equal(b.used, 6);
	for (uint64_t id = 1; id <= 9; id++)
		next_is(&b, id, id % 3 == 0);
}

static void
an_empty_one_holds_no_memory(void **state)
{
	struct backlog b = { .size = 0 };

	(void)state;
	assert_true(backlog_push(&b, 1, false));
	next_is(&b, 1, false);
	assert_null(b.run);
	assert_true(backlog_push(&b, 2, false)); /* and is good for more */
	next_is(&b, 2, false);
}

/* Grows while its head is anywhere, so the ring is turned in every way. */
static void
growing_keeps_the_order_wherever_the_ring_begins(void **state)
{
	(void)state;
	for (uint64_t turned = 0; turned <= 40; turned++) {
		struct backlog b = { .size = 0 };
		uint64_t in = 0, out = 0;
		assert_true(backlog_push(&b, 2 * in++, false));
		for (; out < turned; out++) { /* never empty, so never given back */
			assert_true(backlog_push(&b, 2 * in++, false));
			next_is(&b, 2 * out, false);
		}
		while (in < turned + 100)
			assert_true(backlog_push(&b, 2 * in++, false));
		for (; out < in; out++)
			next_is(&b, 2 * out, false);
		assert_true(backlog_is_empty(&b));
	}
}

static void
any_mixture_comes_out_as_it_went_in(void **state)
{
	enum { MOST = 5000 };
	static uint64_t ids[MOST];
	static bool wants[MOST];
	struct backlog b = { .size = 0 };
	size_t in = 0, out = 0;

	(void)state;
	chance_begin();
	while (out < MOST) {
		bool fill = chance(200) >= 80 + (in - out) / 4; /* goes up and down */
		if (in < MOST && fill) {
			ids[in] = in && chance(2) ? ids[in - 1] + 1 : 1 + chance(50);
			wants[in] = chance(4) == 0;
			assert_true(backlog_push(&b, ids[in], wants[in]));
			in++;
		} else if (out < in) {
			next_is(&b, ids[out], wants[out]);
			out++;
		}
		assert_int_equal(backlog_is_empty(&b), in == out);
	}
	backlog_clear(&b);
}

static void
what_memory_refuses_is_not_in_it_and_all_else_is(void **state)
{
	struct backlog b = { .size = 0 };
	uint64_t refused = 0;

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		memory_fail_after(0);
		if (!backlog_push(&b, 2 * i, false)) {
			refused++;
			memory_is_good_again();
			assert_true(backlog_push(&b, 2 * i, false));
		}
	}
	memory_is_good_again();
	assert_int_equal(refused, 4); /* at 0, 16, 32 and 64 */
	for (uint64_t i = 0; i < 100; i++)
		next_is(&b, 2 * i, false);
	assert_true(backlog_is_empty(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_has_nothing),
		cmocka_unit_test(ids_come_out_in_the_order_they_went_in),
		cmocka_unit_test(consecutive_ids_are_one_run),
		cmocka_unit_test(want_belongs_to_each_id),
		cmocka_unit_test(an_empty_one_holds_no_memory),
		cmocka_unit_test(growing_keeps_the_order_wherever_the_ring_begins),
		cmocka_unit_test(any_mixture_comes_out_as_it_went_in),
		cmocka_unit_test(what_memory_refuses_is_not_in_it_and_all_else_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Spare memory: the next large message gets that of the last one; what nobody uses goes back after a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/spare.h"
#include "daemon/timer.h"
#include "tests/unit/fake_clock.h"

enum { MIB = 1024 * 1024 };

static int
let_all_expire(void **state)
{
	(void)state;
	fake_now_us += 2 * SECOND;
	timer_run(fake_now_us, 100);
	return timer_next() == UINT64_MAX ? 0 : -1;
}

/* A buf that holds `text`, in memory of its own. */
static struct buf
holding(const char *text)
{
	struct buf b = { 0 };

	assert_true(buf_append(&b, text, strlen(text)));
	return b;
}

static void
what_was_given_is_used_next_and_holds_what_was_there(void **state)
{
	struct buf b = holding("begun");
	void *given = malloc(4 * MIB);

	(void)state;
	spare_give(given);
	assert_true(spare_use(&b, 4 * MIB));
	assert_ptr_equal(b.data, given);
	assert_true(b.cap >= 4 * MIB);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "begun", 5);
	buf_clear(&b);
	b = holding("again");
	assert_false(spare_use(&b, 4 * MIB)); /* it was taken */
	buf_clear(&b);
}

static void
the_smallest_that_suffices_is_used_and_none_twice_as_large(void **state)
{
	struct buf b = holding("x"), other = holding("y");
	void *three = malloc(3 * MIB), *two = malloc(2 * MIB);

	(void)state;
	spare_give(three);
	spare_give(two);
	assert_false(spare_use(&b, 4 * MIB));
	assert_false(spare_use(&b, MIB / 2)); /* a small message would keep a large memory */
	assert_memory_equal(b.data, "x", 1);
	assert_true(spare_use(&b, 2 * MIB - 100));
	assert_ptr_equal(b.data, two);
	assert_true(spare_use(&other, 2 * MIB - 100));
	assert_ptr_equal(other.data, three);
	buf_clear(&b);
	buf_clear(&other);
}

static void
it_is_kept_for_a_second_and_no_longer(void **state)
{
	struct buf b = holding("x");

	(void)state;
	spare_give(malloc(2 * MIB));
	fake_now_us += SECOND / 2;
	spare_give(malloc(3 * MIB));
	fake_now_us += SECOND / 2;
	timer_run(fake_now_us, 100);
	assert_true(spare_use(&b, 2 * MIB));
	assert_true(b.cap >= 3 * MIB); /* the other one is gone */
	buf_clear(&b);
}

static void
small_or_no_memory_is_not_kept(void **state)
{
	struct buf b = holding("x");

	(void)state;
	spare_give(NULL);
	spare_give(malloc(1000));
	assert_int_equal(timer_next(), UINT64_MAX);
	assert_false(spare_use(&b, 900));
	buf_clear(&b);
}

static void
there_is_a_bound_on_what_is_kept(void **state)
{
	struct buf b = { 0 };
	size_t got = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		spare_give(malloc(64 * MIB)); /* never touched */
	while (spare_use(&b, 60 * MIB)) {
		got++;
		buf_clear(&b);
	}
	assert_in_range(got, 3, 4); /* of 64 MiB, or a little more, each, in 256 */
}

static void
a_buf_that_failed_stays_so(void **state)
{
	struct buf b = { .failed = true };

	(void)state;
	spare_give(malloc(2 * MIB));
	assert_false(spare_use(&b, 2 * MIB - 100));
	assert_true(b.failed);
}

int
main(void)
{
#define T(name) cmocka_unit_test_teardown(name, let_all_expire)
	const struct CMUnitTest tests[] = {
		T(what_was_given_is_used_next_and_holds_what_was_there),
		T(the_smallest_that_suffices_is_used_and_none_twice_as_large),
		T(it_is_kept_for_a_second_and_no_longer),
		T(small_or_no_memory_is_not_kept),
		T(there_is_a_bound_on_what_is_kept),
		T(a_buf_that_failed_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

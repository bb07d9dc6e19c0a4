/* Durations fall into the buckets that their bounds say, whatever came before them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/histogram.h"

static unsigned
bucket_of(struct histogram *h, uint64_t us)
{
	struct histogram before = *h;
	unsigned found = HISTOGRAM_BOUNDS + 1;

	histogram_add(h, us);
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		if (h->bucket[i] == before.bucket[i])
			continue;
		assert_int_equal(h->bucket[i], before.bucket[i] + 1);
		assert_int_equal(found, HISTOGRAM_BOUNDS + 1);
		found = i;
	}
	assert_true(h->sum_us == before.sum_us + us);
	return found;
}

static void
the_bounds_rise_to_the_end_of_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++)
		assert_true(histogram_bounds_us[i] < histogram_bounds_us[i + 1]);
	assert_true(histogram_bounds_us[HISTOGRAM_BOUNDS] == UINT64_MAX);
}

static void
a_bound_belongs_to_its_own_bucket(void **state)
{
	struct histogram h = { .sum_us = 0 };

	(void)state;
	assert_int_equal(bucket_of(&h, 0), 0);
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		assert_int_equal(bucket_of(&h, histogram_bounds_us[i]), i);
		assert_int_equal(bucket_of(&h, histogram_bounds_us[i] + 1), i + 1);
	}
}

static void
what_came_before_does_not_matter(void **state)
{
	(void)state;
	for (unsigned last = 0; last <= HISTOGRAM_BOUNDS; last++) {
		for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
			struct histogram h = { .sum_us = 0 };
			bucket_of(&h, last ? histogram_bounds_us[last - 1] + 1 : 0);
			assert_int_equal(bucket_of(&h, histogram_bounds_us[i]), i);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bounds_rise_to_the_end_of_time),
		cmocka_unit_test(a_bound_belongs_to_its_own_bucket),
		cmocka_unit_test(what_came_before_does_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

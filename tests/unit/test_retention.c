/* How long finished futures are kept. */
#include "tests/unit/futures.h"

#include "daemon/log.h"
#include "daemon/retention.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/fake_clock.h"

static int
none_left(void **state)
{
	(void)state;
	futures_turn();
	futures_none_left();
	return timer_next() == UINT64_MAX ? 0 : -1;
}

static void
pass(uint64_t us)
{
	fake_now_us += us;
	timer_run(fake_now_us, 1000);
}

/* A future that is kept so long, from now on; its id. */
static uint64_t
kept(uint64_t retain_us, bool failed)
{
	struct spec *spec = futures_spec();
	struct future *f;

	spec->retain_us = retain_us;
	f = futures_new(spec);
	spec_drop(spec);
	if (failed)
		future_fail_finally(f, futures_error(f, "it failed with some words"));
	else
		future_succeed(f, (struct bytes){ .len = 0 });
	assert_int_equal(f->place, PLACE_RETAINED);
	return f->id;
}

static bool
is_there(uint64_t id)
{
	return registry_find(id) != NULL;
}

static void
one_expires_when_its_time_is_over_and_not_before(void **state)
{
	uint64_t id = kept(1000, false);

	(void)state;
	assert_int_equal(timer_next(), fake_now_us + 1000);
	pass(999);
	assert_true(is_there(id));
	pass(1);
	assert_false(is_there(id));
}

static void
kept_for_no_time_it_goes_with_the_next_look(void **state)
{
	uint64_t id = kept(0, false);

	(void)state;
	assert_true(is_there(id));
	pass(0);
	assert_false(is_there(id));
}

static void
they_expire_in_the_order_of_their_times(void **state)
{
	static const uint64_t retain[] = { 500, 100, 300, 100, 500, 200 };
	uint64_t ids[6], due[6];

	(void)state;
	for (int i = 0; i < 6; i++) {
		ids[i] = kept(retain[i], false);
		due[i] = fake_now_us + retain[i];
		pass(10);
	}
	while (timer_next() != UINT64_MAX) {
		pass(timer_next() - fake_now_us);
		for (int i = 0; i < 6; i++)
			assert_int_equal(is_there(ids[i]), due[i] > fake_now_us);
	}
	for (int i = 0; i < 6; i++)
		assert_false(is_there(ids[i]));
}

static void
one_released_in_between_leaves_the_others_their_time(void **state)
{
	uint64_t first = kept(1000, false), second, third;

	(void)state;
	pass(10);
	second = kept(1000, false);
	pass(10);
	third = kept(1000, false);
	assert_true(future_release(registry_find(first)));
	pass(980);
	assert_true(is_there(second));
	pass(10);
	assert_false(is_there(second));
	assert_true(is_there(third));
	assert_true(future_release(registry_find(third)));
	assert_int_equal(timer_next(), UINT64_MAX);
}

static void
an_error_that_nobody_saw_expires_too(void **state)
{
	uint64_t id = kept(1000, true);

	(void)state;
	assert_int_equal(future_totals().unseen, 1);
	log_set_level(LOG_LEVEL_ERROR); /* it is told there: quiet for the test */
	pass(1000);
	log_set_level(LOG_LEVEL_INFO);
	assert_false(is_there(id));
	assert_int_equal(future_totals().unseen, 0);
}

static void
one_that_is_pinned_expires_but_stays(void **state)
{
	uint64_t id = kept(1000, false);
	struct future *f = registry_find(id);

	(void)state;
	future_pin(f);
	pass(1000);
	assert_false(is_there(id));
	assert_ptr_equal(registry_pinned(id), f);
	future_unpin(f);
	assert_null(registry_page(id));
}

static void
many_expire_however_many_at_once(void **state)
{
	enum { COUNT = 5000 };
	uint64_t first = registry_next();

	(void)state;
	for (int i = 0; i < COUNT; i++)
		kept(1000, false);
	fake_now_us += 1000;
	for (int turns = 0; registry_after(first) && turns < COUNT; turns++, fake_now_us++)
		futures_turn();
	assert_int_equal(registry_after(first), 0);
}

/* A million that finished in one second must not cost one turn: they go in slices, over turns. */
static void
no_turn_expires_all_of_very_many(void **state)
{
	enum { COUNT = 20000 };
	uint64_t first = registry_next(), left = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		kept(1000, false);
	fake_now_us += 1000;
	futures_turn();
	for (uint64_t id = first; id < first + COUNT; id++)
		left += is_there(id);
	for (int turns = 0; registry_after(first) && turns < COUNT; turns++, fake_now_us++)
		futures_turn();
	assert_true(left > 0);
}

/* ---- making room ---- */

static void
eviction_takes_so_many_and_the_oldest(void **state)
{
	uint64_t ids[5];

	(void)state;
	for (int i = 0; i < 5; i++, pass(1))
		ids[i] = kept(1000, false);
	assert_int_equal(retention_evict(0, NULL), 0);
	assert_int_equal(retention_evict(2, NULL), 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(is_there(ids[i]), i >= 2);
	assert_int_equal(retention_evict(100, NULL), 3);
	assert_int_equal(retention_evict(100, NULL), 0);
}

static void
eviction_passes_over_errors_that_nobody_saw(void **state)
{
	uint64_t unseen = kept(1000, true), seen = kept(1000, true), good = kept(1000, false), last = kept(1000, true);

	(void)state;
	future_see(registry_find(seen));
	assert_int_equal(retention_evict(100, NULL), 2);
	assert_true(is_there(unseen));
	assert_true(is_there(last));
	assert_false(is_there(seen));
	assert_false(is_there(good));
	assert_int_equal(future_totals().unseen, 2);
	future_see(registry_find(unseen));
	future_see(registry_find(last));
	assert_int_equal(retention_evict(100, NULL), 2);
}

static void
eviction_leaves_what_is_not_finished(void **state)
{
	struct future *pending = futures_alone(), *running = futures_alone();

	(void)state;
	future_set_state(running, FUTURE_RUNNING);
	assert_int_equal(retention_evict(100, NULL), 0);
	future_cancelled(pending);
	future_cancelled(running);
	assert_int_equal(retention_evict(100, NULL), 2);
}

static void
what_is_left_after_an_eviction_expires_in_time(void **state)
{
	uint64_t unseen = kept(1000, true), later;

	(void)state;
	pass(100);
	kept(1000, false);
	pass(100);
	later = kept(1000, false);
	assert_int_equal(retention_evict(1, NULL), 1);
	future_see(registry_find(unseen));
	pass(800);
	assert_false(is_there(unseen));
	assert_true(is_there(later));
	pass(200);
	assert_false(is_there(later));
}

/* "Oldest first" is of all, whatever each one's duration. */
static void
eviction_takes_the_oldest_of_all_durations(void **state)
{
	uint64_t oldest = kept(1000, false), old, young;

	(void)state;
	pass(10);
	old = kept(2000, false);
	pass(10);
	young = kept(3000, false);
	assert_int_equal(retention_evict(1, NULL), 1);
	bool right = !is_there(oldest) && is_there(old) && is_there(young);
	retention_evict(100, NULL);
	assert_true(right);
}

/* Each had a list of its own, and to evict one was to look at all of them: a submit that needed room took seconds. */
static void
very_many_durations_share_lists_and_none_is_cut_short(void **state)
{
	enum { MANY = 3000 };
	static uint64_t ids[MANY];

	(void)state;
	for (uint64_t i = 0; i < MANY; i++)
		ids[i] = kept(1000000 + i, false);
	assert_int_equal(timer_next(), fake_now_us + 1000000);
	pass(1000000 + MANY - 1);
	assert_false(is_there(ids[0]));
	assert_false(is_there(ids[99]));
	assert_true(is_there(ids[MANY - 1])); /* it waits with those that have a little more */
	assert_int_equal(retention_evict(1, NULL), 1);
	assert_false(is_there(ids[100]));
	assert_int_equal(timer_next(), fake_now_us + (1 << 20) - 1000000 - (MANY - 1));
	pass(timer_next() - fake_now_us);
	for (int turn = 0; turn < 3; turn++) /* no turn expires all of very many */
		pass(1);
	for (uint64_t i = 0; i < MANY; i++)
		assert_false(is_there(ids[i]));
}

static void
without_memory_for_a_new_duration_it_is_kept_all_the_same(void **state)
{
	uint64_t first = kept(1000, false), second;

	(void)state;
	struct future *f = futures_alone();
	memory_fail_after(0);
	future_succeed(f, (struct bytes){ .len = 0 });
	assert_true(memory_is_good_again());
	second = f->id;
	assert_true(is_there(second));
	pass(1000);
	assert_false(is_there(first));
	assert_false(is_there(second)); /* for another time than its own: better than lost */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_expires_when_its_time_is_over_and_not_before, none_left),
		cmocka_unit_test_teardown(kept_for_no_time_it_goes_with_the_next_look, none_left),
		cmocka_unit_test_teardown(they_expire_in_the_order_of_their_times, none_left),
		cmocka_unit_test_teardown(one_released_in_between_leaves_the_others_their_time, none_left),
		cmocka_unit_test_teardown(an_error_that_nobody_saw_expires_too, none_left),
		cmocka_unit_test_teardown(one_that_is_pinned_expires_but_stays, none_left),
		cmocka_unit_test_teardown(many_expire_however_many_at_once, none_left),
		cmocka_unit_test_teardown(no_turn_expires_all_of_very_many, none_left),
		cmocka_unit_test_teardown(eviction_takes_so_many_and_the_oldest, none_left),
		cmocka_unit_test_teardown(eviction_passes_over_errors_that_nobody_saw, none_left),
		cmocka_unit_test_teardown(eviction_leaves_what_is_not_finished, none_left),
		cmocka_unit_test_teardown(what_is_left_after_an_eviction_expires_in_time, none_left),
		cmocka_unit_test_teardown(eviction_takes_the_oldest_of_all_durations, none_left),
		cmocka_unit_test_teardown(very_many_durations_share_lists_and_none_is_cut_short, none_left),
		cmocka_unit_test_teardown(without_memory_for_a_new_duration_it_is_kept_all_the_same, none_left),
	};

	return turn_base() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

/* Where a pending future is, and how it comes back there: retries, pauses, places in the queue. */
#include "tests/unit/futures.h"

#include "daemon/gate.h"
#include "tests/unit/fake_clock.h"

static int
none_left(void **state)
{
	(void)state;
	futures_turn();
	futures_none_left();
	return timer_next() == UINT64_MAX ? 0 : -1; /* nor is any kept */
}

static void
let_go_of(struct future *f)
{
	bool is_final = future_is_final(f);

	assert_true(future_release(f));
	if (!is_final)
		future_cancelled(f);
}

/* ---- retries ---- */

static struct future *
with_retries(uint32_t retries, uint64_t delay_us)
{
	struct spec *spec = futures_spec();
	struct future *f;

	spec->retries = retries;
	spec->retry_delay_us = delay_us;
	f = futures_new(spec);
	spec_drop(spec);
	return f;
}

/* As a slot does it. */
static void
run_and_fail(struct future *f)
{
	if (f->place == PLACE_QUEUE)
		queue_remove(futures_pool()->queue, f);
	f->attempt++;
	future_set_state(f, FUTURE_RUNNING);
	future_fail(f, futures_error(f, "it was not to be"));
}

static void
a_failure_is_final_without_retries(void **state)
{
	struct future *f = with_retries(0, 0);

	(void)state;
	run_and_fail(f);
	assert_int_equal(f->state, FUTURE_FINISHED);
	assert_true(f->failed);
	let_go_of(f);
}

static void
a_failed_attempt_goes_back_to_pending_as_often_as_it_may(void **state)
{
	uint64_t retried = future_totals().retried;
	struct future *f = with_retries(3, 0);

	(void)state;
	for (uint64_t attempt = 1; attempt <= 3; attempt++) {
		run_and_fail(f);
		assert_int_equal(f->state, FUTURE_PENDING);
		assert_int_equal(f->place, PLACE_QUEUE);
		assert_int_equal(f->started_us, 0);
		assert_false(f->failed);
		assert_int_equal(bytes_len(&f->value), 0);
		assert_int_equal(future_totals().states[FUTURE_RUNNING], 0);
		assert_int_equal(future_totals().retried, retried + attempt);
		assert_int_equal(block_total(), 0); /* the attempt's error is nobody's */
	}
	run_and_fail(f);
	assert_int_equal(f->state, FUTURE_FINISHED);
	assert_true(f->failed);
	let_go_of(f);
}

static void
the_pause_doubles(void **state)
{
	struct future *f = with_retries(3, 1000);
	uint64_t pause = 1000;

	(void)state;
	for (int i = 0; i < 3; i++, pause *= 2) {
		run_and_fail(f);
		assert_int_equal(f->place, PLACE_DELAY);
		assert_int_equal(f->more->not_before_us, fake_now_us + pause);
		assert_int_equal(timer_next(), fake_now_us + pause);
		timer_run(fake_now_us += pause - 1, 10);
		assert_int_equal(f->place, PLACE_DELAY);
		timer_run(++fake_now_us, 10);
		assert_int_equal(f->place, PLACE_QUEUE);
	}
	let_go_of(f);
	assert_int_equal(queue_length(futures_pool()->queue), 0);
}

static void
what_is_final_is_not_tried_again(void **state)
{
	struct future *f[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		f[i] = with_retries(5, 0);
		f[i]->attempt = 1;
		future_set_state(f[i], FUTURE_RUNNING);
	}
	f[0]->past_deadline = true;
	future_fail(f[0], futures_error(f[0], "too late"));
	future_fail_finally(f[1], futures_error(f[1], "for good"));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(f[i]->state, FUTURE_FINISHED);
		let_go_of(f[i]);
	}
}

static void
released_while_it_is_retried_it_still_runs_to_its_end(void **state)
{
	struct future *f = with_retries(1, 0);
	uint64_t id = f->id;

	(void)state;
	assert_true(future_release(f));
	run_and_fail(f);
	assert_int_equal(f->state, FUTURE_PENDING);
	assert_ptr_equal(registry_find(id), f);
	run_and_fail(f);
	assert_null(registry_find(id));
}

/* ---- places ---- */

static void
cancelling_takes_it_out_of_its_place(void **state)
{
	struct future *queued = futures_alone(), *delayed = futures_alone();

	(void)state;
	future_make_ready(queued);
	assert_int_equal(queued->place, PLACE_QUEUE);
	future_more(delayed)->not_before_us = fake_now_us + 1000;
	future_make_ready(delayed);
	assert_int_equal(delayed->place, PLACE_DELAY);
	future_cancelled(queued);
	future_cancelled(delayed);
	assert_int_equal(queue_length(futures_pool()->queue), 0);
	timer_run(fake_now_us += 1000, 10); /* nothing of it fires */
	assert_int_equal(delayed->state, FUTURE_CANCELLED);
	let_go_of(queued);
	let_go_of(delayed);
}

static void
a_deadline_that_passes_in_the_queue_ends_it(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	future_more(f)->deadline_us = fake_now_us + 1000;
	future_make_ready(f);
	timer_run(fake_now_us += 999, 10);
	assert_int_equal(f->state, FUTURE_PENDING);
	timer_run(++fake_now_us, 10);
	assert_int_equal(f->state, FUTURE_FINISHED);
	assert_true(f->failed);
	assert_int_equal(queue_length(futures_pool()->queue), 0);
	let_go_of(f);
}

/* What comes back from a pause is behind what is there, also when nobody submits in between: places would be the same otherwise, and a
 * position no upper bound. */
static void
those_that_come_back_together_have_places_of_their_own(void **state)
{
	struct spec *spec = futures_spec();
	struct future *f[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		f[i] = futures_new(spec);
	for (int i = 0; i < 4; i++) {
		f[i]->attempt = 1;
		future_make_ready(f[i]);
	}
	bool bound = true, old_place = true;
	for (uint64_t i = 0; i < 4; i++)
		bound &= queue_position(futures_pool()->queue, f[i]) >= i;
	assert_ptr_equal(queue_pop(futures_pool()->queue), f[0]);
	assert_true(queue_push_back(futures_pool()->queue, f[0])); /* it was sent ahead and taken back */
	old_place = queue_peek(futures_pool()->queue) == f[0];
	for (int i = 0; i < 4; i++)
		let_go_of(f[i]);
	spec_drop(spec);
	assert_true(old_place);
	assert_true(bound);
}

/* One that waited behind a gate is older than those before it in the queue. */
static void
one_that_passes_a_gate_late_does_not_spoil_the_others_positions(void **state)
{
	struct spec *spec = futures_spec();
	struct future *needed = futures_alone(), *late = futures_new(spec), *f[2];
	struct gate *g = gate_new(&needed->id, 1, false);

	(void)state;
	gate_hold(g, late);
	gate_filled(g);
	f[0] = futures_new(spec);
	future_make_ready(f[0]);
	future_succeed(needed, (struct bytes){ .len = 0 });
	futures_turn();
	assert_int_equal(late->place, PLACE_QUEUE);
	f[1] = futures_new(spec);
	future_make_ready(f[1]);
	uint64_t position = queue_position(futures_pool()->queue, f[1]), before = 0;
	while (queue_peek(futures_pool()->queue) != f[1]) {
		queue_pop(futures_pool()->queue);
		before++;
	}
	let_go_of(needed);
	let_go_of(late);
	let_go_of(f[0]);
	let_go_of(f[1]);
	spec_drop(spec);
	assert_int_equal(before, 2);
	assert_true(position >= before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_failure_is_final_without_retries, none_left),
		cmocka_unit_test_teardown(a_failed_attempt_goes_back_to_pending_as_often_as_it_may, none_left),
		cmocka_unit_test_teardown(the_pause_doubles, none_left),
		cmocka_unit_test_teardown(what_is_final_is_not_tried_again, none_left),
		cmocka_unit_test_teardown(released_while_it_is_retried_it_still_runs_to_its_end, none_left),
		cmocka_unit_test_teardown(cancelling_takes_it_out_of_its_place, none_left),
		cmocka_unit_test_teardown(a_deadline_that_passes_in_the_queue_ends_it, none_left),
		cmocka_unit_test_teardown(those_that_come_back_together_have_places_of_their_own, none_left),
		cmocka_unit_test_teardown(one_that_passes_a_gate_late_does_not_spoil_the_others_positions, none_left),
	};

	return turn_base() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

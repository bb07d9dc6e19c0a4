/* The rules of concurrent.futures by number, as docs/concurrent-futures.md has them: futures, results, callbacks, wait and
 * as_completed, against a daemon. */
#include "client_daemon.h"

static void
r01_a_future_is_pending_then_running_then_finished(void **state)
{
	struct futured *c = connected();
	struct futured_future *first = held(c, "one", "r01"), *second = futured_future_submit(c, "one", "noop", "");

	(void)state;
	await_state(first, FUTURED_RUNNING);
	assert_true(futured_future_running(first) && !futured_future_done(first) && !futured_future_cancelled(first));
	await_state(second, FUTURED_PENDING);
	assert_false(futured_future_running(second) || futured_future_done(second));
	touch("r01");
	assert_int_equal(futured_future_result(second, 20, NULL), FUTURED_OK);
	assert_true(futured_future_done(first) && futured_future_done(second) && !futured_future_running(second));
	await_state(second, FUTURED_FINISHED);
	futured_future_free(first);
	futured_future_free(second);
	futured_free(c);
}

static void
count(struct futured_future *f, void *data)
{
	assert_true(futured_future_done(f));
	++*(int *)data;
}

static void
r02_cancel_is_for_pending_ones_and_may_be_repeated(void **state)
{
	struct futured *c = connected();
	struct futured_future *first = held(c, "one", "r02"), *second = futured_future_submit(c, "one", "noop", "");
	bool yes = true;
	int called = 0;

	(void)state;
	await_state(first, FUTURED_RUNNING);
	futured_future_add_done_callback(second, count, &called);
	assert_int_equal(futured_future_cancel(first, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_false(yes);
	assert_true(futured_future_running(first));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(futured_future_cancel(second, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
		assert_true(yes);
	}
	assert_int_equal(called, 1);
	assert_true(futured_future_cancelled(second) && futured_future_done(second) && !futured_future_running(second));
	touch("r02");
	assert_int_equal(futured_future_result(first, 20, NULL), FUTURED_OK);
	assert_int_equal(futured_future_cancel(first, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_false(yes);
	futured_future_free(first);
	futured_future_free(second);
	futured_free(c);
}

static void
r03_a_cancelled_task_never_runs(void **state)
{
	struct futured *c = connected();
	struct futured_future *first = held(c, "one", "r03"), *second = futured_future_submit(c, "one", "mark", "s", in_directory("r03-ran"));
	struct futured_future *third = futured_future_submit(c, "one", "noop", "");
	bool yes = false;

	(void)state;
	assert_int_equal(futured_future_cancel(second, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_true(yes);
	touch("r03");
	assert_int_equal(futured_future_result(third, 20, NULL), FUTURED_OK);
	assert_int_equal(access(in_directory("r03-ran"), F_OK), -1);
	futured_future_free(first);
	futured_future_free(second);
	futured_future_free(third);
	futured_free(c);
}

static void
r04_an_outcome_never_changes(void **state)
{
	struct futured *c = connected();
	struct futured_future *first = held(c, "one", "r04"), *second = futured_future_submit(c, "one", "noop", "");
	const struct futured_reply *before;
	bool yes;

	(void)state;
	assert_int_equal(futured_future_cancel(second, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	before = futured_future_outcome(second);
	touch("r04");
	assert_int_equal(futured_future_result(first, 20, NULL), FUTURED_OK); /* by now `done` of the second has come too */
	assert_ptr_equal(futured_future_outcome(second), before);
	assert_int_equal(futured_reply_status(before), FUTURED_CANCELLED);
	futured_future_free(first);
	futured_future_free(second);
	futured_free(c);
}

static void
see_all(struct futured_future *f, void *data)
{
	enum futured_state s = FUTURED_PENDING;
	const struct futured_reply *reply;

	assert_int_equal(futured_future_state(f, &s), FUTURED_OK);
	assert_int_equal(s, FUTURED_FINISHED);
	assert_int_equal(futured_future_result(f, 0, &reply), FUTURED_OK);
	assert_true(futured_value_int(futured_reply_value(reply), data));
}

static void
r06_state_and_result_are_there_before_anybody_is_told(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = futured_future_submit(c, "one", "add", "ii", 2, 3);
	int64_t seen = 0;

	(void)state;
	futured_future_add_done_callback(f, see_all, &seen);
	assert_int_equal(futured_future_wait(&f, 1, FUTURED_ALL_COMPLETED, 20, NULL), FUTURED_OK);
	assert_int_equal(seen, 5);
	futured_future_free(f);
	futured_free(c);
}

static void
r07_result_is_the_value_or_the_error_and_of_a_cancelled_one_cancelled(void **state)
{
	struct futured *c = connected();
	struct futured_future *good = futured_future_submit(c, "four", "add", "ii", 2, 3);
	struct futured_future *bad = futured_future_submit(c, "four", "add", "is", 2, "x");
	struct futured_future *first = held(c, "one", "r07"), *none = futured_future_submit(c, "one", "noop", "");
	const struct futured_reply *reply, *again;
	struct futured_error e;
	bool yes;

	(void)state;
	assert_int_equal(result_of(good), 5);
	assert_int_equal(futured_future_result(bad, 20, &reply), FUTURED_TASK);
	assert_true(futured_reply_error(reply, &e) && e.type_len == 9 && memcmp(e.type, "TypeError", 9) == 0);
	assert_int_equal(futured_future_result(bad, 20, &again), FUTURED_TASK);
	assert_ptr_equal(reply, again);
	assert_int_equal(futured_future_cancel(none, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_int_equal(futured_future_result(none, -1, NULL), FUTURED_CANCELLED);
	assert_int_equal(futured_future_exception(none, -1, NULL), FUTURED_CANCELLED);
	touch("r07");
	futured_future_result(first, 20, NULL);
	futured_future_free(good);
	futured_future_free(bad);
	futured_future_free(none);
	futured_future_free(first);
	futured_free(c);
}

static void
r08_a_timeout_of_nothing_does_not_wait_and_a_done_one_ignores_it(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = held(c, "one", "r08");
	const struct futured_reply *reply = (const void *)1;

	(void)state;
	assert_int_equal(futured_future_result(f, 0, &reply), FUTURED_TIMEOUT);
	assert_null(reply);
	assert_int_equal(futured_future_exception(f, 0.02, NULL), FUTURED_TIMEOUT);
	touch("r08");
	assert_int_equal(futured_future_result(f, -5, &reply), FUTURED_OK); /* in C: for ever */
	assert_int_equal(futured_future_result(f, 0, &reply), FUTURED_OK);
	futured_future_free(f);
	futured_free(c);
}

static void
r09_a_timeout_leaves_the_task_alone(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = held(c, "one", "r09");

	(void)state;
	await_state(f, FUTURED_RUNNING);
	assert_int_equal(futured_future_result(f, 0.02, NULL), FUTURED_TIMEOUT);
	assert_true(futured_future_running(f));
	touch("r09");
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	futured_future_free(f);
	futured_free(c);
}

static void
r10_exception_returns_the_error_or_nothing(void **state)
{
	struct futured *c = connected();
	struct futured_future *good = futured_future_submit(c, "four", "noop", ""), *bad = futured_future_submit(c, "four", "add", "s", "x");
	const struct futured_reply *reply = (const void *)1;

	(void)state;
	assert_int_equal(futured_future_exception(good, 20, &reply), FUTURED_OK);
	assert_null(reply);
	assert_int_equal(futured_future_exception(bad, 20, &reply), FUTURED_OK);
	assert_int_equal(futured_reply_status(reply), FUTURED_TASK);
	futured_future_free(good);
	futured_future_free(bad);
	futured_free(c);
}

static void
r11_whoever_waits_wakes_when_another_cancels(void **state)
{
	struct futured *c = connected(), *other = connected();
	struct futured_future *first = held(c, "one", "r11"), *f = futured_future_submit(c, "one", "noop", "");
	bool yes = false;
	uint64_t id;

	(void)state;
	await_state(first, FUTURED_RUNNING);
	assert_int_equal(futured_future_id(f, &id), FUTURED_OK);
	assert_int_equal(futured_future_result(f, 0, NULL), FUTURED_TIMEOUT);
	assert_int_equal(futured_cancel(other, &id, 1, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_true(yes);
	assert_int_equal(futured_future_result(f, -1, NULL), FUTURED_CANCELLED); /* though the worker is still busy */
	assert_true(futured_future_running(first));
	touch("r11");
	futured_future_result(first, 20, NULL);
	futured_future_free(first);
	futured_future_free(f);
	futured_free(other);
	futured_free(c);
}

static void
r12_what_a_task_raises_is_captured_and_the_worker_survives(void **state)
{
	struct futured *c = connected();
	struct futured_future *bad = futured_future_submit(c, "one", "add", "s", "x"), *next = futured_future_submit(c, "one", "add", "ii", 1, 2);
	struct futured_future *gone = futured_future_submit(c, "one", "leave", "i", 3), *after = futured_future_submit(c, "one", "noop", "");

	(void)state;
	assert_int_equal(futured_future_result(bad, 20, NULL), FUTURED_TASK);
	assert_int_equal(result_of(next), 3);
	assert_int_equal(futured_future_result(gone, 20, NULL), FUTURED_WORKER_LOST); /* one that ends its process costs itself */
	assert_int_equal(futured_future_result(after, 20, NULL), FUTURED_OK);
	futured_future_free(bad);
	futured_future_free(next);
	futured_future_free(gone);
	futured_future_free(after);
	futured_free(c);
}

/* ---- callbacks ---- */

static char order[64];

static void
note(struct futured_future *f, void *data)
{
	(void)f;
	strcat(order, data);
}

static void
add_nested(struct futured_future *f, void *data)
{
	strcat(order, data);
	assert_int_equal(futured_future_add_done_callback(f, note, "n"), FUTURED_OK);
	assert_int_equal(futured_future_result(f, -1, NULL), FUTURED_OK);
	assert_int_equal(futured_callf(futured_future_connection(f), NULL, "ping", ""), FUTURED_INVALID_STATE);
}

static void
r13_callbacks_are_called_once_each_in_the_order_of_adding(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = held(c, "one", "r13");

	(void)state;
	order[0] = '\0';
	for (int i = 0; i < 4; i++) /* the same one twice is called twice */
		assert_int_equal(futured_future_add_done_callback(f, note, i == 0 ? "a" : i == 3 ? "c" : "b"), FUTURED_OK);
	touch("r13");
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	assert_string_equal(order, "abbc");
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	assert_string_equal(order, "abbc");
	futured_future_free(f);
	futured_free(c);
}

static void
r14_one_added_to_a_done_future_is_called_at_once_also_from_a_callback(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = held(c, "one", "r14");

	(void)state;
	order[0] = '\0';
	futured_future_add_done_callback(f, add_nested, "a");
	futured_future_add_done_callback(f, note, "b");
	touch("r14");
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	assert_string_equal(order, "anb");
	futured_future_add_done_callback(f, note, "c");
	assert_string_equal(order, "anbc");
	futured_future_free(f);
	futured_free(c);
}

static void
drop_it(struct futured_future *f, void *data)
{
	strcat(order, data);
	futured_future_free(f); /* takes its siblings with it */
}

static void
r16_a_callback_cannot_fail_and_may_free_its_future(void **state)
{
	struct futured *c = connected();
	struct futured_future *a = held(c, "one", "r16"), *b = held(c, "one", "r16");

	(void)state;
	order[0] = '\0';
	futured_future_add_done_callback(a, drop_it, "a");
	futured_future_add_done_callback(b, note, "b");
	touch("r16");
	assert_int_equal(futured_future_result(b, 20, NULL), FUTURED_OK);
	assert_string_equal(order, "ab");
	futured_future_free(b);
	futured_free(c);
}

static void
see_cancelled(struct futured_future *f, void *data)
{
	*(bool *)data = futured_future_cancelled(f);
}

static void
r15_r17_on_cancel_callbacks_run_inside_it_and_see_cancelled(void **state)
{
	struct futured *c = connected();
	struct futured_future *first = held(c, "one", "r17"), *f = futured_future_submit(c, "one", "noop", "");
	bool yes, seen = false;

	(void)state;
	futured_future_add_done_callback(f, see_cancelled, &seen);
	assert_int_equal(futured_future_cancel(f, FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_true(yes && seen);
	touch("r17");
	futured_future_result(first, 20, NULL);
	futured_future_free(first);
	futured_future_free(f);
	futured_free(c);
}

static void
r18_callbacks_have_run_when_result_returns(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = futured_future_submit(c, "one", "noop", "");
	int called = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		futured_future_add_done_callback(f, count, &called);
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	assert_int_equal(called, 100);
	futured_future_free(f);
	futured_free(c);
}

/* ---- wait ---- */

static void
r19_wait_counts_duplicates_and_nothing_and_is_no_error_on_timeout(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = held(c, "one", "r19"), *same[] = { f, f };
	bool done[2] = { true, true };

	(void)state;
	assert_int_equal(futured_future_wait(NULL, 0, FUTURED_ALL_COMPLETED, -1, NULL), FUTURED_OK);
	assert_int_equal(futured_future_wait(same, 2, FUTURED_ALL_COMPLETED, 0.02, done), FUTURED_OK);
	assert_false(done[0] || done[1]);
	touch("r19");
	assert_int_equal(futured_future_wait(same, 2, FUTURED_ALL_COMPLETED, 20, done), FUTURED_OK);
	assert_true(done[0] && done[1]);
	futured_future_free(f);
	futured_free(c);
}

static void
r20_a_cancelled_one_is_done_for_wait_at_once(void **state)
{
	struct futured *c = connected();
	struct futured_future *first = held(c, "one", "r20"), *f = futured_future_submit(c, "one", "noop", "");
	bool done = false;

	(void)state;
	await_state(first, FUTURED_RUNNING);
	futured_future_cancel(f, FUTURED_CANCEL_PENDING, -1, NULL); /* only queued */
	assert_int_equal(futured_future_wait(&f, 1, FUTURED_ALL_COMPLETED, -1, &done), FUTURED_OK);
	assert_true(done && futured_future_cancelled(f) && futured_future_running(first));
	touch("r20");
	futured_future_result(first, 20, NULL);
	futured_future_free(first);
	futured_future_free(f);
	futured_free(c);
}

static void
r21_r23_the_three_ways_to_wait(void **state)
{
	struct futured *c = connected();
	struct futured_future *fs[4] = { held(c, "four", "r21"), held(c, "four", "r21"), futured_future_submit(c, "four", "noop", ""), NULL };
	bool done[4], yes;

	(void)state;
	fs[3] = held(c, "tiny", "r21"); /* busy, so that the next one stays pending */
	futured_future_free(fs[3]);
	fs[3] = futured_future_submit(c, "tiny", "get_warmth", "");
	assert_int_equal(futured_future_wait(fs, 4, FUTURED_FIRST_COMPLETED, 20, done), FUTURED_OK);
	assert_true(done[2] && !done[0] && !done[1] && !done[3]);
	assert_int_equal(futured_future_cancel(fs[3], FUTURED_CANCEL_PENDING, -1, &yes), FUTURED_OK);
	assert_true(yes);
	assert_int_equal(futured_future_wait(fs, 4, FUTURED_FIRST_EXCEPTION, 0.05, done), FUTURED_OK); /* cancelled is no exception */
	assert_true(done[2] && done[3] && !done[0]);
	futured_future_free(fs[3]);
	fs[3] = futured_future_submit(c, "four", "add", "s", "x");
	assert_int_equal(futured_future_wait(fs, 4, FUTURED_FIRST_EXCEPTION, 20, done), FUTURED_OK);
	assert_true(done[3] && done[2] && !done[0]); /* with the extra one that was done as well */
	touch("r21");
	assert_int_equal(futured_future_wait(fs, 3, FUTURED_FIRST_EXCEPTION, 20, done), FUTURED_OK); /* none: as ALL_COMPLETED */
	assert_true(done[0] && done[1] && done[2]);
	for (int i = 0; i < 4; i++)
		futured_future_free(fs[i]);
	futured_free(c);
}

static void
r22_a_wrong_condition_is_always_a_value_error(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = futured_future_submit(c, "one", "noop", "");

	(void)state;
	assert_int_equal(futured_future_wait(&f, 1, (enum futured_when)7, -1, NULL), FUTURED_VALUE);
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	assert_int_equal(futured_future_wait(&f, 1, (enum futured_when)7, -1, NULL), FUTURED_VALUE);
	futured_future_free(f);
	futured_free(c);
}

/* ---- as_completed ---- */

static void
r24_as_completed_gives_done_ones_first_then_in_order_of_completion(void **state)
{
	struct futured *c = connected();
	struct futured_future *fs[5] = { held(c, "four", "r24a"), held(c, "four", "r24b") }, *f;
	struct futured_as_completed *i;

	(void)state;
	fs[2] = futured_future_submit(c, "four", "noop", "");
	fs[3] = fs[0]; /* duplicates count once */
	fs[4] = fs[2];
	assert_int_equal(futured_future_result(fs[2], 20, NULL), FUTURED_OK);
	i = futured_as_completed_new(fs, 5, -1);
	assert_int_equal(futured_as_completed_left(i), 3);
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_OK);
	assert_ptr_equal(f, fs[2]);
	touch("r24b");
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_OK);
	assert_ptr_equal(f, fs[1]);
	touch("r24a");
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_OK);
	assert_ptr_equal(f, fs[0]);
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_END);
	futured_as_completed_free(i);
	for (int k = 0; k < 3; k++)
		futured_future_free(fs[k]);
	futured_free(c);
}

static void
r25_as_completed_has_one_timeout_for_all_from_the_call(void **state)
{
	struct futured *c = connected();
	struct futured_future *fs[2] = { held(c, "four", "r25"), futured_future_submit(c, "four", "noop", "") }, *f;
	struct futured_as_completed *i;

	(void)state;
	assert_int_equal(futured_future_result(fs[1], 20, NULL), FUTURED_OK);
	i = futured_as_completed_new(fs, 2, 0.05);
	poll(NULL, 0, 60); /* over before the first next, and what is done is given all the same */
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_OK);
	assert_ptr_equal(f, fs[1]);
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_TIMEOUT);
	assert_int_equal(futured_as_completed_left(i), 1);
	futured_as_completed_free(i);
	assert_false(futured_future_done(fs[0]));
	touch("r25");
	assert_int_equal(futured_future_result(fs[0], 20, NULL), FUTURED_OK);
	futured_future_free(fs[0]);
	futured_future_free(fs[1]);
	futured_free(c);
}

static void
r26_as_completed_gives_cancelled_ones_and_closing_it_cancels_nothing(void **state)
{
	struct futured *c = connected();
	struct futured_future *fs[2] = { held(c, "one", "r26"), futured_future_submit(c, "one", "noop", "") }, *f;
	struct futured_as_completed *i = futured_as_completed_new(fs, 2, -1);

	(void)state;
	futured_future_cancel(fs[1], FUTURED_CANCEL_PENDING, -1, NULL);
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_OK);
	assert_ptr_equal(f, fs[1]);
	assert_true(futured_future_cancelled(f));
	futured_as_completed_free(i);
	touch("r26");
	assert_int_equal(futured_future_result(fs[0], 20, NULL), FUTURED_OK);
	futured_future_free(fs[0]);
	futured_future_free(fs[1]);
	futured_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(r01_a_future_is_pending_then_running_then_finished),
		cmocka_unit_test(r02_cancel_is_for_pending_ones_and_may_be_repeated),
		cmocka_unit_test(r03_a_cancelled_task_never_runs),
		cmocka_unit_test(r04_an_outcome_never_changes),
		cmocka_unit_test(r06_state_and_result_are_there_before_anybody_is_told),
		cmocka_unit_test(r07_result_is_the_value_or_the_error_and_of_a_cancelled_one_cancelled),
		cmocka_unit_test(r08_a_timeout_of_nothing_does_not_wait_and_a_done_one_ignores_it),
		cmocka_unit_test(r09_a_timeout_leaves_the_task_alone),
		cmocka_unit_test(r10_exception_returns_the_error_or_nothing),
		cmocka_unit_test(r11_whoever_waits_wakes_when_another_cancels),
		cmocka_unit_test(r12_what_a_task_raises_is_captured_and_the_worker_survives),
		cmocka_unit_test(r13_callbacks_are_called_once_each_in_the_order_of_adding),
		cmocka_unit_test(r14_one_added_to_a_done_future_is_called_at_once_also_from_a_callback),
		cmocka_unit_test(r16_a_callback_cannot_fail_and_may_free_its_future),
		cmocka_unit_test(r15_r17_on_cancel_callbacks_run_inside_it_and_see_cancelled),
		cmocka_unit_test(r18_callbacks_have_run_when_result_returns),
		cmocka_unit_test(r19_wait_counts_duplicates_and_nothing_and_is_no_error_on_timeout),
		cmocka_unit_test(r20_a_cancelled_one_is_done_for_wait_at_once),
		cmocka_unit_test(r21_r23_the_three_ways_to_wait),
		cmocka_unit_test(r22_a_wrong_condition_is_always_a_value_error),
		cmocka_unit_test(r24_as_completed_gives_done_ones_first_then_in_order_of_completion),
		cmocka_unit_test(r25_as_completed_has_one_timeout_for_all_from_the_call),
		cmocka_unit_test(r26_as_completed_gives_cancelled_ones_and_closing_it_cancels_nothing),
	};

	return cmocka_run_group_tests(tests, daemon_group_setup, daemon_group_teardown);
}

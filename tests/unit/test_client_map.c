/* The rules of concurrent.futures by number, as docs/concurrent-futures.md has them: map, submit and shutdown, against a daemon. */
#include "client_daemon.h"

/* ---- map ---- */

/* Items i with 0 <= i < limit: `fn` gets what `pack` makes of it. */
struct items {
	int next, limit;
	int fail_at; /* -1: never */
	void (*pack)(struct futured_pack *args, int i);
};

static int
next_item(struct futured_pack *args, void *data)
{
	struct items *items = data;

	if (items->next == items->fail_at)
		return -1;
	if (items->next == items->limit)
		return 0;
	futured_pack_array(args, 1);
	items->pack(args, items->next++);
	return 1;
}

static void
pack_number(struct futured_pack *args, int i)
{
	futured_pack_int(args, i);
}

/* The first sleeps longest. */
static void
pack_pause(struct futured_pack *args, int i)
{
	futured_pack_double(args, (4 - i) * 0.03);
}

static void
pack_name(struct futured_pack *args, int i)
{
	char name[16];

	snprintf(name, sizeof name, "i%d", i);
	futured_pack_str(args, in_directory(name));
}

static int64_t
next_int(struct futured_mapping *m)
{
	const struct futured_reply *reply;
	int64_t v = -1;

	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_OK);
	assert_true(futured_value_int(futured_reply_value(reply), &v));
	return v;
}

static uint64_t
submitted(struct futured *c)
{
	struct futured_value pools, pool, v;
	struct futured_reply *reply;
	uint64_t sum = 0, n;
	size_t count;

	assert_int_equal(futured_callf(c, &reply, "pools", ""), FUTURED_OK);
	assert_true(futured_value_array(futured_reply_value(reply), &count, &pools));
	while (futured_value_next(&pools, &pool))
		if (futured_value_find(pool, "totals", &v) && futured_find_uint(v, "submitted", &n))
			sum += n;
	futured_reply_free(reply);
	return sum;
}

static void
r27_map_takes_all_items_and_submits_them_in_the_call(void **state)
{
	struct items items = { 0, 10, -1, pack_number }, none = { 0, 0, -1, pack_number };
	struct futured *c = connected();
	const struct futured_reply *reply;
	uint64_t before = submitted(c);
	struct futured_mapping *m = futured_mapping_new(c, "four", "echo", next_item, &items, NULL, 0, -1);

	(void)state;
	assert_int_equal(items.next, 10);
	assert_int_equal(submitted(c) - before, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(next_int(m), i);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_END);
	assert_null(reply);
	futured_mapping_free(m);
	m = futured_mapping_new(c, "four", "echo", next_item, &none, NULL, 0, -1);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_END);
	futured_mapping_free(m);
	futured_free(c);
}

static void
r28_with_a_buffer_only_so_many_are_taken_ahead(void **state)
{
	struct items items = { 0, 6, -1, pack_number };
	struct futured *c = connected();
	struct futured_mapping *m = futured_mapping_new(c, "four", "echo", next_item, &items, NULL, 2, -1);

	(void)state;
	assert_int_equal(items.next, 2);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(next_int(m), i);
		assert_int_equal(items.next, i + 3 < 6 ? i + 3 : 6); /* one more before each wait */
	}
	futured_mapping_free(m);
	futured_free(c);
}

static void
r29_results_come_in_the_order_of_the_items(void **state)
{
	struct items items = { 0, 4, -1, pack_pause };
	struct futured *c = connected();
	struct futured_mapping *m = futured_mapping_new(c, "four", "wait", next_item, &items, NULL, 0, -1);
	const struct futured_reply *reply;
	double passed, last = 1;

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(futured_mapping_next(m, &reply), FUTURED_OK);
		assert_true(futured_value_number(futured_reply_value(reply), &passed));
		assert_true(passed < last || i == 0 || passed >= (4 - i) * 0.03);
		last = passed;
	}
	futured_mapping_free(m);
	futured_free(c);
}

/* Item 1 is no number. */
static void
pack_wrong(struct futured_pack *args, int i)
{
	if (i == 1)
		futured_pack_str(args, "x");
	else
		futured_pack_double(args, 0);
}

static void
r30_after_an_error_the_iterator_goes_on(void **state)
{
	struct items items = { 0, 3, -1, pack_wrong };
	struct futured *c = connected();
	struct futured_mapping *m = futured_mapping_new(c, "four", "wait", next_item, &items, NULL, 0, -1);
	const struct futured_reply *reply;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(futured_mapping_next(m, &reply), FUTURED_OK);
		assert_int_equal(futured_reply_status(reply), i == 1 ? FUTURED_TASK : FUTURED_OK);
	}
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_END);
	futured_mapping_free(m);
	futured_free(c);
}

static void
await_count(struct futured *c, const char *wanted, uint64_t n)
{
	uint64_t have = n + 1;

	for (int i = 0; i < 2000 && have != n; i++) {
		struct futured_value states;
		struct futured_reply *reply;

		have = 0;
		assert_int_equal(futured_callf(c, &reply, "stats", ""), FUTURED_OK);
		assert_true(futured_value_find(futured_reply_value(reply), "futures", &states));
		futured_find_uint(states, wanted, &have);
		futured_reply_free(reply);
		if (have != n)
			poll(NULL, 0, 5);
	}
	assert_int_equal(have, n);
}

static void
r32_the_timeout_counts_from_the_call_and_closes_and_cancels(void **state)
{
	struct items items = { 0, 4, -1, pack_name };
	struct futured *c = connected();
	struct futured_mapping *m = futured_mapping_new(c, "one", "until_file", next_item, &items, NULL, 0, 0.06);
	const struct futured_reply *reply;

	(void)state;
	touch("i0");
	poll(NULL, 0, 70); /* the time passes outside next, and an outcome that is there is still given */
	while (futured_pending_futures(c) > 3)
		assert_int_equal(futured_step(c, 10), FUTURED_OK);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_OK);
	await_count(c, "RUNNING", 1);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_TIMEOUT);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_END);
	await_count(c, "PENDING", 0); /* two were cancelled, one runs */
	touch("i1");
	await_count(c, "RUNNING", 0);
	assert_int_equal(access(in_directory("i2"), F_OK), -1);
	futured_mapping_free(m);
	futured_free(c);
	unlink(in_directory("i0"));
	unlink(in_directory("i1"));
}

static void
r33_closing_cancels_what_has_not_begun_started_or_not(void **state)
{
	struct items items = { 0, 4, -1, pack_name };
	struct futured *c = connected();
	char name[16];

	(void)state;
	futured_mapping_free(futured_mapping_new(c, "one", "until_file", next_item, &items, NULL, 0, -1)); /* never started */
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	await_count(c, "PENDING", 0);
	for (int i = 0; i < 4; i++) { /* one of them may have begun, whichever the worker came to before its turn to be cancelled */
		snprintf(name, sizeof name, "i%d", i);
		touch(name);
	}
	await_count(c, "RUNNING", 0);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "i%d", i);
		unlink(in_directory(name));
	}
	futured_free(c);
}

static void
r34_an_item_that_fails_ends_the_call_or_the_iterator(void **state)
{
	struct items eager = { 0, 4, 2, pack_number }, lazy = { 0, 4, 2, pack_number };
	struct futured *c = connected();
	uint64_t before = submitted(c);
	const struct futured_reply *reply;
	struct futured_mapping *m;

	(void)state;
	assert_null(futured_mapping_new(c, "four", "echo", next_item, &eager, NULL, 0, -1));
	assert_int_equal(submitted(c) - before, 2); /* what was submitted runs */
	m = futured_mapping_new(c, "four", "echo", next_item, &lazy, NULL, 1, -1);
	assert_int_equal(next_int(m), 0);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_VALUE);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_END);
	futured_mapping_free(m);
	futured_free(c);
}

static void
r36_map_of_items_after_shutdown_gives_errors_and_of_nothing_nothing(void **state)
{
	struct items items = { 0, 2, -1, pack_number }, none = { 0, 0, -1, pack_number };
	struct futured *c = connected();
	const struct futured_reply *reply;
	struct futured_executor *e;
	struct futured_mapping *m;

	(void)state;
	assert_int_equal(futured_executor_new(c, "four", NULL, &e), FUTURED_OK);
	m = futured_mapping_new(c, futured_executor_pool(e), "echo", next_item, &items, NULL, 1, -1);
	assert_int_equal(futured_executor_shutdown(e, true, false), FUTURED_OK);
	assert_int_equal(next_int(m), 0);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_OK); /* never a silent end: each item has an outcome */
	assert_int_equal(futured_reply_status(reply), FUTURED_UNKNOWN_POOL);
	futured_mapping_free(m);
	m = futured_mapping_new(c, futured_executor_pool(e), "echo", next_item, &none, NULL, 0, -1);
	assert_int_equal(futured_mapping_next(m, &reply), FUTURED_END);
	futured_mapping_free(m);
	futured_executor_free(e);
	futured_free(c);
}

/* ---- submit and shutdown ---- */

static struct futured_executor *
opened(struct futured *c, int workers)
{
	struct futured_options *o = futured_options_new();
	struct futured_executor *e = NULL;

	futured_options_set(o, "workers", "i", workers);
	assert_int_equal(futured_executor_new(c, "four", o, &e), FUTURED_OK);
	futured_options_free(o);
	return e;
}

static void
r37_submit_after_shutdown_is_refused(void **state)
{
	struct futured *c = connected();
	struct futured_executor *e = opened(c, 1);

	(void)state;
	assert_int_equal(futured_executor_shutdown(e, true, false), FUTURED_OK);
	assert_null(futured_executor_submit(e, "noop", ""));
	assert_string_equal(futured_error_text(c), "cannot schedule new futures after shutdown");
	futured_executor_free(e);
	futured_free(c);
}

static void
append(struct futured_future *f, void *data)
{
	struct futured_future ***at = data;

	*(*at)++ = f;
}

static void
r38_one_worker_takes_them_in_the_order_of_submitting(void **state)
{
	struct futured_future *fs[20], *seen[20], **at = seen;
	struct futured *c = connected();

	(void)state;
	for (int i = 0; i < 20; i++) {
		fs[i] = futured_future_submit(c, "one", "noop", "");
		futured_future_add_done_callback(fs[i], append, &at);
	}
	assert_int_equal(futured_future_wait(fs, 20, FUTURED_ALL_COMPLETED, 20, NULL), FUTURED_OK);
	assert_memory_equal(fs, seen, sizeof fs);
	for (int i = 0; i < 20; i++)
		futured_future_free(fs[i]);
	futured_free(c);
}

static void
r39_shutdown_without_waiting_lets_pending_work_run_and_may_be_repeated(void **state)
{
	struct futured *c = connected();
	struct futured_executor *e = opened(c, 1);
	struct futured_future *first = held(c, futured_executor_pool(e), "r39"), *second = futured_executor_submit(e, "noop", "");

	(void)state;
	await_state(first, FUTURED_RUNNING);
	assert_int_equal(futured_executor_shutdown(e, false, false), FUTURED_OK);
	assert_null(futured_executor_submit(e, "noop", ""));
	assert_false(futured_future_done(first));
	touch("r39");
	assert_int_equal(futured_executor_shutdown(e, true, false), FUTURED_OK);
	assert_int_equal(futured_executor_shutdown(e, true, false), FUTURED_OK);
	assert_int_equal(futured_future_result(first, 20, NULL), FUTURED_OK);
	assert_int_equal(futured_future_result(second, 20, NULL), FUTURED_OK);
	futured_executor_free(e);
	futured_future_free(first);
	futured_future_free(second);
	futured_free(c);
}

static void
r39_cancel_futures_cancels_what_has_not_begun(void **state)
{
	struct futured *c = connected();
	struct futured_executor *e = opened(c, 1);
	struct futured_future *first = held(c, futured_executor_pool(e), "r39c"), *second = futured_executor_submit(e, "noop", "");

	(void)state;
	await_state(first, FUTURED_RUNNING);
	assert_int_equal(futured_executor_shutdown(e, false, true), FUTURED_OK);
	assert_int_equal(futured_future_result(second, 20, NULL), FUTURED_CANCELLED);
	assert_false(futured_future_done(first));
	touch("r39c");
	assert_int_equal(futured_executor_shutdown(e, true, true), FUTURED_OK);
	assert_int_equal(futured_future_result(first, 20, NULL), FUTURED_OK);
	futured_executor_free(e);
	futured_future_free(first);
	futured_future_free(second);
	futured_free(c);
}

static void
r53_terminate_and_kill_break_what_runs_and_cancel_what_waits(void **state)
{
	struct futured *c = connected();

	(void)state;
	for (int kill = 0; kill < 2; kill++) {
		struct futured_executor *e = opened(c, 1);
		struct futured_future *first = held(c, futured_executor_pool(e), "never"), *second = futured_executor_submit(e, "noop", "");

		await_state(first, FUTURED_RUNNING);
		assert_int_equal(kill ? futured_executor_kill(e) : futured_executor_terminate(e), FUTURED_OK);
		assert_int_equal(futured_future_result(first, 20, NULL), FUTURED_BROKEN_POOL);
		assert_int_equal(futured_future_result(second, 20, NULL), FUTURED_CANCELLED);
		assert_int_equal(kill ? futured_executor_kill(e) : futured_executor_terminate(e), FUTURED_OK);
		futured_executor_free(e);
		futured_future_free(first);
		futured_future_free(second);
	}
	futured_free(c);
}

static void
r40_r41_what_was_submitted_runs_though_the_client_ends(void **state)
{
	struct futured *c = connected(), *other = connected();
	struct futured_executor *e = opened(c, 1);
	struct futured_future *first = held(c, futured_executor_pool(e), "r41"), *second = futured_executor_submit(e, "add", "ii", 2, 3), *again;
	uint64_t id;

	(void)state;
	assert_int_equal(futured_future_id(second, &id), FUTURED_OK);
	futured_executor_free(e); /* as the end of `with`, without waiting */
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	futured_free(c);
	assert_int_equal(futured_future_result(first, -1, NULL), FUTURED_LOST);
	futured_future_free(first);
	futured_future_free(second);
	touch("r41");
	again = futured_future_attach(other, id);
	assert_int_equal(result_of(again), 5);
	futured_future_free(again);
	futured_free(other);
}

static void
r42_an_executor_without_workers_is_a_value_error(void **state)
{
	struct futured_options *o = futured_options_new();
	struct futured *c = connected();
	struct futured_executor *e;

	(void)state;
	futured_options_set(o, "workers", "i", 0);
	assert_int_equal(futured_executor_new(c, "four", o, &e), FUTURED_VALUE);
	assert_null(e);
	futured_options_free(o);
	futured_free(c);
}

static void
a_refused_submit_is_an_outcome(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = futured_future_submit(c, "nosuch", "noop", "");
	uint64_t id;

	(void)state;
	assert_int_equal(futured_future_id(f, &id), FUTURED_UNKNOWN_POOL);
	assert_int_equal(futured_future_result(f, -1, NULL), FUTURED_UNKNOWN_POOL);
	futured_future_free(f);
	f = futured_future_attach(c, 9007199254740991);
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_UNKNOWN_FUTURE);
	futured_future_free(f);
	assert_null(futured_future_submit(c, "one", "noop", "["));
	futured_free(c);
}

static void
told(struct futured_future *f, double done, double total, const char *text, size_t len, void *data)
{
	(void)f;
	(void)text;
	(void)len;
	snprintf((char *)data + strlen(data), 64 - strlen(data), "%g/%g ", done, total);
}

static void
progress_comes_to_the_handle(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = futured_future_submit(c, "four", "progress", "");
	char seen[64] = "";

	(void)state;
	futured_future_on_progress(f, told, seen);
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	assert_string_equal(seen, "1/4 2.5/-1 ");
	futured_future_free(f);
	futured_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(r27_map_takes_all_items_and_submits_them_in_the_call),
		cmocka_unit_test(r28_with_a_buffer_only_so_many_are_taken_ahead),
		cmocka_unit_test(r29_results_come_in_the_order_of_the_items),
		cmocka_unit_test(r30_after_an_error_the_iterator_goes_on),
		cmocka_unit_test(r32_the_timeout_counts_from_the_call_and_closes_and_cancels),
		cmocka_unit_test(r33_closing_cancels_what_has_not_begun_started_or_not),
		cmocka_unit_test(r34_an_item_that_fails_ends_the_call_or_the_iterator),
		cmocka_unit_test(r36_map_of_items_after_shutdown_gives_errors_and_of_nothing_nothing),
		cmocka_unit_test(r37_submit_after_shutdown_is_refused),
		cmocka_unit_test(r38_one_worker_takes_them_in_the_order_of_submitting),
		cmocka_unit_test(r39_shutdown_without_waiting_lets_pending_work_run_and_may_be_repeated),
		cmocka_unit_test(r39_cancel_futures_cancels_what_has_not_begun),
		cmocka_unit_test(r53_terminate_and_kill_break_what_runs_and_cancel_what_waits),
		cmocka_unit_test(r40_r41_what_was_submitted_runs_though_the_client_ends),
		cmocka_unit_test(r42_an_executor_without_workers_is_a_value_error),
		cmocka_unit_test(a_refused_submit_is_an_outcome),
		cmocka_unit_test(progress_comes_to_the_handle),
	};

	return cmocka_run_group_tests(tests, daemon_group_setup, daemon_group_teardown);
}

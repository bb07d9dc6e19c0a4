/* Watching many futures at once: one record per page, each future told once. */
#include "tests/unit/futures.h"

#include "daemon/watch.h"
#include "tests/unit/failing_memory.h"

enum { PAGE = REGISTRY_PAGE, MOST = 2000 };

struct listener {
	struct watcher watcher; /* first, so that one is the other */
	uint64_t told[MOST];
	bool want[MOST];
	size_t count, progress;
	uint8_t last;
};

static void
on_done(struct watcher *w, struct future *f, bool want)
{
	struct listener *l = (struct listener *)w;

	assert_true(future_is_final(f));
	assert_true(l->count < MOST);
	l->want[l->count] = want;
	l->told[l->count++] = f->id;
}

static void
on_progress(struct watcher *w, const struct future *f, const uint8_t *values, size_t len)
{
	struct listener *l = (struct listener *)w;

	assert_false(future_is_final(f));
	assert_int_equal(len, 1);
	l->last = *values;
	l->progress++;
}

static struct listener *
listener_new(void)
{
	struct listener *l = calloc(1, sizeof *l);

	assert_non_null(l);
	l->watcher.notify = on_done;
	l->watcher.progress = on_progress;
	return l;
}

static void
listener_free(struct listener *l)
{
	watch_clear(&l->watcher);
	assert_int_equal(l->watcher.count, 0);
	assert_null(l->watcher.watches);
	free(l);
}

static bool
add(struct listener *l, const struct future *f, bool want)
{
	bool added;

	assert_true(watch_add(&l->watcher, f, want, &added));
	return added;
}

static void
finish(struct future *f)
{
	future_succeed(f, (struct bytes){ .len = 0 });
	assert_true(future_release(f));
}

static int
none_left(void **state)
{
	(void)state;
	futures_none_left();
	return 0;
}

static void
who_watches_is_told_once(void **state)
{
	struct listener *l = listener_new();
	struct future *f = futures_alone();
	uint64_t id = f->id;

	(void)state;
	assert_true(add(l, f, false));
	assert_int_equal(l->watcher.count, 1);
	future_set_state(f, FUTURE_RUNNING);
	assert_int_equal(l->count, 0);
	finish(f);
	assert_int_equal(l->count, 1);
	assert_int_equal(l->told[0], id);
	assert_false(l->want[0]);
	assert_int_equal(l->watcher.count, 0);
	listener_free(l);
}

static void
twice_is_once_and_want_stays(void **state)
{
	struct listener *l = listener_new();
	struct future *f[3] = { futures_alone(), futures_alone(), futures_alone() };

	(void)state;
	assert_true(add(l, f[0], false));
	assert_false(add(l, f[0], true));
	assert_false(add(l, f[0], false));
	assert_true(add(l, f[1], true));
	assert_false(add(l, f[1], false));
	assert_true(add(l, f[2], false));
	assert_int_equal(l->watcher.count, 3);
	for (int i = 0; i < 3; i++)
		finish(f[i]);
	assert_int_equal(l->count, 3);
	assert_true(l->want[0]);
	assert_true(l->want[1]);
	assert_false(l->want[2]);
	listener_free(l);
}

static void
want_is_forgotten_with_the_watch(void **state)
{
	struct listener *l = listener_new();
	struct future *f = futures_alone(), *beside = futures_alone();

	(void)state;
	add(l, beside, false);
	add(l, f, true);
	watch_remove(&l->watcher, f->id);
	assert_int_equal(l->watcher.count, 1);
	watch_remove(&l->watcher, f->id);
	assert_int_equal(l->watcher.count, 1);
	assert_true(add(l, f, false));
	finish(f);
	assert_int_equal(l->count, 1);
	assert_false(l->want[0]);
	finish(beside);
	listener_free(l);
}

/* One allocation for each page, however many of its futures are watched, in whatever order. */
static void
a_page_costs_one_record(void **state)
{
	enum { COUNT = 4 * PAGE };
	struct listener *l = listener_new();
	struct spec *spec = futures_spec();
	static struct future *f[COUNT];

	(void)state;
	registry_reserve(PAGE - registry_next() % PAGE);
	for (size_t i = 0; i < COUNT; i++)
		f[i] = futures_new(spec);
	memory_fail_after(4);
	for (size_t i = 0; i < COUNT; i++)
		assert_true(add(l, f[i * 7919 % COUNT], false));
	assert_false(memory_is_good_again());
	assert_int_equal(l->watcher.count, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		finish(f[i * 31 % COUNT]);
	assert_int_equal(l->count, COUNT);
	assert_null(l->watcher.watches);
	listener_free(l);
	spec_drop(spec);
}

static void
removing_is_of_that_future_and_that_watcher_alone(void **state)
{
	struct listener *a = listener_new(), *b = listener_new();
	struct future *f[2] = { futures_alone(), futures_alone() };
	uint64_t second = f[1]->id;

	(void)state;
	for (int i = 0; i < 2; i++) {
		add(a, f[i], false);
		add(b, f[i], false);
	}
	watch_remove(&a->watcher, f[0]->id);
	watch_remove(&a->watcher, REGISTRY_ID_MAX); /* never watched, nor there */
	finish(f[0]);
	finish(f[1]);
	assert_int_equal(a->count, 1);
	assert_int_equal(a->told[0], second);
	assert_int_equal(b->count, 2);
	listener_free(a);
	listener_free(b);
}

static void
who_cleared_is_told_nothing_more(void **state)
{
	struct listener *a = listener_new(), *b = listener_new();
	struct spec *spec = futures_spec();
	struct future *f[300];

	(void)state;
	for (int i = 0; i < 300; i++) {
		f[i] = futures_new(spec);
		add(a, f[i], true);
		add(b, f[i], false);
	}
	watch_clear(&a->watcher);
	assert_int_equal(a->watcher.count, 0);
	watch_clear(&a->watcher);
	for (int i = 0; i < 150; i++)
		finish(f[i]);
	assert_int_equal(a->count, 0);
	assert_int_equal(b->count, 150);
	assert_true(add(a, f[200], false)); /* and may begin anew */
	for (int i = 150; i < 300; i++)
		finish(f[i]);
	assert_int_equal(a->count, 1);
	assert_int_equal(b->count, 300);
	listener_free(a);
	listener_free(b);
	spec_drop(spec);
}

static void
notices_come_in_the_order_of_finishing(void **state)
{
	static const size_t order[] = { 3, 0, 4, 1, 2 };
	struct listener *l = listener_new();
	struct future *f[5];
	uint64_t ids[5];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		f[i] = futures_alone();
		ids[i] = f[i]->id;
		add(l, f[i], false);
	}
	for (size_t i = 0; i < 5; i++)
		finish(f[order[i]]);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(l->told[i], ids[order[i]]);
	listener_free(l);
}

static void
progress_is_for_those_who_watch(void **state)
{
	struct listener *watching = listener_new(), *beside = listener_new(), *deaf = listener_new();
	struct future *f = futures_alone(), *other = futures_alone();

	(void)state;
	deaf->watcher.progress = NULL;
	add(watching, f, false);
	add(deaf, f, false);
	add(beside, other, false);
	future_set_state(f, FUTURE_RUNNING);
	watch_progress(f, (const uint8_t *)"\x05", 1);
	watch_progress(f, (const uint8_t *)"\x06", 1);
	assert_int_equal(watching->progress, 2);
	assert_int_equal(watching->last, 6);
	assert_int_equal(beside->progress, 0);
	finish(f);
	assert_int_equal(deaf->count, 1);
	finish(other);
	watch_remove(&watching->watcher, 1);
	listener_free(watching);
	listener_free(beside);
	listener_free(deaf);
}

static void
nobody_needs_to_watch(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	watch_progress(f, (const uint8_t *)"\x05", 1);
	watch_notify(f);
	finish(f);
}

static void
without_memory_nothing_is_watched(void **state)
{
	struct listener *l = listener_new();
	struct future *f = futures_alone();
	bool added;

	(void)state;
	memory_fail_after(0);
	assert_false(watch_add(&l->watcher, f, true, &added));
	assert_true(memory_is_good_again());
	assert_int_equal(l->watcher.count, 0);
	assert_true(add(l, f, false));
	finish(f);
	assert_int_equal(l->count, 1);
	assert_false(l->want[0]);
	listener_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(who_watches_is_told_once, none_left),
		cmocka_unit_test_teardown(twice_is_once_and_want_stays, none_left),
		cmocka_unit_test_teardown(want_is_forgotten_with_the_watch, none_left),
		cmocka_unit_test_teardown(a_page_costs_one_record, none_left),
		cmocka_unit_test_teardown(removing_is_of_that_future_and_that_watcher_alone, none_left),
		cmocka_unit_test_teardown(who_cleared_is_told_nothing_more, none_left),
		cmocka_unit_test_teardown(notices_come_in_the_order_of_finishing, none_left),
		cmocka_unit_test_teardown(progress_is_for_those_who_watch, none_left),
		cmocka_unit_test_teardown(nobody_needs_to_watch, none_left),
		cmocka_unit_test_teardown(without_memory_nothing_is_watched, none_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

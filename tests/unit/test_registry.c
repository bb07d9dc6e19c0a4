/* The registry: pages that come and go, what is to be had, and how runs are judged over the borders of words and pages. */
#include "tests/unit/futures.h"

#include "tests/unit/chance.h"
#include "tests/unit/failing_memory.h"

enum { PAGE = REGISTRY_PAGE };

/* Not a future's life, only its room: id is all that the registry looks at. */
static struct future *
make(uint64_t id)
{
	struct future *f = registry_make(id);

	assert_non_null(f);
	memset(f, 0, sizeof *f);
	f->id = id;
	return f;
}

static void
make_run(uint64_t first, uint64_t count)
{
	for (uint64_t id = first; id < first + count; id++)
		make(id);
	registry_show(first, count);
}

static void
free_run(uint64_t first, uint64_t count)
{
	for (uint64_t id = first; id < first + count; id++)
		registry_free(registry_pinned(id));
}

/* The next id that begins a page, with everything before it used up. */
static uint64_t
fresh_page(void)
{
	registry_reserve(PAGE - registry_next() % PAGE);
	assert_int_equal(registry_next() % PAGE, 0);
	return registry_next();
}

static uint64_t
page_bytes(uint64_t pages)
{
	return pages * sizeof(struct registry_page);
}

/* A damaged store may say so; the table would take 2^49 bytes. */
static void
ids_too_far_apart_find_no_room(void **state)
{
	uint64_t first = fresh_page(), last = first + (UINT64_C(1) << 36);
	(void)state;

	make_run(first, 1);
	assert_true(registry_reaches(last - PAGE));
	assert_false(registry_reaches(last));
	assert_null(registry_make(last));
	assert_null(registry_make(REGISTRY_ID_MAX));
	assert_ptr_equal(registry_find(first), registry_pinned(first));
	free_run(first, 1);
	assert_true(registry_reaches(first));
}

static void
ids_begin_at_one_and_never_come_twice(void **state)
{
	(void)state;
	assert_int_equal(registry_next(), 1);
	assert_int_equal(registry_reserve(1), 1);
	assert_int_equal(registry_reserve(10), 2);
	assert_int_equal(registry_reserve(0), 12); /* a map of nothing */
	assert_int_equal(registry_reserve(1), 12);
	assert_int_equal(registry_next(), 13);
}

static void
what_is_made_is_had_once_it_is_shown(void **state)
{
	uint64_t id = registry_reserve(1);
	struct future *f = make(id);

	(void)state;
	assert_null(registry_find(id));
	assert_ptr_equal(registry_pinned(id), f);
	assert_int_equal(registry_missing(id, 1), id);
	assert_int_equal(registry_after(1), 0);
	registry_show(id, 1);
	assert_ptr_equal(registry_find(id), f);
	assert_int_equal(registry_missing(id, 1), 0);
	assert_int_equal(registry_after(1), id);
	assert_null(registry_find(id + 1));
	assert_null(registry_find(id - 1));
	registry_hide(f);
	assert_null(registry_find(id));
	assert_ptr_equal(registry_pinned(id), f);
	registry_free(f);
	assert_null(registry_page(id));
}

static void
ids_that_were_never_given_are_not_to_be_had(void **state)
{
	static const uint64_t ids[] = { 0, REGISTRY_ID_MAX, REGISTRY_ID_MAX - PAGE, UINT64_MAX, UINT64_C(1) << 63 };

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		assert_null(registry_find(ids[i]));
		assert_null(registry_page(ids[i]));
	}
	assert_int_equal(registry_missing(REGISTRY_ID_MAX, REGISTRY_ID_MAX), REGISTRY_ID_MAX);
	assert_int_equal(registry_missing(1, 0), 0);
	assert_int_equal(registry_after(REGISTRY_ID_MAX), 0);
}

static void
pages_appear_with_their_first_future_and_go_with_the_last(void **state)
{
	uint64_t first = fresh_page();

	(void)state;
	registry_reserve(3 * PAGE);
	uint64_t before = registry_bytes();
	assert_null(registry_page(first));
	make_run(first, 3 * PAGE);
	assert_int_equal(registry_bytes() - before, page_bytes(3));
	free_run(first + PAGE, PAGE);
	assert_int_equal(registry_bytes() - before, page_bytes(2));
	assert_null(registry_page(first + PAGE));
	assert_int_equal(registry_missing(first, 3 * PAGE), first + PAGE);
	assert_int_equal(registry_after(first + PAGE), first + 2 * PAGE);
	free_run(first, PAGE - 1);
	assert_non_null(registry_page(first)); /* one is left in it */
	free_run(first + PAGE - 1, 1);
	assert_null(registry_page(first));
	free_run(first + 2 * PAGE, PAGE);
	assert_int_equal(registry_bytes(), before);
	assert_int_equal(registry_after(1), 0);
}

/* Runs that begin and end anywhere about the borders of words and pages: no more and no less is shown. */
static void
a_run_is_shown_exactly(void **state)
{
	static const uint64_t edges[] = { 0, 1, 2, 62, 63, 64, 65, 127, 128, 191, 192, 255, 256, 257, 319, 320, 321, 511, 512, 513, 600 };
	enum { EDGES = sizeof edges / sizeof *edges, ROOM = 640 };

	(void)state;
	for (size_t from = 0; from < EDGES; from++)
		for (size_t to = from; to < EDGES; to++) {
			uint64_t first = fresh_page();
			registry_reserve(ROOM);
			for (uint64_t i = 0; i < ROOM; i++)
				make(first + i);
			registry_show(first + edges[from], edges[to] - edges[from]);
			for (uint64_t i = 0; i < ROOM; i++)
				assert_int_equal(registry_find(first + i) != NULL, i >= edges[from] && i < edges[to]);
			assert_int_equal(registry_missing(first + edges[from], edges[to] - edges[from]), 0);
			assert_int_equal(registry_missing(first + edges[from], ROOM - edges[from]), first + edges[to]);
			free_run(first, ROOM);
		}
}

/* Four pages, a run that begins and ends inside of words, one hole at every place. */
static void
one_hole_is_found_wherever_it_is(void **state)
{
	enum { COUNT = 3 * PAGE + 150 };
	uint64_t page = fresh_page(), first = page + 37;

	(void)state;
	registry_reserve(4 * PAGE);
	make_run(page, 4 * PAGE);
	for (uint64_t hole = page; hole < page + 4 * PAGE; hole++) {
		registry_hide(registry_pinned(hole));
		bool inside = hole >= first && hole < first + COUNT;
		assert_int_equal(registry_missing(first, COUNT), inside ? hole : 0);
		assert_int_equal(registry_missing(page, 4 * PAGE), hole);
		if (hole < page + 4 * PAGE - 1)
			assert_int_equal(registry_after(hole), hole + 1);
		registry_show(hole, 1);
		assert_int_equal(registry_missing(page, 4 * PAGE), 0);
	}
	assert_int_equal(registry_missing(page, 4 * PAGE + 1), page + 4 * PAGE);
	free_run(page, 4 * PAGE);
}

static void
the_next_one_is_found_over_gaps(void **state)
{
	static const uint64_t at[] = { 0, 63, 64, 200, 256, 1000, 1023, 5000 };
	uint64_t first = fresh_page(), from = 0;

	(void)state;
	registry_reserve(20 * PAGE);
	for (size_t i = 0; i < 8; i++)
		make_run(first + at[i], 1);
	for (size_t i = 0; i < 8; i++)
		for (; from <= at[i]; from++)
			assert_int_equal(registry_after(first + from), first + at[i]);
	assert_int_equal(registry_after(first + from), 0);
	assert_int_equal(registry_after(1), first); /* from before all that there is */
	for (size_t i = 0; i < 8; i++)
		free_run(first + at[i], 1);
}

/* A large map reserves its ids, is made over many turns, and others come and go meanwhile. */
static void
ids_reserved_early_may_be_made_late(void **state)
{
	uint64_t early = fresh_page();

	(void)state;
	registry_reserve(200 * PAGE);
	uint64_t late = registry_reserve(PAGE);
	make_run(late, PAGE);
	make_run(early + 5 * PAGE + 7, 1); /* before the first page that there is */
	make_run(early + 3, 1);            /* and before that */
	make_run(early + 100 * PAGE, 2);
	assert_int_equal(registry_after(1), early + 3);
	assert_int_equal(registry_after(early + 4), early + 5 * PAGE + 7);
	assert_int_equal(registry_after(early + 5 * PAGE + 8), early + 100 * PAGE);
	assert_int_equal(registry_after(early + 100 * PAGE + 2), late);
	assert_int_equal(registry_missing(late, PAGE), 0);
	assert_int_equal(registry_find(late + 9)->id, late + 9);
	assert_null(registry_find(early));
	free_run(late, PAGE);
	free_run(early + 3, 1);
	assert_int_equal(registry_find(early + 100 * PAGE + 1)->id, early + 100 * PAGE + 1);
	make_run(early + 2 * PAGE, 1); /* the pages in front went, and one of them comes */
	assert_int_equal(registry_after(1), early + 2 * PAGE);
	free_run(early + 2 * PAGE, 1);
	free_run(early + 5 * PAGE + 7, 1);
	free_run(early + 100 * PAGE, 2);
	assert_int_equal(registry_after(1), 0);
}

/* A window of ids that moves on for long: the table is as long as the window, not as all ids that ever were. */
static void
the_table_does_not_grow_with_all_that_ever_was(void **state)
{
	enum { WINDOW = 4 };
	uint64_t first = fresh_page(), most = 0;

	(void)state;
	uint64_t before = registry_bytes();
	for (uint64_t page = 0; page < 5000; page++) {
		uint64_t id = registry_reserve(PAGE);
		assert_int_equal(id, first + page * PAGE);
		make_run(id, 1);
		if (page >= WINDOW)
			free_run(id - WINDOW * PAGE, 1);
		most = registry_bytes() > most ? registry_bytes() : most;
	}
	assert_true(most - before <= page_bytes(WINDOW + 1) + 1024);
	for (uint64_t page = 5000 - WINDOW; page < 5000; page++)
		free_run(first + page * PAGE, 1);
}

/* After a peak the table shrinks as well. */
static void
a_peak_is_given_back(void **state)
{
	enum { PEAK = 20000 };
	uint64_t first = fresh_page();

	(void)state;
	uint64_t before = registry_bytes();
	registry_reserve((uint64_t)PEAK * PAGE);
	for (uint64_t page = 0; page < PEAK; page++)
		make_run(first + page * PAGE, 1);
	for (uint64_t page = 0; page < PEAK; page++)
		free_run(first + page * PAGE, 1);
	for (int i = 0; i < 20; i++) { /* the daemon goes on */
		uint64_t id = registry_reserve(PAGE);
		make_run(id, 1);
		free_run(id, 1);
	}
	assert_true(registry_bytes() < before + PEAK * sizeof(void *) / 4);
}

static void
any_history_is_told_as_a_plain_table_tells_it(void **state)
{
	enum { SPAN = 5000, STEPS = 30000 };
	static enum { NOT, MADE, SHOWN, HIDDEN } at[SPAN];
	uint64_t first = fresh_page();

	(void)state;
	chance_begin();
	registry_reserve(SPAN);
	for (int step = 0; step < STEPS; step++) {
		uint64_t i = chance(SPAN), to = i, next = i;
		switch (at[i]) {
		case NOT:
			make(first + i);
			at[i] = MADE;
			break;
		case MADE:
			registry_show(first + i, 1);
			at[i] = SHOWN;
			break;
		case SHOWN:
			registry_hide(registry_pinned(first + i));
			at[i] = HIDDEN;
			break;
		default:
			registry_free(registry_pinned(first + i));
			at[i] = NOT;
		}
		while (to < SPAN && at[to] == SHOWN)
			to++;
		assert_int_equal(registry_missing(first + i, to - i), 0);
		assert_int_equal(registry_missing(first + i, to - i + 1), first + to);
		while (next < SPAN && at[next] != SHOWN)
			next++;
		assert_int_equal(registry_after(first + i), next < SPAN ? first + next : 0);
	}
	for (uint64_t i = 0; i < SPAN; i++)
		if (at[i] != NOT)
			free_run(first + i, 1);
	assert_int_equal(registry_after(1), 0);
}

/* Only where each future that was ever made in a page is noted as one owner's. */
static void
a_page_knows_its_owner_or_does_not_say(void **state)
{
	uint64_t first = fresh_page();
	struct owner *ann = (struct owner *)1, *bob = (struct owner *)2; /* never followed */

	(void)state;
	assert_null(registry_owner(first));
	make_run(first, 3);
	assert_null(registry_owner(first));
	for (uint64_t id = first; id < first + 3; id++)
		registry_note_owner(id, ann);
	assert_ptr_equal(registry_owner(first), ann);
	make(first + 3);
	assert_null(registry_owner(first));
	registry_note_owner(first + 3, bob);
	make(first + 4);
	registry_note_owner(first + 4, ann);
	assert_null(registry_owner(first)); /* one of them is bob's */
	free_run(first, 5);
	make(first);
	registry_note_owner(first, bob);
	assert_ptr_equal(registry_owner(first), bob);
	free_run(first, 1);
	registry_note_owner(first, ann); /* a page that is not there */
	assert_null(registry_owner(first));
}

static void
without_memory_nothing_is_made_and_nothing_is_lost(void **state)
{
	uint64_t first = fresh_page();
	bool failed = true;

	(void)state;
	registry_reserve(300 * PAGE);
	make_run(first + 100 * PAGE, 1);
	for (long n = 0; failed; n++) {
		memory_fail_after(n);
		struct future *late = registry_make(first + 299 * PAGE), *early = registry_make(first);
		failed = memory_is_good_again();
		assert_int_equal(!late || !early, failed);
		assert_int_equal(registry_after(1), first + 100 * PAGE);
		assert_int_equal(registry_find(first + 100 * PAGE)->id, first + 100 * PAGE);
		if (late)
			late->id = first + 299 * PAGE;
		if (early)
			early->id = first;
		if (late)
			registry_free(late);
		if (early)
			registry_free(early);
	}
	free_run(first + 100 * PAGE, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_begin_at_one_and_never_come_twice),
		cmocka_unit_test(what_is_made_is_had_once_it_is_shown),
		cmocka_unit_test(ids_that_were_never_given_are_not_to_be_had),
		cmocka_unit_test(without_memory_nothing_is_made_and_nothing_is_lost),
		cmocka_unit_test(pages_appear_with_their_first_future_and_go_with_the_last),
		cmocka_unit_test(a_run_is_shown_exactly),
		cmocka_unit_test(one_hole_is_found_wherever_it_is),
		cmocka_unit_test(the_next_one_is_found_over_gaps),
		cmocka_unit_test(ids_reserved_early_may_be_made_late),
		cmocka_unit_test(ids_too_far_apart_find_no_room),
		cmocka_unit_test(the_table_does_not_grow_with_all_that_ever_was),
		cmocka_unit_test(a_peak_is_given_back),
		cmocka_unit_test(a_page_knows_its_owner_or_does_not_say),
		cmocka_unit_test(any_history_is_told_as_a_plain_table_tells_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Ids as clients give them: runs, merging, naming something twice, and what is no id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ids.h"
#include "daemon/registry.h"
#include "proto/pack.h"
#include "tests/unit/chance.h"
#include "tests/unit/failing_memory.h"

enum { MOST = 400 };

/* Walks all of them. */
static void
are(struct ids *ids, const uint64_t *expected, size_t count)
{
	uint64_t id;

	ids_rewind(ids);
	for (size_t i = 0; i < count; i++) {
		assert_true(ids_next(ids, &id));
		assert_int_equal(id, expected[i]);
	}
	assert_false(ids_next(ids, &id));
	assert_false(ids_next(ids, &id)); /* the end stays the end */
	assert_int_equal(ids->total, count);
}
#define ARE(ids, ...) are(ids, (const uint64_t[]){ __VA_ARGS__ }, sizeof(uint64_t[]){ __VA_ARGS__ } / sizeof(uint64_t))

static void
none_are_none(void **state)
{
	struct ids ids = { .runs = 0 };

	(void)state;
	are(&ids, NULL, 0);
	assert_true(ids_unique(&ids));
	assert_true(ids_add(&ids, 5, 0));
	are(&ids, NULL, 0);
	ids_clear(&ids);
}

static void
runs_are_walked_in_the_order_asked(void **state)
{
	struct ids ids = { .runs = 0 };

	(void)state;
	assert_true(ids_add(&ids, 7, 3));
	assert_true(ids_add(&ids, 2, 1));
	assert_true(ids_add(&ids, 20, 2));
	assert_int_equal(ids.runs, 3);
	ARE(&ids, 7, 8, 9, 2, 20, 21);
	ARE(&ids, 7, 8, 9, 2, 20, 21);
	ids_clear(&ids);
	are(&ids, NULL, 0);
}

static void
what_follows_is_joined(void **state)
{
	struct ids ids = { .runs = 0 };

	(void)state;
	for (uint64_t id = 1; id <= 1000; id++)
		assert_true(ids_add(&ids, id, 1));
	assert_true(ids_add(&ids, 1001, 999000));
	assert_int_equal(ids.runs, 1);
	assert_int_equal(ids.total, 1000000);
	assert_true(ids_add(&ids, 1, 1)); /* in front of it: another run */
	assert_int_equal(ids.runs, 2);
	ids_clear(&ids);
}

static void
the_end_of_the_walk_moves_when_more_is_added(void **state)
{
	struct ids ids = { .runs = 0 };
	uint64_t id;

	(void)state;
	assert_true(ids_add(&ids, 1, 2));
	assert_true(ids_next(&ids, &id));
	assert_true(ids_add(&ids, 3, 1));
	assert_true(ids_next(&ids, &id));
	assert_true(ids_next(&ids, &id));
	assert_int_equal(id, 3);
	assert_false(ids_next(&ids, &id));
	ids_clear(&ids);
}

static void
twice_is_once_where_it_was_first(void **state)
{
	struct ids ids = { .runs = 0 };

	(void)state;
	ids_add(&ids, 5, 3);
	ids_add(&ids, 4, 5); /* around it */
	ids_add(&ids, 9, 1);
	ids_add(&ids, 1, 2);
	ids_add(&ids, 5, 1);
	ids_add(&ids, 2, 2);
	assert_true(ids_unique(&ids));
	ARE(&ids, 5, 6, 7, 4, 8, 9, 1, 2, 3);
	assert_true(ids_unique(&ids));
	ARE(&ids, 5, 6, 7, 4, 8, 9, 1, 2, 3);
	ids_clear(&ids);
}

static void
in_falling_order_nothing_is_lost(void **state)
{
	struct ids ids = { .runs = 0 };

	(void)state;
	ids_add(&ids, 30, 2);
	ids_add(&ids, 20, 2);
	ids_add(&ids, 10, 2);
	assert_true(ids_unique(&ids));
	ARE(&ids, 30, 31, 20, 21, 10, 11);
	ids_clear(&ids);
}

static void
a_million_that_rise_stay_one_run(void **state)
{
	struct ids ids = { .runs = 0 };

	(void)state;
	ids_add(&ids, 1, 500000);
	ids_add(&ids, 500002, 500000);
	memory_fail_after(0); /* and that needs no memory */
	assert_true(ids_unique(&ids));
	assert_false(memory_is_good_again());
	assert_int_equal(ids.runs, 2);
	ids_clear(&ids);
}

static void
any_overlaps_are_kept_once_in_the_order_asked(void **state)
{
	(void)state;
	chance_begin();
	for (int round = 0; round < 500; round++) {
		struct ids ids = { .runs = 0 };
		uint64_t expected[MOST];
		bool seen[200] = { false };
		size_t n = 0;
		for (uint64_t runs = chance(12); runs-- > 0;) {
			uint64_t first = 1 + chance(100), count = chance(30);
			assert_true(ids_add(&ids, first, count));
			for (uint64_t id = first; id < first + count; id++) {
				if (!seen[id])
					expected[n++] = id;
				seen[id] = true;
			}
		}
		assert_true(ids_unique(&ids));
		are(&ids, expected, n);
		ids_clear(&ids);
	}
}

static void
a_failed_allocation_leaves_what_was_there_or_nothing(void **state)
{
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n++) {
		struct ids ids = { .runs = 0 };
		uint64_t id, last = 1000;
		bool done = true;
		memory_fail_after(n);
		for (uint64_t i = 0; i < 20; i++)
			done &= ids_add(&ids, 2 * (20 - i), 1);
		done &= ids_add(&ids, 40, 1);
		done &= ids_unique(&ids);
		failed = memory_is_good_again();
		assert_int_equal(done, !failed);
		while (ids_next(&ids, &id) && id != 40 && done) {
			assert_true(id < last);
			last = id;
		}
		if (done)
			assert_int_equal(ids.total, 20);
		ids_clear(&ids);
	}
}

/* ---- read ---- */

struct element {
	struct buf b;
	uint64_t first, count;
	bool good;
};

static void
read_it(struct element *e)
{
	struct reader r;

	assert_false(e->b.failed);
	reader_init(&r, e->b.data, e->b.len);
	e->first = e->count = 77;
	e->good = ids_read_element(&r, &e->first, &e->count);
	if (e->good)
		assert_true(reader_is_at_end(&r));
	buf_clear(&e->b);
}

static struct element
of_pair(uint64_t first, uint64_t count)
{
	struct element e = { .good = false };

	buf_init(&e.b);
	pack_array(&e.b, 2);
	pack_uint(&e.b, first);
	pack_uint(&e.b, count);
	read_it(&e);
	return e;
}

static struct element
of_id(uint64_t id)
{
	struct element e = { .good = false };

	buf_init(&e.b);
	pack_uint(&e.b, id);
	read_it(&e);
	return e;
}

static void
an_id_is_a_run_of_one_and_a_pair_is_a_run(void **state)
{
	struct element e = of_id(42);

	(void)state;
	assert_true(e.good);
	assert_int_equal(e.first, 42);
	assert_int_equal(e.count, 1);
	e = of_pair(42, 1000);
	assert_true(e.good);
	assert_int_equal(e.first, 42);
	assert_int_equal(e.count, 1000);
	assert_true(of_pair(42, 0).good);
	assert_int_equal(of_pair(42, 0).count, 0);
}

static void
ids_are_one_to_two_to_the_53_less_one(void **state)
{
	(void)state;
	assert_true(of_id(1).good);
	assert_true(of_id(REGISTRY_ID_MAX).good);
	assert_true(of_pair(REGISTRY_ID_MAX, REGISTRY_ID_MAX).good); /* and no sum of theirs is too large */
	assert_false(of_id(0).good);
	assert_false(of_pair(0, 1).good);
	assert_false(of_id(REGISTRY_ID_MAX + 1).good);
	assert_false(of_pair(1, REGISTRY_ID_MAX + 1).good);
	assert_false(of_id(UINT64_MAX).good);
	assert_false(of_pair(1, UINT64_MAX).good);
}

static void
anything_else_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = {
		{ "", 0 },                       /* nothing */
		{ "\xc0", 1 },                   /* nil */
		{ "\xc3", 1 },                   /* true */
		{ "\xff", 1 },                   /* -1 */
		{ "\xcb\x3f\xf0\0\0\0\0\0\0", 9 }, /* 1.0 */
		{ "\xa1" "1", 2 },               /* "1" */
		{ "\xc4\x01" "1", 3 },           /* bin */
		{ "\x81\x01\x02", 3 },           /* a map */
		{ "\x90", 1 },                   /* [] */
		{ "\x91\x01", 2 },               /* [1] */
		{ "\x93\x01\x02\x03", 4 },       /* [1, 2, 3] */
		{ "\x92\x01", 2 },               /* [1, */
		{ "\x92\x01\xff", 3 },           /* [1, -1] */
		{ "\x92\xff\x01", 3 },           /* [-1, 1] */
		{ "\x92\x91\x01\x01", 4 },       /* [[1], 1] */
		{ "\x92\x01\xc0", 3 },           /* [1, nil] */
		{ "\xd6\x01\0\0\0\x01", 6 },     /* ext */
		{ "\xc1", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct reader r;
		uint64_t first, count;
		reader_init(&r, wrong[i].bytes, wrong[i].len);
		if (ids_read_element(&r, &first, &count))
			fail_msg("case %zu was taken", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_are_none),
		cmocka_unit_test(runs_are_walked_in_the_order_asked),
		cmocka_unit_test(what_follows_is_joined),
		cmocka_unit_test(the_end_of_the_walk_moves_when_more_is_added),
		cmocka_unit_test(twice_is_once_where_it_was_first),
		cmocka_unit_test(in_falling_order_nothing_is_lost),
		cmocka_unit_test(a_million_that_rise_stay_one_run),
		cmocka_unit_test(any_overlaps_are_kept_once_in_the_order_asked),
		cmocka_unit_test(a_failed_allocation_leaves_what_was_there_or_nothing),
		cmocka_unit_test(an_id_is_a_run_of_one_and_a_pair_is_a_run),
		cmocka_unit_test(ids_are_one_to_two_to_the_53_less_one),
		cmocka_unit_test(anything_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

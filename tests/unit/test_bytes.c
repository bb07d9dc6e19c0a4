/* Payload bytes: what is held in place, what is shared, and that every block is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bytes.h"
#include "tests/unit/failing_memory.h"

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static void
holds(const struct bytes *b, const char *expected, size_t len)
{
	assert_int_equal(bytes_len(b), len);
	assert_memory_equal(bytes_data(b), expected, len);
}

static int
nothing_is_held(void **state)
{
	(void)state;
	return block_total() == 0 ? 0 : -1;
}

/* A buf that holds so many bytes, each its place mod 251. */
static void
fill(struct buf *b, size_t len)
{
	buf_init(b);
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(i % 251);
		assert_true(buf_append(b, &byte, 1));
	}
}

static void
twelve_bytes_are_held_in_place_and_thirteen_are_not(void **state)
{
	struct bytes b, other;

	(void)state;
	for (size_t len = 0; len <= sizeof text - 1; len++) {
		assert_true(bytes_copy(&b, text, len));
		assert_int_equal(b.is_far, len > 12);
		assert_int_equal(block_total(), len > 12 ? len : 0);
		assert_int_equal(bytes_block(&b) != NULL, len > 12);
		holds(&b, text, len);
		other = b; /* by value: the near ones go along */
		holds(&other, text, len);
		bytes_drop(&b);
		assert_int_equal(bytes_len(&b), 0);
		bytes_drop(&b); /* again: nothing */
	}
}

/* As bytes.h promises: two of them are in every future. */
static void
a_struct_bytes_is_sixteen_bytes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct bytes), 16);
}

static void
nothing_at_all_needs_no_data(void **state)
{
	struct bytes b;

	(void)state;
	assert_true(bytes_copy(&b, NULL, 0));
	assert_int_equal(bytes_len(&b), 0);
	assert_non_null(bytes_data(&b));
	bytes_drop(&b);
}

static void
what_is_shared_stays_until_the_last_drop(void **state)
{
	struct bytes b, shared[100];

	(void)state;
	assert_true(bytes_copy(&b, text, 20));
	const uint8_t *data = bytes_data(&b);
	for (size_t i = 0; i < 100; i++)
		shared[i] = bytes_share(b);
	bytes_drop(&b);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(block_total(), 20);
		assert_ptr_equal(bytes_data(&shared[i]), data);
		holds(&shared[i], text, 20);
		bytes_drop(&shared[i]);
	}
	assert_int_equal(block_total(), 0);
}

static void
sharing_what_is_near_is_a_copy(void **state)
{
	struct bytes b, other;

	(void)state;
	assert_true(bytes_copy(&b, text, 12));
	other = bytes_share(b);
	bytes_drop(&b);
	holds(&other, text, 12);
	bytes_drop(&other);
}

static void
slices_keep_their_block_and_short_ones_do_not(void **state)
{
	struct bytes longs[2], short_one;
	struct buf b;

	(void)state;
	buf_init(&b);
	buf_append(&b, text, 36);
	struct block *block = block_take(&b);
	assert_non_null(block);
	assert_memory_equal(block_data(block), text, 36);
	assert_int_equal(block_total(), 36);
	short_one = bytes_slice(block, 24, 12);
	longs[0] = bytes_slice(block, 0, 13);
	longs[1] = bytes_slice(block, 10, 26);
	assert_null(bytes_block(&short_one));
	assert_ptr_equal(bytes_block(&longs[0]), block);
	block_drop(block);
	assert_int_equal(block_total(), 36); /* the slices have it */
	holds(&longs[0], text, 13);
	bytes_drop(&longs[0]);
	holds(&longs[1], text + 10, 26);
	bytes_drop(&longs[1]);
	assert_int_equal(block_total(), 0);
	holds(&short_one, text + 24, 12);
	block_drop(NULL);
}

static void
a_held_block_needs_one_drop_more(void **state)
{
	struct bytes b;

	(void)state;
	assert_true(bytes_copy(&b, text, 30));
	struct block *block = bytes_block(&b);
	block_hold(block);
	bytes_drop(&b);
	assert_memory_equal(block_data(block), text, 30);
	block_drop(block);
}

static void
taking_a_buf_leaves_it_empty_and_usable(void **state)
{
	static const size_t lengths[] = { 0, 1, 12, 13, 4096, 4097, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct bytes taken;
		struct buf b;
		fill(&b, lengths[i]);
		assert_true(bytes_take(&taken, &b));
		assert_int_equal(b.len, 0);
		assert_int_equal(bytes_len(&taken), lengths[i]);
		assert_int_equal(block_total(), lengths[i] > 12 ? lengths[i] : 0);
		assert_true(buf_append(&b, text, 36)); /* does not write into what was taken */
		for (size_t k = 0; k < lengths[i]; k++)
			assert_int_equal(bytes_data(&taken)[k], k % 251);
		buf_clear(&b);
		bytes_drop(&taken);
	}
}

static void
a_buf_that_failed_is_not_taken(void **state)
{
	struct buf b;
	struct bytes taken;

	(void)state;
	fill(&b, 100);
	b.failed = true;
	assert_false(bytes_take(&taken, &b));
	assert_null(block_take(&b));
	buf_clear(&b);
	buf_init(&b);
	assert_null(block_take(&b)); /* nor an empty one as a block */
}

static void
uncounted_blocks_are_not_payload(void **state)
{
	struct bytes b, other, near;

	(void)state;
	assert_true(bytes_copy(&b, text, 30));
	assert_true(bytes_copy(&near, text, 3));
	other = bytes_share(b);
	bytes_uncount(&near);
	bytes_uncount(&b);
	assert_int_equal(block_total(), 0);
	bytes_uncount(&other); /* once is enough */
	assert_int_equal(block_total(), 0);
	bytes_drop(&b);
	holds(&other, text, 30);
	bytes_drop(&other);
}

static void
without_memory_nothing_is_taken(void **state)
{
	static const size_t lengths[] = { 13, 4096, 4097 };
	struct bytes out;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf b;
		fill(&b, lengths[i]);
		memory_fail_after(0);
		assert_false(bytes_take(&out, &b));
		assert_true(memory_is_good_again());
		assert_int_equal(b.len, lengths[i]); /* still there */
		memory_fail_after(0);
		assert_null(block_take(&b));
		assert_true(memory_is_good_again());
		assert_int_equal(b.len, lengths[i]);
		memory_fail_after(0);
		assert_false(bytes_copy(&out, b.data, b.len));
		assert_true(memory_is_good_again());
		assert_int_equal(block_total(), 0);
		buf_clear(&b);
	}
	memory_fail_after(0);
	assert_true(bytes_copy(&out, text, 12));
	assert_false(memory_is_good_again());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(twelve_bytes_are_held_in_place_and_thirteen_are_not, nothing_is_held),
		cmocka_unit_test(a_struct_bytes_is_sixteen_bytes),
		cmocka_unit_test_teardown(nothing_at_all_needs_no_data, nothing_is_held),
		cmocka_unit_test_teardown(what_is_shared_stays_until_the_last_drop, nothing_is_held),
		cmocka_unit_test_teardown(sharing_what_is_near_is_a_copy, nothing_is_held),
		cmocka_unit_test_teardown(slices_keep_their_block_and_short_ones_do_not, nothing_is_held),
		cmocka_unit_test_teardown(a_held_block_needs_one_drop_more, nothing_is_held),
		cmocka_unit_test_teardown(taking_a_buf_leaves_it_empty_and_usable, nothing_is_held),
		cmocka_unit_test_teardown(a_buf_that_failed_is_not_taken, nothing_is_held),
		cmocka_unit_test_teardown(uncounted_blocks_are_not_payload, nothing_is_held),
		cmocka_unit_test_teardown(without_memory_nothing_is_taken, nothing_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

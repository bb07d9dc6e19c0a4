/* Buffers: they grow, give away, and remember that memory ran out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/buf.h"

static void
what_is_appended_is_there_in_order(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	for (int i = 0; i < 10000; i++) {
		uint8_t byte = (uint8_t)i;

		assert_true(buf_append(&b, &byte, 1));
	}
	assert_int_equal(b.len, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(b.data[i], (uint8_t)i);
	buf_clear(&b);
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
}

static void
growth_at_most_doubles_what_is_in_use(void **state)
{
	uint8_t bytes[1000] = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b);
	assert_true(buf_append(&b, bytes, sizeof bytes));
	assert_in_range(b.cap, 1000, 2000);
	assert_true(buf_append(&b, bytes, 1));
	assert_in_range(b.cap, 1001, 2002);
	assert_true(buf_reserve(&b, 100000));
	assert_in_range(b.cap, 101001, 202002);
	buf_clear(&b);
}

static void
drain_removes_from_the_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	buf_append(&b, "abcdef", 6);
	buf_drain(&b, 0);
	assert_int_equal(b.len, 6);
	buf_drain(&b, 2);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "cdef", 4);
	buf_drain(&b, 4);
	assert_int_equal(b.len, 0);
	buf_append(&b, "x", 1);
	assert_memory_equal(b.data, "x", 1);
	buf_clear(&b);
}

static void
take_hands_the_bytes_over(void **state)
{
	uint8_t *bytes;
	struct buf b;
	size_t len;

	(void)state;
	buf_init(&b);
	buf_append(&b, "abc", 3);
	bytes = buf_take(&b, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "abc", 3);
	assert_null(b.data);
	assert_null(buf_take(&b, &len));
	assert_int_equal(len, 0);
	free(bytes);
}

static void
failure_is_remembered_until_clear(void **state)
{
	struct buf b;
	size_t len;

	(void)state;
	buf_init(&b);
	buf_append(&b, "abc", 3);
	assert_false(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	assert_false(buf_append(&b, "d", 1)); /* although there is room */
	assert_int_equal(b.len, 3);
	assert_null(buf_take(&b, &len));
	assert_false(b.failed);
	assert_true(buf_append(&b, "d", 1));
	buf_clear(&b);
}

static void
appending_nothing_allocates_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	assert_true(buf_append(&b, NULL, 0));
	assert_null(b.data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_appended_is_there_in_order),
		cmocka_unit_test(growth_at_most_doubles_what_is_in_use),
		cmocka_unit_test(drain_removes_from_the_front),
		cmocka_unit_test(take_hands_the_bytes_over),
		cmocka_unit_test(failure_is_remembered_until_clear),
		cmocka_unit_test(appending_nothing_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Error maps and the names in them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/error.h"
#include "proto/pack.h"

static struct error_view
read_back(const struct buf *b)
{
	struct error_view v;
	struct reader r;

	assert_false(b->failed);
	reader_init(&r, b->data, b->len);
	assert_true(error_read(&r, &v));
	assert_true(reader_is_at_end(&r));
	return v;
}

static void
assert_text(const char *text, size_t len, const char *expected)
{
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(text, expected, len);
}

static void
every_status_has_a_name_that_is_found_again(void **state)
{
	(void)state;
	for (int s = STATUS_OK + 1; s < STATUS_COUNT; s++) {
		const char *name = status_name((enum status)s);

		assert_true(strlen(name) > 5 && strlen(status_text((enum status)s)) > 5);
		assert_int_equal(status_find(name, strlen(name)), s);
		assert_int_equal(status_find(name, strlen(name) - 1), STATUS_OK);
	}
	assert_string_equal(status_name(STATUS_OK), "");
	assert_int_equal(status_find("", 0), STATUS_OK);
	assert_int_equal(status_find("KeyError", 8), STATUS_OK);
}

static void
an_error_is_type_and_message_and_future_where_there_is_one(void **state)
{
	struct error_view v;
	struct buf b;

	(void)state;
	buf_init(&b);
	error_pack(&b, STATUS_VALUE, 0, "expected %s, got %d", "a str", 7);
	assert_int_equal(b.data[0], 0x82);
	v = read_back(&b);
	assert_int_equal(v.status, STATUS_VALUE);
	assert_text(v.type, v.type_len, "ValueError");
	assert_text(v.message, v.message_len, "expected a str, got 7");
	assert_int_equal(v.future, 0);
	assert_false(v.task || v.has_exit);
	assert_null(v.traceback);
	assert_null(v.stderr_tail);
	buf_clear(&b);

	error_pack(&b, STATUS_TIMEOUT, UINT64_C(1) << 52, NULL);
	v = read_back(&b);
	assert_true(v.future == UINT64_C(1) << 52);
	assert_text(v.message, v.message_len, status_text(STATUS_TIMEOUT));
	buf_clear(&b);
}

static void
extra_pairs_follow_and_are_read(void **state)
{
	struct error_view v;
	struct buf b;

	(void)state;
	buf_init(&b);
	error_begin(&b, STATUS_WORKER_LOST, 9, 5, NULL);
	pack_key(&b, "signal");
	pack_uint(&b, 9);
	pack_key(&b, "exit");
	pack_int(&b, -1);
	pack_key(&b, "stderr");
	pack_bin(&b, "oops", 4);
	pack_key(&b, "traceback");
	pack_cstr(&b, "at line 1");
	pack_key(&b, "oom");
	pack_bool(&b, true);
	v = read_back(&b);
	assert_int_equal(v.status, STATUS_WORKER_LOST);
	assert_int_equal(v.signal, 9);
	assert_true(v.has_exit && v.exit == -1);
	assert_text((const char *)v.stderr_tail, v.stderr_len, "oops");
	assert_text(v.traceback, v.traceback_len, "at line 1");
	buf_clear(&b);
}

static void
a_tasks_own_error_is_never_one_of_ours(void **state)
{
	struct error_view v;
	struct buf b;

	(void)state;
	buf_init(&b);
	pack_map(&b, 2);
	pack_key(&b, "task");
	pack_bool(&b, true);
	pack_key(&b, "type");
	pack_cstr(&b, "TimeoutError");
	v = read_back(&b);
	assert_true(v.task);
	assert_int_equal(v.status, STATUS_OK);
	assert_text(v.message, v.message_len, "");
	buf_clear(&b);
}

static void
keys_and_types_that_are_not_expected_are_passed_over(void **state)
{
	struct error_view v;
	struct buf b;

	(void)state;
	buf_init(&b);
	pack_map(&b, 9);
	pack_uint(&b, 7);
	pack_array(&b, 1);
	pack_nil(&b);
	pack_key(&b, "message");
	pack_uint(&b, 3);
	pack_key(&b, "future");
	pack_int(&b, -3);
	pack_key(&b, "exit");
	pack_cstr(&b, "x");
	pack_key(&b, "stderr");
	pack_cstr(&b, "x");
	pack_key(&b, "task");
	pack_uint(&b, 1);
	pack_key(&b, "data");
	pack_map(&b, 1);
	pack_key(&b, "type");
	pack_cstr(&b, "inner");
	pack_key(&b, "type");
	pack_cstr(&b, "KeyError");
	pack_key(&b, "traceback");
	pack_nil(&b);
	v = read_back(&b);
	assert_text(v.type, v.type_len, "KeyError");
	assert_int_equal(v.status, STATUS_OK);
	assert_true(v.future == 0 && !v.has_exit && !v.task && v.stderr_tail == NULL);
	buf_clear(&b);
}

static void
what_is_no_error_map_is_refused_and_moves_nothing(void **state)
{
	static const struct { const char *bytes; size_t len; } wrong[] = {
		{ "", 0 }, { "\xc0", 1 }, { "\x80", 1 }, { "\x90", 1 }, { "\x81\xa4type\x05", 7 }, { "\x81\xa4type", 6 },
		{ "\x81\xa7message\xa1x", 11 }, { "\x82\xa4type\xa1X", 8 }, { "\xdf\xff\xff\xff\xff\xa4type\xa1X", 12 }, { "\x81\xa4type\xc1", 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct error_view v;
		struct reader r;

		reader_init(&r, wrong[i].bytes, wrong[i].len);
		assert_false(error_read(&r, &v));
		assert_ptr_equal(r.at, wrong[i].bytes);
	}
}

static void
a_message_is_cut_at_4_kib_between_characters(void **state)
{
	static const struct { const char *unit; size_t expected; } texts[] = {
		{ "x", 4096 }, { "\xc3\xa4", 4096 }, { "\xe2\x82\xac", 4095 }, { "\xf0\x9f\x98\x80", 4096 }, { "y\xf0\x9f\x98\x80", 4096 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (size_t shift = 0; shift < 4; shift++) {
			char text[9000] = "";
			struct error_view v;
			struct buf b;

			memset(text, '-', shift);
			for (size_t at = shift; at < 8000; at += strlen(texts[i].unit))
				strcpy(text + at, texts[i].unit);
			buf_init(&b);
			error_pack(&b, STATUS_VALUE, 0, "%s", text);
			v = read_back(&b);
			assert_in_range(v.message_len, 4096 - 3, 4096);
			if (shift == 0)
				assert_int_equal(v.message_len, texts[i].expected);
			assert_memory_equal(v.message, text, v.message_len);
			assert_true(utf8_is_valid(v.message, v.message_len));
			buf_clear(&b);
		}
}

static void
a_message_that_is_not_utf8_is_repaired(void **state)
{
	struct error_view v;
	struct buf b;

	(void)state;
	buf_init(&b);
	error_pack(&b, STATUS_UNKNOWN_POOL, 0, "no pool '%s'", "a\xff\xc3");
	v = read_back(&b);
	assert_text(v.message, v.message_len, "no pool 'a\xef\xbf\xbd\xef\xbf\xbd'");
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_a_name_that_is_found_again),
		cmocka_unit_test(an_error_is_type_and_message_and_future_where_there_is_one),
		cmocka_unit_test(extra_pairs_follow_and_are_read),
		cmocka_unit_test(a_tasks_own_error_is_never_one_of_ours),
		cmocka_unit_test(keys_and_types_that_are_not_expected_are_passed_over),
		cmocka_unit_test(what_is_no_error_map_is_refused_and_moves_nothing),
		cmocka_unit_test(a_message_is_cut_at_4_kib_between_characters),
		cmocka_unit_test(a_message_that_is_not_utf8_is_repaired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

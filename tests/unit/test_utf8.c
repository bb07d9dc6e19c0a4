/* UTF-8 at its edges: the bounds of each length, surrogates, overlong forms, cut characters. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/utf8.h"

#define VALID(s) assert_true(utf8_is_valid((s), sizeof (s) - 1))
#define INVALID(s) assert_false(utf8_is_valid((s), sizeof (s) - 1))

static void
bounds_of_each_length_are_valid(void **state)
{
	(void)state;
	VALID("");
	VALID("\0");
	VALID("\x7f");
	VALID("\xc2\x80");
	VALID("\xdf\xbf");
	VALID("\xe0\xa0\x80");
	VALID("\xed\x9f\xbf");
	VALID("\xee\x80\x80");
	VALID("\xef\xbf\xbf");
	VALID("\xf0\x90\x80\x80");
	VALID("\xf4\x8f\xbf\xbf");
}

static void
overlong_forms_are_invalid(void **state)
{
	(void)state;
	INVALID("\xc0\x80");
	INVALID("\xc1\xbf");
	INVALID("\xe0\x80\x80");
	INVALID("\xe0\x9f\xbf");
	INVALID("\xf0\x80\x80\x80");
	INVALID("\xf0\x8f\xbf\xbf");
}

static void
surrogates_and_beyond_unicode_are_invalid(void **state)
{
	(void)state;
	INVALID("\xed\xa0\x80");
	INVALID("\xed\xbf\xbf");
	INVALID("\xf4\x90\x80\x80");
	INVALID("\xf5\x80\x80\x80");
	INVALID("\xf8\x88\x80\x80\x80");
	INVALID("\xfe");
	INVALID("\xff");
}

static void
stray_and_missing_tails_are_invalid(void **state)
{
	(void)state;
	INVALID("\x80");
	INVALID("\xbf");
	INVALID("\xc2");
	INVALID("\xc2" "a");
	INVALID("\xe2\x82");
	INVALID("\xe2\x82" "a");
	INVALID("\xe2" "a\xac");
	INVALID("\xf0\x9f\x98");
	INVALID("\xf0\x9f\x98" "a");
	INVALID("a\xc2\x80\x80");
}

/* The eight bytes at a time must not hide what stands at any offset. */
static void
a_bad_byte_is_found_at_every_offset(void **state)
{
	(void)state;
	for (size_t len = 1; len < 40; len++)
		for (size_t at = 0; at < len; at++) {
			char text[40];

			memset(text, 'a', sizeof text);
			assert_true(utf8_is_valid(text, len));
			text[at] = (char)0xff;
			assert_false(utf8_is_valid(text, len));
			assert_int_equal(utf8_valid_prefix(text, len), at);
		}
}

/* Every code point, encoded by arithmetic, is valid exactly if it is a scalar value, and no prefix of it is a character. */
static void
every_scalar_value_and_no_other_is_valid(void **state)
{
	(void)state;
	for (uint32_t c = 0x800; c < 0x120000; c++) {
		char text[4];
		size_t n = 0;
		bool scalar = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);

		if (c < 0x10000) {
			text[n++] = (char)(0xe0 | c >> 12);
		} else {
			text[n++] = (char)(0xf0 | c >> 18);
			text[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		}
		text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		text[n++] = (char)(0x80 | (c & 0x3f));
		if (utf8_length(text, n) != (scalar ? n : 0) || utf8_length(text, n - 1) != 0)
			fail_msg("U+%04X", c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_of_each_length_are_valid),
		cmocka_unit_test(overlong_forms_are_invalid),
		cmocka_unit_test(surrogates_and_beyond_unicode_are_invalid),
		cmocka_unit_test(stray_and_missing_tails_are_invalid),
		cmocka_unit_test(a_bad_byte_is_found_at_every_offset),
		cmocka_unit_test(every_scalar_value_and_no_other_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The reader: what pack writes it reads back, every encoding counts, a wrong type or a cut value moves nothing. */
#include <float.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/pack.h"
#include "proto/reader.h"

/* A reader over a literal. */
#define READER(r, s) reader_init(&(r), (s), sizeof (s) - 1)

static void
what_pack_writes_is_read_back(void **state)
{
	const uint8_t *bytes;
	const char *s;
	struct reader r;
	struct buf b;
	uint32_t count;
	int64_t i;
	uint64_t u;
	int8_t type;
	double d;
	size_t len;
	bool yes;

	(void)state;
	buf_init(&b);
	pack_nil(&b);
	pack_bool(&b, true);
	pack_bool(&b, false);
	pack_int(&b, INT64_MIN);
	pack_uint(&b, UINT64_MAX);
	pack_double(&b, DBL_MAX);
	pack_str(&b, "a\0b", 3);
	pack_cstr(&b, "text");
	pack_bin(&b, "\xff\xfe", 2);
	pack_bin_header(&b, 1);
	buf_append(&b, "x", 1);
	pack_str_header(&b, 2);
	buf_append(&b, "yz", 2);
	pack_array(&b, 70000);
	pack_map(&b, 17);
	pack_ext(&b, -3, "12345678", 8);
	pack_ext(&b, 1, "123", 3);
	pack_key(&b, "key");
	pack_raw(&b, "\x07", 1);
	reader_init(&r, b.data, b.len);
	assert_true(read_nil(&r));
	assert_true(read_bool(&r, &yes) && yes);
	assert_true(read_bool(&r, &yes) && !yes);
	assert_true(read_int(&r, &i) && i == INT64_MIN);
	assert_true(read_uint(&r, &u) && u == UINT64_MAX);
	assert_true(read_number(&r, &d) && d == DBL_MAX);
	assert_true(read_str(&r, &s, &len) && len == 3 && memcmp(s, "a\0b", 3) == 0);
	assert_true(read_text(&r, &s, &len) && len == 4 && memcmp(s, "text", 4) == 0);
	assert_true(read_bin(&r, &bytes, &len) && len == 2 && memcmp(bytes, "\xff\xfe", 2) == 0);
	assert_true(read_text(&r, &s, &len) && len == 1 && *s == 'x');
	assert_true(read_is(&r, "yz"));
	assert_true(read_array(&r, &count) && count == 70000);
	assert_true(read_map(&r, &count) && count == 17);
	assert_true(read_ext(&r, &type, &bytes, &len) && type == -3 && len == 8 && memcmp(bytes, "12345678", 8) == 0);
	assert_true(read_ext(&r, &type, &bytes, &len) && type == 1 && len == 3 && memcmp(bytes, "123", 3) == 0);
	assert_true(read_is(&r, "key"));
	assert_true(read_uint(&r, &u) && u == 7);
	assert_true(reader_is_at_end(&r));
	buf_clear(&b);
}

static void
text_that_is_not_utf8_is_repaired(void **state)
{
	static const struct { const char *in, *out; } texts[] = {
		{ "plain", "plain" }, { "", "" }, { "\xff", "\xef\xbf\xbd" }, { "a\xc3\xa4z", "a\xc3\xa4z" },
		{ "a\xc3", "a\xef\xbf\xbd" }, { "\x80x\x80", "\xef\xbf\xbdx\xef\xbf\xbd" }, { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct reader r;
		struct buf b;
		const char *s;
		size_t len;

		buf_init(&b);
		pack_text(&b, texts[i].in, strlen(texts[i].in));
		reader_init(&r, b.data, b.len);
		assert_true(read_str(&r, &s, &len));
		assert_int_equal(len, strlen(texts[i].out));
		assert_memory_equal(s, texts[i].out, len);
		assert_true(reader_is_at_end(&r));
		buf_clear(&b);
	}
}

static void
a_length_over_32_bits_fails_the_buffer(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	pack_bin_header(&b, (size_t)UINT32_MAX + 1);
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
	pack_array(&b, (size_t)UINT32_MAX + 1);
	assert_true(b.failed);
	buf_clear(&b);
}

static void
every_integer_encoding_counts(void **state)
{
	static const struct { const char *bytes; size_t len; int64_t value; } ints[] = {
		{ "\x05", 1, 5 }, { "\xcc\x05", 2, 5 }, { "\xcd\0\x05", 3, 5 }, { "\xce\0\0\0\x05", 5, 5 },
		{ "\xcf\0\0\0\0\0\0\0\x05", 9, 5 }, { "\xd0\x05", 2, 5 }, { "\xd1\0\x05", 3, 5 }, { "\xd2\0\0\0\x05", 5, 5 },
		{ "\xd3\0\0\0\0\0\0\0\x05", 9, 5 }, { "\xff", 1, -1 }, { "\xe0", 1, -32 }, { "\xd0\xff", 2, -1 },
		{ "\xd0\x80", 2, -128 }, { "\xd1\x80\0", 3, -32768 }, { "\xd2\x80\0\0\0", 5, INT32_MIN },
		{ "\xd3\x80\0\0\0\0\0\0\0", 9, INT64_MIN }, { "\xcc\xff", 2, 255 }, { "\xcd\xff\xff", 3, 65535 },
		{ "\xce\xff\xff\xff\xff", 5, UINT32_MAX }, { "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
		struct reader r;
		int64_t v;
		uint64_t u;
		double d;

		reader_init(&r, ints[i].bytes, ints[i].len);
		assert_int_equal(reader_peek(&r), READER_INT);
		assert_int_equal(read_uint(&r, &u), ints[i].value >= 0);
		reader_init(&r, ints[i].bytes, ints[i].len);
		assert_true(read_number(&r, &d));
		assert_true(d == (double)ints[i].value);
		reader_init(&r, ints[i].bytes, ints[i].len);
		assert_true(read_int(&r, &v));
		assert_true(v == ints[i].value);
		assert_true(reader_is_at_end(&r));
		for (size_t len = 0; len < ints[i].len; len++) {
			reader_init(&r, ints[i].bytes, len);
			assert_int_equal(reader_peek(&r), READER_END);
			assert_false(read_int(&r, &v));
			assert_false(read_number(&r, &d));
			assert_ptr_equal(r.at, ints[i].bytes);
		}
	}
}

static void
an_integer_that_does_not_fit_is_refused(void **state)
{
	struct reader r;
	uint64_t u;
	int64_t v;

	(void)state;
	READER(r, "\xcf\x80\0\0\0\0\0\0\0");
	assert_false(read_int(&r, &v));
	assert_true(read_uint(&r, &u) && u == UINT64_C(1) << 63);
}

static void
numbers_are_ints_and_floats_of_both_widths(void **state)
{
	struct reader r;
	int64_t v;
	double d;

	(void)state;
	READER(r, "\xca\x3f\xc0\0\0\xcb\xbf\xf8\0\0\0\0\0\0\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
	assert_false(read_int(&r, &v));
	assert_true(read_number(&r, &d) && d == 1.5);
	assert_int_equal(reader_peek(&r), READER_FLOAT);
	assert_true(read_number(&r, &d) && d == -1.5);
	assert_true(read_number(&r, &d) && d == 18446744073709551616.0);
}

/* Each value type against each reading function: only its own moves the cursor. */
static void
a_value_of_another_type_moves_nothing(void **state)
{
	static const struct { const char *bytes; size_t len; enum reader_type type; const char *name; } values[] = {
		{ "\xc0", 1, READER_NIL, "nil" }, { "\xc3", 1, READER_BOOL, "bool" }, { "\x01", 1, READER_INT, "int" },
		{ "\xca\0\0\0\0", 5, READER_FLOAT, "float" }, { "\xa1x", 2, READER_STR, "str" }, { "\xd9\x01x", 3, READER_STR, "str" },
		{ "\xda\0\x01x", 4, READER_STR, "str" }, { "\xdb\0\0\0\x01x", 6, READER_STR, "str" },
		{ "\xc4\x01x", 3, READER_BIN, "bin" }, { "\xc5\0\x01x", 4, READER_BIN, "bin" }, { "\xc6\0\0\0\x01x", 6, READER_BIN, "bin" },
		{ "\x90", 1, READER_ARRAY, "array" }, { "\xdc\0\0", 3, READER_ARRAY, "array" }, { "\xdd\0\0\0\0", 5, READER_ARRAY, "array" },
		{ "\x80", 1, READER_MAP, "map" }, { "\xde\0\0", 3, READER_MAP, "map" }, { "\xdf\0\0\0\0", 5, READER_MAP, "map" },
		{ "\xd4\x01x", 3, READER_EXT, "ext" }, { "\xd7\x01xxxxxxxx", 10, READER_EXT, "ext" }, { "\xc7\x01\x01x", 4, READER_EXT, "ext" },
		{ "\xc8\0\0\x01", 4, READER_EXT, "ext" }, { "\xc9\0\0\0\0\x01", 6, READER_EXT, "ext" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		for (size_t len = 0; len <= values[i].len; len++) {
			enum reader_type t = values[i].type;
			const uint8_t *begin = (const uint8_t *)values[i].bytes, *bytes;
			bool whole = len == values[i].len, yes;
			struct reader r;
			const char *s;
			uint32_t count;
			int64_t v;
			int8_t ext;
			size_t n;
			double d;

#define TRY(call, expected) do { \
		reader_init(&r, begin, len); \
		assert_int_equal((call), whole && (expected)); \
		assert_ptr_equal(r.at, begin + (whole && (expected) ? len : 0)); \
	} while (0)
			TRY(read_nil(&r), t == READER_NIL);
			TRY(read_bool(&r, &yes), t == READER_BOOL);
			TRY(read_int(&r, &v), t == READER_INT);
			TRY(read_number(&r, &d), t == READER_INT || t == READER_FLOAT);
			TRY(read_str(&r, &s, &n), t == READER_STR);
			TRY(read_bin(&r, &bytes, &n), t == READER_BIN);
			TRY(read_text(&r, &s, &n), t == READER_STR || t == READER_BIN);
			TRY(read_array(&r, &count), t == READER_ARRAY);
			TRY(read_map(&r, &count), t == READER_MAP);
			TRY(read_ext(&r, &ext, &bytes, &n), t == READER_EXT);
			TRY(read_is(&r, "x"), t == READER_STR);
			TRY(read_is(&r, "y"), false);
			TRY(read_is(&r, "xx"), false);
			TRY(read_skip(&r), true);
			TRY(read_raw(&r, &bytes, &n), true);
#undef TRY
			if (whole) {
				reader_init(&r, begin, len);
				assert_int_equal(reader_peek(&r), t);
				assert_string_equal(reader_type_name(t), values[i].name);
			}
		}
}

static void
the_byte_c1_is_bad(void **state)
{
	struct reader r;

	(void)state;
	READER(r, "\xc1");
	assert_int_equal(reader_peek(&r), READER_BAD);
	assert_false(read_skip(&r));
	READER(r, "\x92\x01\xc1");
	assert_false(read_skip(&r));
}

static void
skip_passes_over_nested_values_and_no_further(void **state)
{
	const uint8_t *bytes;
	struct reader r;
	size_t len;

	(void)state;
	READER(r, "\x93\x01\x82\xa1" "a\x91\xc0\xa1" "b\xc4\x02xy\x90" "\x07");
	assert_true(read_raw(&r, &bytes, &len));
	assert_int_equal(len, 14);
	assert_true(r.at == bytes + 14 && *r.at == 7);
}

static void
skip_of_a_cut_value_fails_at_every_cut(void **state)
{
	static const char value[] = "\x93\x01\x82\xa1" "a\x91\xc0\xa1" "b\xc4\x02xy\x90";

	(void)state;
	for (size_t len = 0; len < sizeof value - 1; len++) {
		char *copy = malloc(len + 1);
		struct reader r;

		memcpy(copy, value, len);
		reader_init(&r, copy, len);
		assert_false(read_skip(&r));
		assert_ptr_equal(r.at, copy);
		free(copy);
	}
}

static void
skip_of_a_giant_claim_fails_at_once(void **state)
{
	struct reader r;
	char *bytes = malloc(5 << 18);

	(void)state;
	READER(r, "\xdd\xff\xff\xff\xff\x01\x01");
	assert_false(read_skip(&r));
	READER(r, "\xdf\xff\xff\xff\xff\xdf\xff\xff\xff\xff");
	assert_false(read_skip(&r));
	for (size_t i = 0; i < 1 << 18; i++)
		memcpy(bytes + 5 * i, "\xdf\xff\xff\xff\xff", 5);
	reader_init(&r, bytes, 5 << 18);
	assert_false(read_skip(&r));
	free(bytes);
}

static void
any_depth_is_skipped_and_depth_is_counted_to_255(void **state)
{
	static const unsigned depths[] = { 0, 1, 2, 24, 32, 33, 254, 255, 256, 100000 };
	char *bytes = malloc(100002);

	(void)state;
	memset(bytes, '\x91', 100002);
	for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
		struct reader r;

		bytes[depths[i]] = '\xc0';
		reader_init(&r, bytes, depths[i] + 1);
		assert_int_equal(reader_depth(&r), depths[i] < 255 ? depths[i] : 255);
		assert_ptr_equal(r.at, bytes);
		assert_true(read_skip(&r) && reader_is_at_end(&r));
		bytes[depths[i]] = '\x91';
	}
	free(bytes);
}

static void
depth_is_that_of_the_deepest_branch(void **state)
{
	struct reader r;

	(void)state;
	READER(r, "\x90");
	assert_int_equal(reader_depth(&r), 1);
	READER(r, "\x93\x91\x91\x01\x90\x82\x01\x02\x03\x91\x90\x91\x91\x91\x91\x91");
	assert_int_equal(reader_depth(&r), 4); /* [[[1]], [], {1: 2, 3: [[]]}] and what follows does not count */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_pack_writes_is_read_back),
		cmocka_unit_test(text_that_is_not_utf8_is_repaired),
		cmocka_unit_test(a_length_over_32_bits_fails_the_buffer),
		cmocka_unit_test(every_integer_encoding_counts),
		cmocka_unit_test(an_integer_that_does_not_fit_is_refused),
		cmocka_unit_test(numbers_are_ints_and_floats_of_both_widths),
		cmocka_unit_test(a_value_of_another_type_moves_nothing),
		cmocka_unit_test(the_byte_c1_is_bad),
		cmocka_unit_test(skip_passes_over_nested_values_and_no_further),
		cmocka_unit_test(skip_of_a_cut_value_fails_at_every_cut),
		cmocka_unit_test(skip_of_a_giant_claim_fails_at_once),
		cmocka_unit_test(any_depth_is_skipped_and_depth_is_counted_to_255),
		cmocka_unit_test(depth_is_that_of_the_deepest_branch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Packing by hand and by format, options, ids, and looking at values. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "client/packer.h"

static struct futured_pack *pack;

static int
setup(void **state)
{
	(void)state;
	pack = futured_pack_new();
	return pack == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	futured_pack_free(pack);
	return 0;
}

static void
assert_packed(const char *bytes, size_t len)
{
	assert_int_equal(futured_pack_status(pack), FUTURED_OK);
	assert_int_equal(futured_pack_size(pack), len);
	assert_memory_equal(futured_pack_value(pack).at, bytes, len);
}
#define PACKED(bytes) assert_packed((bytes), sizeof (bytes) - 1)

static void
a_format_packs_each_letter(void **state)
{
	(void)state;
	futured_packf(pack, "i I u b b n", -1, (int64_t)-2, (uint64_t)200, 1, 0);
	PACKED("\xff\xfe\xcc\xc8\xc3\xc2\xc0");
	assert_int_equal(pack->values, 6);
}

static void
strings_are_str_where_they_are_utf8(void **state)
{
	(void)state;
	futured_packf(pack, "s t t S B t", "a", "\xc3\xa9", "\xff", "bcd", (size_t)2, "\0x", (size_t)2, (const char *)NULL);
	PACKED("\xa1" "a" "\xa2\xc3\xa9" "\xc4\x01\xff" "\xa2" "bc" "\xc4\x02\0x" "\xc0");
}

static void
containers_nest(void **state)
{
	(void)state;
	futured_packf(pack, "[i{s[ii]s n}[]]", 1, "a", 2, 3, "b");
	PACKED("\x93\x01\x82\xa1" "a\x92\x02\x03\xa1" "b\xc0\x90");
	assert_int_equal(pack->values, 1);
}

static void
a_future_is_ext_one(void **state)
{
	(void)state;
	futured_packf(pack, "r", (uint64_t)42);
	PACKED("\xd7\x01\0\0\0\0\0\0\0\x2a");
}

static void
wrong_formats_are_refused(void **state)
{
	static const char *const wrong[] = { "x", "[i", "{i}", "[{i]" };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		futured_pack_reset(pack);
		futured_packf(pack, wrong[i], 1, 1);
		assert_int_equal(futured_pack_status(pack), FUTURED_VALUE);
	}
	futured_pack_reset(pack);
	futured_pack_array(pack, 2);
	futured_pack_nil(pack);
	assert_int_equal(futured_pack_status(pack), FUTURED_VALUE);
	futured_pack_nil(pack);
	assert_int_equal(futured_pack_status(pack), FUTURED_OK);
}

static void
options_are_a_map_without_repeated_keys(void **state)
{
	struct futured_options *o = futured_options_new();

	(void)state;
	futured_options_pack(NULL, pack);
	futured_options_pack(o, pack);
	futured_options_set(o, "a", "i", 1);
	futured_options_set(o, "b", "[ii]", 1, 2);
	futured_options_pack(o, pack);
	PACKED("\x80\x80\x82\xa1" "a\x01\xa1" "b\x92\x01\x02");
	futured_options_set(o, "a", "i", 2);
	futured_options_pack(o, pack);
	assert_int_equal(futured_pack_status(pack), FUTURED_VALUE);
	futured_options_free(o);
}

static void
an_option_has_one_value(void **state)
{
	struct futured_options *o = futured_options_new();

	(void)state;
	futured_options_set(o, "a", "ii", 1, 2);
	futured_options_pack(o, pack);
	assert_int_equal(futured_pack_status(pack), FUTURED_VALUE);
	futured_options_free(o);
}

static void
consecutive_ids_are_pairs(void **state)
{
	static const uint64_t ids[] = { 1, 2, 7, 8, 9, 10, 4, 3 };

	(void)state;
	futured_pack_ids(pack, ids, 8);
	PACKED("\x95\x01\x02\x92\x07\x04\x04\x03");
	futured_pack_reset(pack);
	futured_pack_ids(pack, ids, 0);
	PACKED("\x90");
}

static void
values_are_read_by_their_type_only(void **state)
{
	struct futured_value v, inside, item;
	const char *s;
	int64_t i = 5;
	uint64_t u = 5;
	double d;
	size_t n;
	bool b;

	(void)state;
	futured_packf(pack, "{si sd ss s[ib]}", "i", -3, "d", 1.5, "s", "text", "a", 7, 1);
	v = futured_pack_value(pack);
	assert_int_equal(futured_value_type(v), FUTURED_TYPE_MAP);
	assert_true(futured_find_int(v, "i", &i) && i == -3);
	assert_false(futured_find_uint(v, "i", &u));
	assert_int_equal(u, 5);
	assert_true(futured_find_number(v, "i", &d) && d == -3);
	assert_true(futured_find_number(v, "d", &d) && d == 1.5);
	assert_false(futured_find_int(v, "d", &i));
	assert_true(futured_find_text(v, "s", &s, &n) && n == 4 && memcmp(s, "text", 4) == 0);
	assert_false(futured_find_int(v, "nosuch", &i));
	assert_true(futured_value_find(v, "a", &item));
	assert_true(futured_value_array(item, &n, &inside) && n == 2);
	assert_true(futured_value_next(&inside, &item) && futured_value_int(item, &i) && i == 7);
	assert_true(futured_value_next(&inside, &item) && futured_value_bool(item, &b) && b);
}

static void
no_value_is_of_no_type(void **state)
{
	struct futured_value none = { NULL, NULL }, out;
	int64_t i;

	(void)state;
	assert_int_equal(futured_value_type(none), FUTURED_TYPE_NONE);
	assert_false(futured_value_int(none, &i));
	assert_false(futured_value_find(none, "x", &out));
	assert_false(futured_value_next(&none, &out));
	assert_string_equal(futured_type_name(FUTURED_TYPE_NONE), "nothing");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_format_packs_each_letter),
		T(strings_are_str_where_they_are_utf8),
		T(containers_nest),
		T(a_future_is_ext_one),
		T(wrong_formats_are_refused),
		T(options_are_a_map_without_repeated_keys),
		T(an_option_has_one_value),
		T(consecutive_ids_are_pairs),
		T(values_are_read_by_their_type_only),
		T(no_value_is_of_no_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

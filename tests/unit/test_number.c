/* Sizes and durations as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/number.h"

#define MIB (1024u * 1024u)

static void
sizes_and_durations_are_exact(void **state)
{
	static const struct {
		enum number_unit unit;
		const char *text;
		enum number_verdict verdict;
		uint64_t value;
	} t[] = {
		{NUMBER_SIZE, "0", NUMBER_OK, 0}, {NUMBER_SIZE, "4096", NUMBER_OK, 4096}, {NUMBER_SIZE, "7B", NUMBER_OK, 7},
		{NUMBER_SIZE, "10kB", NUMBER_OK, 10000}, {NUMBER_SIZE, "64MiB", NUMBER_OK, 64u * MIB},
		{NUMBER_SIZE, "64 MiB", NUMBER_OK, 64u * MIB}, {NUMBER_SIZE, "1.5KiB", NUMBER_OK, 1536},
		{NUMBER_SIZE, "1.1GB", NUMBER_OK, 1100000000}, {NUMBER_SIZE, "1GiB", NUMBER_OK, 1024u * MIB},
		{NUMBER_SIZE, "2TiB", NUMBER_OK, UINT64_C(2) << 40}, {NUMBER_SIZE, "3TB", NUMBER_OK, UINT64_C(3000000000000)},
		{NUMBER_SIZE, "18446744073709551615", NUMBER_OK, UINT64_MAX},
		{NUMBER_SIZE, "18446744073709551616", NUMBER_TOO_LARGE, 0}, {NUMBER_SIZE, "16777216TiB", NUMBER_TOO_LARGE, 0},
		{NUMBER_SIZE, "16777215.99999999TiB", NUMBER_UNEVEN, 0}, {NUMBER_SIZE, "0.5", NUMBER_UNEVEN, 0},
		{NUMBER_SIZE, "1.0000000000000000000B", NUMBER_OK, 1}, {NUMBER_SIZE, "0.0000000000001TiB", NUMBER_UNEVEN, 0},
		{NUMBER_SIZE, "", NUMBER_BAD, 0}, {NUMBER_SIZE, "-1", NUMBER_BAD, 0}, {NUMBER_SIZE, "+1", NUMBER_BAD, 0},
		{NUMBER_SIZE, "1K", NUMBER_BAD, 0}, {NUMBER_SIZE, "1mb", NUMBER_BAD, 0}, {NUMBER_SIZE, "1.MiB", NUMBER_BAD, 0},
		{NUMBER_SIZE, ".5MiB", NUMBER_BAD, 0}, {NUMBER_SIZE, "1  MiB", NUMBER_BAD, 0}, {NUMBER_SIZE, "1 ", NUMBER_BAD, 0},
		{NUMBER_SIZE, " 1", NUMBER_BAD, 0}, {NUMBER_SIZE, "1s", NUMBER_BAD, 0}, {NUMBER_SIZE, "0x10", NUMBER_BAD, 0},
		{NUMBER_DURATION, "30", NUMBER_OK, 30000000}, {NUMBER_DURATION, "30s", NUMBER_OK, 30000000},
		{NUMBER_DURATION, "5ms", NUMBER_OK, 5000}, {NUMBER_DURATION, "7us", NUMBER_OK, 7},
		{NUMBER_DURATION, "2m", NUMBER_OK, 120000000}, {NUMBER_DURATION, "1.5h", NUMBER_OK, UINT64_C(5400000000)},
		{NUMBER_DURATION, "2d", NUMBER_OK, UINT64_C(172800000000)}, {NUMBER_DURATION, "1w", NUMBER_OK, UINT64_C(604800000000)},
		{NUMBER_DURATION, "0.000001", NUMBER_OK, 1}, {NUMBER_DURATION, "0.0000001", NUMBER_UNEVEN, 0},
		{NUMBER_DURATION, "0.5us", NUMBER_UNEVEN, 0}, {NUMBER_DURATION, "30512231w", NUMBER_TOO_LARGE, 0},
		{NUMBER_DURATION, "1h30m", NUMBER_BAD, 0}, {NUMBER_DURATION, "1H", NUMBER_BAD, 0}, {NUMBER_DURATION, "5MiB", NUMBER_BAD, 0},
		{NUMBER_COUNT, "12", NUMBER_OK, 12}, {NUMBER_COUNT, "1.0", NUMBER_BAD, 0}, {NUMBER_COUNT, "1k", NUMBER_BAD, 0},
		{NUMBER_COUNT, "99999999999999999999", NUMBER_TOO_LARGE, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		uint64_t value = 0;
		enum number_verdict v = number_parse(t[i].unit, t[i].text, &value);

		if (v != t[i].verdict || value != t[i].value)
			fail_msg("'%s': verdict %d, value %ju", t[i].text, (int)v, (uintmax_t)value);
	}
}

static void
numbers_are_written_as_they_are_read(void **state)
{
	static const uint64_t values[] = {0, 1, 999, 1000, 1024, 1536, 1000000, 60000000, 3600000000, UINT64_C(86400000000),
		UINT64_C(1) << 40, UINT64_MAX};
	enum number_unit unit;
	size_t i;

	(void)state;
	for (unit = NUMBER_COUNT; unit <= NUMBER_DURATION; unit++)
		for (i = 0; i < sizeof(values) / sizeof(*values); i++) {
			char text[40];
			uint64_t back = 77;

			number_format(unit, values[i], text, sizeof(text));
			assert_int_equal(number_parse(unit, text, &back), NUMBER_OK);
			assert_int_equal(back, values[i]);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_durations_are_exact),
		cmocka_unit_test(numbers_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

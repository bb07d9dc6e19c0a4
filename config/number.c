/* Decimal fractions are computed in integers, so that 1.1GB is exactly 1,100,000,000 and a limit is what was written. */
#include "config/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FRACTION_DIGITS = 12 }; /* enough for any whole result: no factor has more */

struct unit {
	const char *name;
	uint64_t factor;
	bool shown; /* number_format may choose it */
};

/* Each list from small to large. */
static const struct unit counts[] = {{"", 1, true}, {NULL, 0, false}};
static const struct unit sizes[] = {
	{"", 1, true}, {"B", 1, false}, {"kB", 1000, false}, {"KiB", 1u << 10, true}, {"MB", 1000000, false},
	{"MiB", 1u << 20, true}, {"GB", 1000000000, false}, {"GiB", 1u << 30, true}, {"TB", 1000000000000, false},
	{"TiB", UINT64_C(1) << 40, true}, {NULL, 0, false},
};
static const struct unit durations[] = {
	{"us", 1, true}, {"ms", 1000, true}, {"", 1000000, false}, {"s", 1000000, true}, {"m", 60000000, true},
	{"h", 3600000000, true}, {"d", 86400000000, true}, {"w", 604800000000, false}, {NULL, 0, false},
};
static const struct unit *const units[] = {
	[NUMBER_COUNT] = counts, [NUMBER_SIZE] = sizes, [NUMBER_DURATION] = durations,
};

static const struct unit *
unit_find(enum number_unit unit, const char *name)
{
	const struct unit *u;

	for (u = units[unit]; u->name; u++)
		if (!strcmp(u->name, name))
			return u;
	return NULL;
}

/* Passes over digits; false if they do not fit. */
static bool
digits_read(const char **at, uint64_t *value)
{
	bool fits = true;

	for (; **at >= '0' && **at <= '9'; ++*at)
		fits = fits && !__builtin_mul_overflow(*value, UINT64_C(10), value) &&
			!__builtin_add_overflow(*value, (uint64_t)(**at - '0'), value);
	return fits;
}

/* The fraction behind the point, times the factor. False if that is no whole number. */
static bool
fraction_apply(const char *digit, const char *end, uint64_t factor, uint64_t *out)
{
	unsigned __int128 sum = 0;
	uint64_t scale = 1;

	while (end > digit && end[-1] == '0')
		end--;
	if (end - digit > FRACTION_DIGITS)
		return false;
	for (; digit < end; digit++) {
		scale *= 10;
		sum = sum * 10 + (unsigned)(*digit - '0');
	}
	sum *= factor;
	if (sum % scale)
		return false;
	*out = (uint64_t)(sum / scale);
	return true;
}

enum number_verdict
number_parse(enum number_unit unit, const char *text, uint64_t *out)
{
	const char *at = text, *point = NULL, *end;
	const struct unit *u;
	uint64_t value = 0, fraction = 0, ignored = 0;
	bool fits;

	if (*at < '0' || *at > '9')
		return NUMBER_BAD;
	fits = digits_read(&at, &value);
	if (*at == '.' && at[1] >= '0' && at[1] <= '9' && unit != NUMBER_COUNT) {
		point = ++at;
		digits_read(&at, &ignored);
	}
	end = at;
	if (*at == ' ' && at[1])
		at++;
	u = unit_find(unit, at);
	if (!u)
		return NUMBER_BAD;
	if (!fits || __builtin_mul_overflow(value, u->factor, &value))
		return NUMBER_TOO_LARGE;
	if (point && !fraction_apply(point, end, u->factor, &fraction))
		return NUMBER_UNEVEN;
	if (__builtin_add_overflow(value, fraction, &value))
		return NUMBER_TOO_LARGE;
	*out = value;
	return NUMBER_OK;
}

const char *
number_format(enum number_unit unit, uint64_t value, char *out, size_t size)
{
	const struct unit *u, *best = NULL;

	for (u = units[unit]; u->name; u++)
		if (u->shown && (!best || (value && value % u->factor == 0)))
			best = u;
	snprintf(out, size, "%" PRIu64 "%s", value / best->factor, value ? best->name : "");
	return out;
}

/* Well-formedness by the table of the Unicode standard (3-7): only the second byte has special bounds, chosen by the
 * first, and they are what excludes overlong forms, surrogates and everything above U+10FFFF. */
#include <stdint.h>
#include <string.h>

#include "proto/utf8.h"

static bool
is_tail(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

static bool
second_fits(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0: return second >= 0xa0 && second <= 0xbf;
	case 0xed: return second >= 0x80 && second <= 0x9f;
	case 0xf0: return second >= 0x90 && second <= 0xbf;
	case 0xf4: return second >= 0x80 && second <= 0x8f;
	default: return is_tail(second);
	}
}

size_t
utf8_length(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t need;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len < need || !second_fits(p[0], p[1]))
		return 0;
	for (size_t i = 2; i < need; i++)
		if (!is_tail(p[i]))
			return 0;
	return need;
}

size_t
utf8_valid_prefix(const char *s, size_t len)
{
	size_t at = 0;

	while (at < len) {
		uint64_t eight;
		size_t step;

		if (len - at >= sizeof eight) { /* ASCII, eight at a time */
			memcpy(&eight, s + at, sizeof eight);
			if ((eight & 0x8080808080808080u) == 0) {
				at += sizeof eight;
				continue;
			}
		}
		step = utf8_length(s + at, len - at);
		if (step == 0)
			break;
		at += step;
	}
	return at;
}

bool
utf8_is_valid(const char *s, size_t len)
{
	return utf8_valid_prefix(s, len) == len;
}

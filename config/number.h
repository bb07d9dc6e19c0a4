/* Numbers as people write them in a configuration: 4096, 64MiB, 1.5h. */
#ifndef FUTURED_CONFIG_NUMBER_H
#define FUTURED_CONFIG_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum number_unit {
	NUMBER_COUNT,    /* digits only */
	NUMBER_SIZE,     /* bytes: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB */
	NUMBER_DURATION, /* microseconds: us, ms, s, m, h, d, w; without a unit seconds */
};

enum number_verdict {
	NUMBER_OK,
	NUMBER_BAD,       /* not such a number, or an unknown unit */
	NUMBER_TOO_LARGE, /* over 2^64 - 1 */
	NUMBER_UNEVEN,    /* a fraction of a byte or of a microsecond */
};

/* Reads the whole text. *out is written only on NUMBER_OK. */
enum number_verdict number_parse(enum number_unit unit, const char *text, uint64_t *out);
/* Writes it in the largest unit that leaves a whole number, as number_parse reads it. Returns out. */
const char *number_format(enum number_unit unit, uint64_t value, char *out, size_t size);

#endif

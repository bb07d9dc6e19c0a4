/* Rows of a store, made from bytes: of each table, with checksums that are right unless it is said otherwise, and with any value in any column.
 *
 * A row is what its table's rows usually are, but for what the bytes say: one value after the other, each a byte that chooses the column, a byte
 * that says what kind of value it is (enum rows_value), and what belongs to that. So no bytes at all are a good row too. */
#ifndef FUTURED_TESTS_FUZZ_ROWS_H
#define FUTURED_TESTS_FUZZ_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rows_table { ROWS_SPECS, ROWS_TASKS, ROWS_RESULTS, ROWS_OUTPUTS, ROWS_GATES, ROWS_KEYS, ROWS_POOLS, ROWS_SENT, ROWS_DAEMON, ROWS_BY_HAND, ROWS_TABLES };

enum rows_value {
	ROWS_NULL,
	ROWS_SMALL,  /* a signed byte */
	ROWS_LARGE,  /* eight bytes, low first */
	ROWS_EDGE,   /* a byte: which of a list of integers that are worth a try */
	ROWS_TEXT,   /* a length, a byte, and so many */
	ROWS_BLOB,   /* the same */
	ROWS_SAMPLE, /* a byte: which of a list of what fits that column, or almost */
	ROWS_LONG,   /* a byte: 64 times as many letters */
	ROWS_TIME,   /* a signed byte: seconds from now, wall clock microseconds */
	ROWS_REAL,   /* a byte: as ROWS_EDGE, but a floating point number */
	ROWS_VALUES
};

enum { ROWS_HOST = 1000000 }; /* of the boards that rows of `sent` name */

/* Before SQLite is used: there is one thread only. */
void rows_be_fast(void);
/* Where files of payloads are; for good. */
void rows_payloads_in(const char *directory);
/* The store in that file, which no daemon has open. */
void rows_open(const char *path);
/* A copy of it in which nothing is declared: any value may be anywhere, as often as one likes. */
void rows_make_loose(const char *path);
void rows_put(unsigned table, const uint8_t *data, size_t len);
/* Sums are filled in, and ids below the reserved mark. `logged`: what was put stays in the write-ahead log. */
void rows_close(bool logged);

/* ---- of what rows_close saw ---- */

/* A task that is pending, and whose own record or whose spec's has a wrong checksum; or one that is not, and whose outcome has. */
bool rows_is_damaged(uint64_t id);
/* Ids are so far from each other that the daemon's table of them takes more memory than is good for a fuzzer, and not so far that it would not try. */
bool rows_are_wide(void);
/* Rows of what belongs to futures, as the file has them. */
uint64_t rows_count(const char *path);

#endif

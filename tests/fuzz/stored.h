/* Steps of the target `store`, beside those of core.h: what is done to a store while no daemon has it open. */
#ifndef FUTURED_TESTS_FUZZ_STORED_H
#define FUTURED_TESTS_FUZZ_STORED_H

#include "tests/fuzz/core.h"

enum stored_step {
	STORED_ROW = CORE_STEPS, /* a row of table `who`, as in rows.h */
	STORED_FILE,             /* a file of a future: `who` is 0 its arguments, 1 its value, 2 its stdout, 3 its stderr; the first byte is its id */
	STORED_BOARD,            /* the boards of host ROWS_HOST + the first byte; then four bytes each: entry, id, state, and what the word says besides */
	STORED_DAMAGE,           /* of the store (even), its log (odd): where, in three bytes; then what is put there: `who` / 2 is 0 xor, 1 over it, 2 a sector of zeroes, 3 the end */
	STORED_KILL,             /* nothing but the kill -9: `who` & 1: when all is committed; & 2: rows of the next life are checkpointed */
	STORED_LOOSE,            /* as the first step: tables without types and keys */
	STORED_STEPS
};

#endif

/* Mutations that know what an input is (core.h) and what clients say: whole steps come, go and move, and calls are made up in which most of what there
 * is has the right type. */
#ifndef FUTURED_TESTS_FUZZ_MUTATE_H
#define FUTURED_TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* As LLVMFuzzerCustomMutator. `steps`: kinds of steps that are made up, those below that number. */
size_t mutate(uint8_t *data, size_t size, size_t max, unsigned seed, unsigned steps);

#endif

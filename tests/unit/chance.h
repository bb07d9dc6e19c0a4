/* Chance with a seed: a property test prints it, and FUTURED_SEED repeats it. */
#ifndef FUTURED_TESTS_CHANCE_H
#define FUTURED_TESTS_CHANCE_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static uint64_t chance_state;

static inline void
chance_begin(void)
{
	const char *seed = getenv("FUTURED_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	chance_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
	print_message("FUTURED_SEED=%llu\n", (unsigned long long)chance_state);
	chance_state |= 1;
}

/* 0 to below - 1 (xorshift64*). */
static inline uint64_t
chance(uint64_t below)
{
	chance_state ^= chance_state >> 12;
	chance_state ^= chance_state << 25;
	chance_state ^= chance_state >> 27;
	return (chance_state * UINT64_C(2685821657736338717) >> 16) % below;
}

#endif

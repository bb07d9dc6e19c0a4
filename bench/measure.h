/* What every measurement needs: the time, and samples in order. */
#ifndef FUTURED_BENCH_MEASURE_H
#define FUTURED_BENCH_MEASURE_H

#include <time.h>

/* Seconds, monotonic. */
static inline double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* For qsort, of double. */
static inline int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#endif

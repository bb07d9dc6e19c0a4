/* A histogram of durations, as Prometheus counts them: how many were at most so long, for bounds from 0.1 ms to an hour. */
#ifndef FUTURED_DAEMON_HISTOGRAM_H
#define FUTURED_DAEMON_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 16 };

struct histogram {
	uint64_t bucket[HISTOGRAM_BOUNDS + 1]; /* each counts what is above the bound before and not above its own; the last has no bound */
	uint64_t sum_us;
	unsigned near; /* the bucket of the last one, where the next is likely to fall, too */
};

/* In rising order; behind them UINT64_MAX. */
extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS + 1];

static inline void
histogram_add(struct histogram *h, uint64_t us)
{
	unsigned i = h->near;

	if (us > histogram_bounds_us[i] || (i && us <= histogram_bounds_us[i - 1])) {
		for (i = 0; us > histogram_bounds_us[i];)
			i++;
		h->near = i;
	}
	h->bucket[i]++;
	h->sum_us += us;
}

#endif

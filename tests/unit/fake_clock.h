/* A clock that stands until the test moves it: these take the place of daemon/clock.c, which is then not linked. */
#ifndef FUTURED_TESTS_FAKE_CLOCK_H
#define FUTURED_TESTS_FAKE_CLOCK_H

#include "daemon/clock.h"

static uint64_t fake_now_us = 1000000;

uint64_t
clock_now(void)
{
	return fake_now_us;
}

uint64_t
clock_refresh(void)
{
	return fake_now_us;
}

void
clock_forget(void)
{
}

double
clock_wall(uint64_t us)
{
	return (double)us / 1e6;
}

uint64_t
clock_us(double seconds)
{
	return (uint64_t)(seconds * 1e6);
}

int64_t
clock_wall_us(uint64_t us)
{
	return (int64_t)us;
}

uint64_t
clock_from_wall(int64_t wall_us)
{
	return (uint64_t)wall_us;
}

int64_t
clock_wall_now(void)
{
	return (int64_t)clock_now();
}

uint64_t
clock_read(void)
{
	return clock_now();
}

int64_t
clock_stored_offset(void)
{
	return 0;
}

bool
clock_set_stored_offset(int64_t us)
{
	(void)us;
	return true;
}

const char *
clock_boot(void)
{
	return "";
}

#endif

/* The nth allocation fails. The Makefile sends what the daemon's code allocates here (--wrap); cmocka's and libc's own stay as they are. */
#ifndef FUTURED_TESTS_FAILING_MEMORY_H
#define FUTURED_TESTS_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long memory_left = -1; /* allocations until one fails; negative: none does */
static bool memory_failed;    /* one did */

/* After `n` good allocations one fails, once. */
static inline void
memory_fail_after(long n)
{
	memory_left = n;
	memory_failed = false;
}

/* From here on none fails. Whether one did. */
static inline bool
memory_is_good_again(void)
{
	memory_left = -1;
	return memory_failed;
}

static inline bool
memory_fails(void)
{
	if (memory_left < 0 || memory_left-- > 0)
		return false;
	memory_failed = true;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return memory_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return memory_fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return memory_fails() ? NULL : __real_realloc(p, size);
}

#endif

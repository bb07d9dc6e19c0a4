/* Where this folder allocates, so that a test can make the nth allocation fail.
 *
 * Blocks are freed with free(). One thread at a time may load a configuration while a test has replaced the function. */
#ifndef FUTURED_CONFIG_MEMORY_H
#define FUTURED_CONFIG_MEMORY_H

#include <stddef.h>

/* realloc(3), unless a test put its own here. */
extern void *(*memory_realloc)(void *block, size_t size);

/* New zeroed bytes; NULL without memory. */
void *memory_new(size_t size);
/* A new string: a copy of `len` bytes and a NUL behind them; NULL without memory. */
char *memory_text(const char *bytes, size_t len);
/* An array of *cap elements with room for one more than `count`: grows `array` (doubling) and *cap where needed.
 * NULL without memory; the old array is then still good. */
void *memory_grow(void *array, size_t count, size_t *cap, size_t element);

#endif

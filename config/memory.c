/* The only caller of realloc in config/. Sizes are bounded by the file's size limit, far below any overflow. */
#include "config/memory.h"

#include <stdlib.h>
#include <string.h>

void *(*memory_realloc)(void *block, size_t size) = realloc;

void *
memory_new(size_t size)
{
	void *block = memory_realloc(NULL, size);

	if (block)
		memset(block, 0, size);
	return block;
}

char *
memory_text(const char *bytes, size_t len)
{
	char *copy = memory_realloc(NULL, len + 1);

	if (copy) {
		memcpy(copy, bytes, len);
		copy[len] = '\0';
	}
	return copy;
}

void *
memory_grow(void *array, size_t count, size_t *cap, size_t element)
{
	size_t more = *cap ? *cap * 2 : 4;
	void *grown;

	if (count < *cap)
		return array;
	grown = memory_realloc(array, more * element);
	if (grown)
		*cap = more;
	return grown;
}

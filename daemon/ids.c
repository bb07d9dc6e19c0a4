#include "daemon/ids.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/registry.h"

enum { SPAN_MAX = 1 << 30 }; /* ids: 128 MiB of bits, of which only touched pages exist */

bool
ids_add(struct ids *ids, uint64_t first, uint64_t count)
{
	if (!count)
		return true;
	struct id_run *last = ids->runs ? &ids->run[ids->runs - 1] : NULL;
	if (last && last->first + last->count == first) {
		last->count += count;
		ids->total += count;
		return true;
	}
	if (ids->runs == ids->size) {
		size_t size = ids->size ? ids->size * 2 : 4;
		struct id_run *bigger = realloc(ids->run, size * sizeof *bigger);
		if (!bigger)
			return false;
		ids->run = bigger;
		ids->size = size;
	}
	ids->run[ids->runs++] = (struct id_run){ .first = first, .count = count };
	ids->total += count;
	return true;
}

bool
ids_read_element(struct reader *r, uint64_t *first, uint64_t *count)
{
	uint32_t n = 0;

	*count = 1;
	if (read_array(r, &n) && (n != 2 || !read_uint(r, first) || !read_uint(r, count)))
		return false;
	if (n != 2 && !read_uint(r, first))
		return false;
	return *first >= 1 && *first <= REGISTRY_ID_MAX && *count <= REGISTRY_ID_MAX;
}

bool
ids_next(struct ids *ids, uint64_t *id)
{
	if (ids->at == ids->runs)
		return false;
	const struct id_run *run = &ids->run[ids->at];
	*id = run->first + ids->offset;
	if (++ids->offset == run->count) {
		ids->at++;
		ids->offset = 0;
	}
	return true;
}

void
ids_rewind(struct ids *ids)
{
	ids->at = 0;
	ids->offset = 0;
}

static bool
overlaps(const struct ids *ids)
{
	for (size_t i = 1; i < ids->runs; i++)
		if (ids->run[i].first < ids->run[i - 1].first + ids->run[i - 1].count)
			return true;
	return false;
}

/* Something may be named twice: the first mention of each is kept, in the order asked. A bit for each id between the smallest and the
 * largest: ids that are to be had lie close together, and a span too wide for that is told apart by no cheaper means. */
static bool
keep_first_mentions(struct ids *ids)
{
	uint64_t low = UINT64_MAX, high = 0, id;
	struct ids out = { .runs = 0 };

	for (size_t i = 0; i < ids->runs; i++) {
		const struct id_run *run = &ids->run[i];
		low = run->first < low ? run->first : low;
		high = run->first + run->count > high ? run->first + run->count : high;
	}
	uint8_t *seen = high - low <= SPAN_MAX ? calloc(1, (high - low) / 8 + 1) : NULL;
	bool done = seen != NULL;
	for (ids_rewind(ids); done && ids_next(ids, &id);) {
		uint8_t *byte = &seen[(id - low) / 8], bit = (uint8_t)(1u << (id - low) % 8);
		if (!(*byte & bit))
			done = ids_add(&out, id, 1);
		*byte |= bit;
	}
	free(seen);
	if (!done) {
		ids_clear(&out);
		return false;
	}
	free(ids->run);
	*ids = out;
	return true;
}

bool
ids_unique(struct ids *ids)
{
	bool done = !overlaps(ids) || keep_first_mentions(ids);
	ids_rewind(ids);
	return done;
}

void
ids_clear(struct ids *ids)
{
	free(ids->run);
	*ids = (struct ids){ .runs = 0 };
}

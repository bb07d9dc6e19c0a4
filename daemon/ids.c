#include "daemon/ids.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/registry.h"

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

struct ranked {
	uint64_t id;
	size_t rank;
};

static int
by_id(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->rank < y->rank ? -1 : 1;
}

static int
by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	return x->rank < y->rank ? -1 : 1;
}

static bool
overlaps(const struct ids *ids)
{
	for (size_t i = 1; i < ids->runs; i++)
		if (ids->run[i].first < ids->run[i - 1].first + ids->run[i - 1].count)
			return true;
	return false;
}

/* Something may be named twice: as single ids, sorted, the first mention of each kept, and back in the order asked. */
static bool
keep_first_mentions(struct ids *ids)
{
	struct ranked *all = malloc((size_t)ids->total * sizeof *all);
	struct ids out = { .runs = 0 };
	size_t n = 0, kept = 0;
	uint64_t id;

	if (!all)
		return false;
	for (ids_rewind(ids); ids_next(ids, &id); n++)
		all[n] = (struct ranked){ .id = id, .rank = n };
	qsort(all, n, sizeof *all, by_id);
	for (size_t i = 0; i < n; i++)
		if (!kept || all[i].id != all[kept - 1].id)
			all[kept++] = all[i];
	qsort(all, kept, sizeof *all, by_rank);
	bool done = true;
	for (size_t i = 0; i < kept && done; i++)
		done = ids_add(&out, all[i].id, 1);
	free(all);
	free(ids->run);
	*ids = out;
	return done;
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

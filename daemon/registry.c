#include "daemon/registry.h"

#include <stdlib.h>
#include <string.h>

/* Two levels: a growing table of pages, whose first entry stands for page number `base`. Pages at the front that were
 * freed are dropped from the table in time, so it is as long as the span of ids that are alive. */
static struct registry_page **table;
static uint64_t base, used, size;
static uint64_t next_id = 1;
static uint64_t pages;

/* Of the table, 2 GiB: ids that are further apart than this many pages are a damaged store's. */
#define SPAN_MAX (UINT64_C(1) << 28)

uint64_t
registry_reserve(uint64_t count)
{
	uint64_t first = next_id;
	next_id += count;
	return first;
}

void
registry_begin_at(uint64_t id)
{
	next_id = id;
}

uint64_t
registry_next(void)
{
	return next_id;
}

struct registry_page *
registry_page(uint64_t id)
{
	uint64_t number = id / REGISTRY_PAGE;
	return number >= base && number - base < used ? table[number - base] : NULL;
}

/* Drops freed pages at the front, once they are half of the table. */
static void
compact(void)
{
	uint64_t gone = 0;
	while (gone < used && !table[gone])
		gone++;
	if (!gone || gone < used / 2)
		return;
	memmove(table, table + gone, (used - gone) * sizeof *table);
	base += gone;
	used -= gone;
	if (size > 1024 && used < size / 4) {
		uint64_t wanted = size / 2;
		struct registry_page **smaller = realloc(table, wanted * sizeof *table);
		if (smaller) {
			table = smaller;
			size = wanted;
		}
	}
}

static bool
enlarge(uint64_t wanted)
{
	uint64_t more = size ? size * 2 : 64;
	if (more < wanted)
		more = wanted;
	struct registry_page **bigger = realloc(table, more * sizeof *table);
	if (!bigger)
		return false;
	table = bigger;
	size = more;
	return true;
}

/* Entries in a table that reaches page `number`. Ids reserved early and made late, a large map's, may lie before the first page. */
static uint64_t
span(uint64_t number)
{
	return !used ? 1 : number < base ? used + base - number : number - base + 1;
}

bool
registry_reaches(uint64_t id)
{
	return span(id / REGISTRY_PAGE) <= SPAN_MAX;
}

/* Makes the table reach page `number`. */
static bool
cover(uint64_t number)
{
	uint64_t wanted = span(number);

	if (wanted > SPAN_MAX || (wanted > size && !enlarge(wanted)))
		return false;
	if (!used)
		base = number;
	uint64_t before = number < base ? base - number : 0;
	if (before) {
		memmove(table + before, table, used * sizeof *table);
		memset(table, 0, before * sizeof *table);
		base = number;
		used += before;
	}
	while (used < wanted)
		table[used++] = NULL;
	return true;
}

struct future *
registry_make(uint64_t id)
{
	uint64_t number = id / REGISTRY_PAGE;
	struct registry_page *page = registry_page(id);

	if (!page) {
		compact();
		if (!cover(number) || !(page = malloc(sizeof *page)))
			return NULL;
		page->used = page->made = page->owned = 0;
		page->owner = NULL;
		page->watches = NULL;
		memset(page->known, 0, sizeof page->known);
		table[number - base] = page;
		pages++;
	}
	page->used++;
	page->made++;
	return &page->futures[id % REGISTRY_PAGE];
}

void
registry_note_owner(uint64_t id, const struct owner *owner)
{
	struct registry_page *page = registry_page(id);

	if (!page)
		return;
	if (!page->owned)
		page->owner = owner;
	else if (page->owner != owner)
		page->owner = NULL;
	page->owned++;
}

const struct owner *
registry_owner(uint64_t id)
{
	const struct registry_page *page = registry_page(id);
	return page && page->made == page->owned ? page->owner : NULL;
}

static void
mark(uint64_t id, bool known)
{
	struct registry_page *page = registry_page(id);
	uint64_t bit = UINT64_C(1) << (id % 64);
	uint64_t *word = &page->known[id % REGISTRY_PAGE / 64];
	*word = known ? *word | bit : *word & ~bit;
}

void
registry_show(uint64_t first, uint64_t count)
{
	uint64_t id = first, end = first + count;
	while (id < end) {
		if (id % 64 == 0 && end - id >= 64) {
			registry_page(id)->known[id % REGISTRY_PAGE / 64] = UINT64_MAX;
			id += 64;
		} else {
			mark(id++, true);
		}
	}
}

void
registry_hide(struct future *f)
{
	mark(f->id, false);
}

void
registry_free(struct future *f)
{
	uint64_t id = f->id;
	struct registry_page *page = registry_page(id);

	mark(id, false);
	if (--page->used || page->watches)
		return;
	free(page);
	pages--;
	table[id / REGISTRY_PAGE - base] = NULL;
}

struct future *
registry_find(uint64_t id)
{
	struct registry_page *page = registry_page(id);
	if (!page || !(page->known[id % REGISTRY_PAGE / 64] >> (id % 64) & 1))
		return NULL;
	return &page->futures[id % REGISTRY_PAGE];
}

struct future *
registry_pinned(uint64_t id)
{
	return &registry_page(id)->futures[id % REGISTRY_PAGE];
}

uint64_t
registry_missing(uint64_t first, uint64_t count)
{
	uint64_t id = first, end = first + count;
	while (id < end) {
		struct registry_page *page = registry_page(id);
		uint64_t word = page ? page->known[id % REGISTRY_PAGE / 64] : 0;
		if (id % 64 == 0 && end - id >= 64 && word == UINT64_MAX) {
			id += 64;
			continue;
		}
		if (!(word >> (id % 64) & 1))
			return id;
		id++;
	}
	return 0;
}

uint64_t
registry_after(uint64_t id)
{
	uint64_t end = (base + used) * REGISTRY_PAGE;

	if (id < base * REGISTRY_PAGE)
		id = base * REGISTRY_PAGE;
	while (id < end) {
		struct registry_page *page = registry_page(id);
		if (!page) {
			id = (id / REGISTRY_PAGE + 1) * REGISTRY_PAGE;
			continue;
		}
		uint64_t word = page->known[id % REGISTRY_PAGE / 64] >> (id % 64);
		if (word)
			return id + (uint64_t)__builtin_ctzll(word);
		id = (id / 64 + 1) * 64;
	}
	return 0;
}

uint64_t
registry_bytes(void)
{
	return pages * sizeof(struct registry_page) + size * sizeof *table;
}

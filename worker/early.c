#include "worker/early.h"

#include <stdlib.h>
#include <string.h>

struct early_input {
	struct early_input *next;
	uint64_t id;
	struct buf bytes;
	bool eof;
};

void
early_init(struct early *e)
{
	memset(e, 0, sizeof *e);
}

static struct early_input **
find(struct early *e, uint64_t id)
{
	struct early_input **at = &e->first;

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void
remove_at(struct early *e, struct early_input **at)
{
	struct early_input *gone = *at;

	*at = gone->next;
	e->held -= gone->bytes.len;
	e->count--;
	buf_clear(&gone->bytes);
	free(gone);
}

void
early_clear(struct early *e)
{
	while (e->first != NULL)
		remove_at(e, &e->first);
}

static bool
is_over(const struct early *e, uint64_t id)
{
	for (size_t i = 0; i < EARLY_OVER; i++)
		if (e->over[i] == id)
			return true;
	return false;
}

bool
early_add(struct early *e, uint64_t id, const void *bytes, size_t len, bool eof, size_t limit)
{
	struct early_input **at = find(e, id);

	if (is_over(e, id))
		return true;
	if (len > limit || e->held > limit - len)
		return false;
	if (*at == NULL) {
		if (e->count == BOARD_ENTRIES)
			return false;
		*at = calloc(1, sizeof **at);
		if (*at == NULL)
			return false;
		(*at)->id = id;
		e->count++;
	}
	if (!buf_append(&(*at)->bytes, bytes, len))
		return false;
	(*at)->eof = (*at)->eof || eof;
	e->held += len;
	return true;
}

bool
early_move(struct early *e, uint64_t id, struct feed *f)
{
	struct early_input **at;
	bool added;

	if (e->first == NULL || *(at = find(e, id)) == NULL)
		return true;
	added = feed_add(f, (*at)->bytes.data, (*at)->bytes.len, (*at)->eof);
	remove_at(e, at);
	return added;
}

void
early_forget(struct early *e, uint64_t id)
{
	struct early_input **at = find(e, id);

	if (*at != NULL)
		remove_at(e, at);
	e->over[e->next] = id;
	e->next = (e->next + 1) % EARLY_OVER;
}

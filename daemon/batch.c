#include "daemon/batch.h"

#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/spec.h"

/* Laid by for when there is no memory: enough for what a turn does. */
enum { SPARE = 16 };
static struct batch_chunk *spare;
static unsigned spares;

bool
batch_make_ready(void)
{
	while (spares < SPARE) {
		struct batch_chunk *c = malloc(sizeof *c);
		if (!c)
			break;
		c->next = spare;
		spare = c;
		spares++;
	}
	return spares != 0;
}

void
batch_out_of_memory(void)
{
	log_error("store", "out of memory: what happened cannot be noted, so the daemon ends; the store has what was promised");
	abort();
}

static struct batch_chunk *
take_chunk(void)
{
	struct batch_chunk *c = malloc(sizeof *c);

	if (!c && (c = spare)) {
		spare = c->next;
		spares--;
	}
	if (!c)
		batch_out_of_memory();
	c->next = NULL;
	c->count = 0;
	return c;
}

struct note *
batch_add(struct batch *b, enum note_verb verb, uint64_t id)
{
	if (!b->last || b->last->count == BATCH_CHUNK) {
		struct batch_chunk *c = take_chunk();
		if (b->last)
			b->last->next = c;
		else
			b->first = c;
		b->last = c;
	}
	struct note *n = &b->last->note[b->last->count++];
	*n = (struct note){ .verb = verb, .id = id };
	b->notes++;
	b->files |= verb == NOTE_FILE;
	b->hosts |= verb == NOTE_HOST_GONE;
	return n;
}

bool
batch_is_empty(const struct batch *b)
{
	return !b->notes;
}

static void
clear_note(struct note *n)
{
	switch (n->verb) {
	case NOTE_SPEC:
		spec_drop(n->u.spec);
		break;
	case NOTE_INSTANCE:
	case NOTE_GATE:
	case NOTE_KEY:
	case NOTE_POOL:
	case NOTE_CLOCK:
		free(n->u.name.text);
		free(n->u.name.owner);
		break;
	case NOTE_BY_HAND:
		free(n->u.by_hand.pool);
		free(n->u.by_hand.paused_by);
		break;
	default:
		break;
	}
	bytes_drop(&n->bytes);
	bytes_drop(&n->more);
	n->verb = NOTE_NOTHING;
}

void
batch_unaccept(struct batch *b)
{
	for (struct batch_chunk *c = b->first; c; c = c->next) {
		for (size_t i = 0; i < c->count; i++) {
			struct note *n = &c->note[i];
			if (n->verb != NOTE_TASK && n->verb != NOTE_TASKS && n->verb != NOTE_KEY)
				continue;
			b->notes--;
			b->bytes -= bytes_len(&n->bytes);
			clear_note(n);
		}
	}
}

void
batch_clear(struct batch *b)
{
	struct batch_chunk *c;

	while ((c = b->first)) {
		b->first = c->next;
		for (size_t i = 0; i < c->count; i++)
			clear_note(&c->note[i]);
		free(c);
	}
	*b = (struct batch){ .first = NULL };
}

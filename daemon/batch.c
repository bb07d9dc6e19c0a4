#include "daemon/batch.h"

#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/spec.h"

/* Chunks that were used before; one more than needed is always there, so that running out is met by a submit that can be refused. */
static struct batch_chunk *spare;

void
batch_out_of_memory(void)
{
	log_error("store", "out of memory: what happened cannot be noted, so the daemon ends; the store has what was promised");
	abort();
}

static struct batch_chunk *
take_chunk(void)
{
	struct batch_chunk *c = spare ? spare : malloc(sizeof *c);

	if (!c)
		batch_out_of_memory();
	spare = c == spare ? NULL : spare;
	if (!spare && (spare = malloc(sizeof *spare)))
		spare->next = NULL;
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
	case NOTE_GATE:
	case NOTE_KEY:
	case NOTE_FILE:
	case NOTE_POOL:
	case NOTE_POOL_GONE:
		free(n->u.name.text);
		free(n->u.name.owner);
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
			enum note_verb verb = c->note[i].verb;
			if (verb == NOTE_TASK || verb == NOTE_TASKS || verb == NOTE_KEY)
				clear_note(&c->note[i]);
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

#include "daemon/walk.h"

#include <stdlib.h>

#include "daemon/container.h"
#include "daemon/registry.h"
#include "proto/message.h"

enum { SLICE_BYTES = 256 * 1024 };

static void
walk_free(struct walk *w)
{
	turn_unschedule(&w->item);
	if (w->clear)
		w->clear(w);
	ids_clear(&w->ids);
	buf_clear(&w->out);
	free(w);
}

static bool
next(struct walk *w, uint64_t *id, struct future **f)
{
	if (w->next) {
		*f = w->next(w, w->last);
		if (*f)
			*id = w->last = (*f)->id;
		return *f != NULL;
	}
	if (!ids_next(&w->ids, id))
		return false;
	*f = registry_find(*id);
	return true;
}

static void
say(struct walk *w, struct conn *c)
{
	struct bytes answer;
	uint32_t msgid = w->pending.msgid;

	if (w->finish)
		w->finish(w);
	if (!bytes_take(&answer, &w->out)) {
		answer_fail(c, msgid, STATUS_LIMIT, 0, "the daemon is out of memory");
		return;
	}
	conn_begin_settled(c, w->settled);
	answer_bytes(c, msgid, answer);
	conn_end_settled(c);
	bytes_drop(&answer);
}

static void
slice(struct turn_item *item)
{
	struct walk *w = container(item, struct walk, item);
	struct conn *c = conn_find(w->pending.conn_id);
	struct future *f;
	uint64_t id;
	size_t before = w->out.len;

	while (!w->over) {
		if (!turn_budget() || w->out.len - before > SLICE_BYTES) {
			turn_count(0, w->out.len - before);
			turn_schedule(TURN_WORK, &w->item, slice);
			return;
		}
		turn_count(1, 0);
		if (!next(w, &id, &f) || !w->visit(w, c, id, f))
			w->over = true;
	}
	turn_count(0, w->out.len - before);
	conn_unpend(&w->pending);
	say(w, c);
	walk_free(w);
	conn_finish_end(c);
}

static void
on_abandon(struct pending *p)
{
	walk_free(container(p, struct walk, pending));
}

void
walk_begin(struct request *r, const struct walk *from)
{
	struct walk *w = malloc(sizeof *w);

	if (w)
		*w = *from;
	if (!w || !request_pend(r, &w->pending, on_abandon)) {
		struct walk rest = *from;
		if (!w)
			request_no_memory(r);
		if (rest.clear)
			rest.clear(&rest);
		ids_clear(&rest.ids);
		buf_clear(&rest.out);
		free(w);
		return;
	}
	w->pending.finishes = true;
	w->pending.does = w->does;
	conn_finish_begin(r->conn);
	slice(&w->item);
}

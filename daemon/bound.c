#include "daemon/bound.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/closing.h"
#include "daemon/conn.h"
#include "daemon/container.h"
#include "daemon/ids.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/slot.h"

/* What is left of a connection that ended: its futures, cancelled in slices. */
struct leaving {
	struct turn_item item;
	struct ids ids;
	uint64_t conn_id;
};

/* Forgets runs whose futures are all final, so that a connection that submits for ever does not grow. */
static void
compact(struct conn *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->bound_count; i++) {
		const struct id_run *run = &c->bound[i];
		const struct future *f = run->count == 1 ? registry_find(run->first) : NULL;
		if (run->count > 1 ? registry_after(run->first) < run->first + run->count && registry_after(run->first) : f && !future_is_final(f))
			c->bound[kept++] = *run;
	}
	c->bound_count = kept;
}

bool
bound_add(struct conn *c, uint64_t first, uint64_t number)
{
	struct id_run *last = c->bound_count ? &c->bound[c->bound_count - 1] : NULL;

	if (last && last->first + last->count == first && last->count + number <= 64) {
		last->count += number;
		return true;
	}
	if (c->bound_count == c->bound_size) {
		if (c->bound_count >= 1024)
			compact(c);
		if (c->bound_count * 2 >= c->bound_size) {
			size_t size = c->bound_size ? c->bound_size * 2 : 16;
			struct id_run *bigger = realloc(c->bound, size * sizeof *bigger);
			if (!bigger)
				return false;
			c->bound = bigger;
			c->bound_size = size;
		}
	}
	c->bound[c->bound_count++] = (struct id_run){ .first = first, .count = number };
	return true;
}

void
bound_cancel(struct future *f)
{
	if (future_is_final(f))
		return;
	if (f->place == PLACE_SLOT && !slot_take_back(f)) {
		bool kill = pool_can_kill(f->spec->pool);
		f->kill |= kill;
		f->ask = f->orphan = true;
		slot_stop(f, kill, UINT64_MAX);
		return;
	}
	future_cancelled(f);
}

static void
cancel_next(struct leaving *l)
{
	uint64_t id;

	if (!ids_next(&l->ids, &id))
		return;
	struct future *f = registry_find(id);
	turn_count(1, 0);
	if (f && f->spec->bound_to == l->conn_id)
		bound_cancel(f);
}

static void
cancel_slice(struct turn_item *item)
{
	struct leaving *l = container(item, struct leaving, item);

	while (turn_budget() && l->ids.at < l->ids.runs)
		cancel_next(l);
	if (l->ids.at < l->ids.runs) {
		turn_schedule(TURN_WORK, &l->item, cancel_slice);
		return;
	}
	ids_clear(&l->ids);
	free(l);
}

static void
release_pools(uint64_t conn_id)
{
	struct pool *p = pool_first(), *next;
	for (; p; p = next) {
		next = p->next;
		if (p->bound_to == conn_id)
			closing_begin(p, &(struct closing){ .cancel_futures = true, .terminate = true });
	}
}

void
bound_release(struct conn *c)
{
	struct leaving now = { .conn_id = c->id, .ids = { .run = c->bound, .runs = c->bound_count, .size = c->bound_size } }, *l;

	release_pools(c->id);
	c->bound = NULL;
	if (!now.ids.runs || !(l = malloc(sizeof *l))) { /* without memory all at once */
		while (now.ids.at < now.ids.runs)
			cancel_next(&now);
		ids_clear(&now.ids);
		return;
	}
	*l = now;
	turn_schedule(TURN_WORK, &l->item, cancel_slice);
}

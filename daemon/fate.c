#include "daemon/fate.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/errors.h"
#include "daemon/fill.h"
#include "daemon/future.h"
#include "daemon/gate.h"
#include "daemon/registry.h"
#include "daemon/retention.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "proto/buf.h"
#include "proto/pack.h"
#include "proto/reader.h"

uint64_t
known_gate_id(const struct known_gate *g, size_t i)
{
	return (uint64_t)(g->ids[i] < 0 ? -g->ids[i] : g->ids[i]);
}

bool
known_gate_as_option(const struct known_gate *g, struct bytes *after)
{
	struct buf b;

	buf_init(&b);
	pack_array(&b, g->count);
	for (size_t i = 0; i < g->count; i++)
		pack_uint(&b, known_gate_id(g, i));
	bool good = bytes_take(after, &b);
	buf_clear(&b);
	if (good)
		bytes_uncount(after);
	return good;
}

struct fate *
fates_add(struct fates *fates)
{
	if (fates->count == fates->size) {
		size_t size = fates->size ? fates->size * 2 : 1024;
		struct fate *bigger = realloc(fates->all, size * sizeof *bigger);
		if (!bigger)
			return NULL;
		fates->all = bigger;
		fates->size = size;
	}
	fates->all[fates->count] = (struct fate){ .future = NULL };
	return &fates->all[fates->count++];
}

bool
fate_references(const struct future *f, uint64_t **out, size_t *count)
{
	static uint64_t *ids;
	static size_t size;
	struct reader args;
	uint32_t elements;
	uint64_t id;

	*count = 0;
	*out = ids;
	if (!memchr(bytes_data(&f->args), 0xd7, bytes_len(&f->args))) /* what every reference begins with */
		return true;
	reader_init(&args, bytes_data(&f->args), bytes_len(&f->args));
	read_array(&args, &elements);
	while (elements--) {
		if (reader_peek(&args) != READER_EXT || !fill_read_reference(&args, &id)) {
			read_skip(&args);
			continue;
		}
		if (*count == size) {
			size_t wanted = size ? size * 2 : 16;
			uint64_t *bigger = realloc(ids, wanted * sizeof *bigger);
			if (!bigger)
				return false;
			*out = ids = bigger;
			size = wanted;
		}
		ids[(*count)++] = id;
	}
	return true;
}

bool
fate_is_behind_later(const struct fate *fate, const uint64_t *refs, size_t count)
{
	const struct future *f = fate->future;

	for (size_t i = 0; i < count; i++)
		if (refs[i] >= f->id)
			return true;
	if (f->spec->stdin_kind == SPEC_STDIN_FUTURE && f->spec->stdin_future >= f->id)
		return true;
	return fate->gate && fate->gate->last >= f->id;
}

/* ---- when all are there ---- */

/* One that others wait for: they are not ready before it ends. */
static void
note_end(int64_t *when, const struct future *f)
{
	int64_t end = f && future_is_final(f) ? clock_wall_us(f->finished_us) : 0;
	if (end > *when)
		*when = end;
}

/* Appends what is left to wait for: those that are still there, for the others have finished without error and were forgotten, else whoever waited had
 * failed with them; and those that were not stored, of which nobody knows that. */
static size_t
append_left(uint64_t *to, size_t at, struct known_gate *g)
{
	for (size_t i = 0; !g->over && i < g->count; i++) {
		uint64_t id = known_gate_id(g, i);
		const struct future *f = registry_find(id);
		if (!f && g->ids[i] > 0)
			continue;
		to[at++] = id;
		note_end(&g->passed, f);
	}
	return at;
}

/* Behind its own gate, where its arguments refer to others. False without memory. */
static bool
hold_behind_own(struct fate *fate, bool *none)
{
	struct future *f = fate->future;
	struct known_gate *after = fate->gate;
	size_t refs, count;
	uint64_t *ids;
	bool from_stdin = f->spec->stdin_kind == SPEC_STDIN_FUTURE;

	if (!fate_references(f, &ids, &refs))
		return false;
	*none = !refs && !from_stdin;
	if (*none)
		return true;
	uint64_t *all = malloc((refs + 1 + (after ? after->count : 0)) * sizeof *all);
	if (!all || !future_more(f)) {
		free(all);
		return false;
	}
	if (refs)
		memcpy(all, ids, refs * sizeof *all);
	count = refs;
	if (from_stdin)
		all[count++] = f->spec->stdin_future;
	for (size_t i = 0; i < count; i++)
		note_end(&fate->when, registry_find(all[i]));
	if (after)
		count = append_left(all, count, after);
	f->has_refs = refs != 0;
	f->more->own_gate = gate_new(all, count, true);
	free(all);
	if (!f->more->own_gate)
		return false;
	gate_hold(f->more->own_gate, f);
	return true;
}

static bool
hold_behind_shared(struct future *f, struct known_gate *g)
{
	if (!g->gate) {
		uint64_t *left = malloc((g->count + 1) * sizeof *left);
		size_t count = left ? append_left(left, 0, g) : 0;
		bool good = left && (!count || (g->gate = gate_new(left, count, false)));
		free(left);
		if (!good)
			return false;
		g->count = count; /* 0: whoever comes next need not look */
		if (!count)
			return true;
	}
	gate_hold(g->gate, f);
	return true;
}

/* Behind its gate, where it has one: for all of them before any comes to its end, as one that was let go is gone then. One that had begun has what it
 * refers to by its own gate, too, as it may run again. */
static bool
hold(struct fate *fate)
{
	bool none;

	if (fate->final || fate->damaged || fate->killed || fate->gone)
		return true;
	if (!hold_behind_own(fate, &none) || (none && !fate->begun && fate->gate && !hold_behind_shared(fate->future, fate->gate)))
		return false;
	if (fate->gate && fate->gate->passed > fate->when)
		fate->when = fate->gate->passed;
	return true;
}

static void
place(struct fates *fates, const struct fate *fate)
{
	struct future *f = fate->future;

	fates->waiting++;
	if (fate->damaged) {
		future_fail_with(f, STATUS_STORE, "its record in the store is damaged: it is not run");
		return;
	}
	if (fate->killed) {
		future_cancelled(f);
		return;
	}
	if (fate->gone) { /* its pool went with the connection that had opened it */
		future_cancelled(f);
		return;
	}
	if (fate->begun) {
		bool again = f->attempt <= f->spec->retries;
		fates->again += again;
		fates->lost += !again;
		future_fail(f, error_bytes(STATUS_WORKER_LOST, f->id, "the daemon restarted while the task ran: what it did is not known"));
		return;
	}
	if (fate->fed)
		future_fail_with(f, STATUS_STORE, "what its stdin had been fed is gone with the daemon that had it: it is not run");
	else if (f->place == PLACE_GATE)
		gate_pass(f);
	else
		future_make_ready(f);
}

static int
by_time(const void *a, const void *b)
{
	const struct fate *x = a, *y = b;
	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return x->future->id < y->future->id ? -1 : 1;
}

bool
fates_settle(struct fates *fates)
{
	bool good = true;

	for (size_t i = 0; good && i < fates->count; i++) {
		store_restored(fates->all[i].future);
		good = hold(&fates->all[i]);
	}
	if (fates->count)
		qsort(fates->all, fates->count, sizeof *fates->all, by_time);
	const struct fate *end = fates->all + fates->count;
	for (const struct fate *fate = fates->all; fate < end; fate++) {
		fates->kept += fate->final;
		if (fate->final && !fate->future->let_go)
			retention_keep(fate->future, fate->future->spec->retain_us);
	}
	for (const struct fate *fate = fates->all; good && fate < end; fate++)
		if (!fate->final)
			place(fates, fate);
	for (const struct fate *fate = fates->all; good && fate < end; fate++)
		if (fate->final && fate->future->let_go)
			future_release(fate->future);
	return good;
}

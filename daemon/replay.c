/* ids, instance ─► opened pools ─► specs ─► what was done to pools by hand ─► gates ─► what slots held (and what their boards say) ─► tasks, each
 * as it was ─► outputs ─► keys; then, when all are there: final ones are kept for the rest of their time, in the order of finishing; pending ones are
 * placed, in the order in which they became ready to run, which is that of the queue that they were in; those that had begun fail or are tried again,
 * behind the others. All of that is committed before anything is listened to or run. */
#include "daemon/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/boards.h"
#include "daemon/clock.h"
#include "daemon/commit.h"
#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/fill.h"
#include "daemon/future.h"
#include "daemon/gate.h"
#include "daemon/key.h"
#include "daemon/log.h"
#include "daemon/opened.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/payload.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/retention.h"
#include "daemon/server.h"
#include "daemon/spec.h"
#include "daemon/store.h"

struct known_spec {
	uint64_t row;
	struct spec *spec; /* counted */
	bool damaged;
	enum replay_opened opened;
	UT_hash_handle hh;
};

struct known_gate {
	uint64_t row;
	int64_t *ids; /* owned; negative: of one that is not stored */
	size_t count;
	bool over;      /* nothing is left to wait for */
	int64_t passed; /* since when; not over: when the last of those that have ended did */
	struct gate *gate; /* shared; made for the first that waits behind it */
	UT_hash_handle hh;
};

struct held {
	uint64_t id;
	uint32_t attempt;
	bool begun;
	UT_hash_handle hh;
};

/* A future that is there, and what is to become of it when all are. */
struct fate {
	struct future *future;
	struct known_gate *gate; /* NULL: none */
	int64_t when; /* wall clock: when it finished; a pending one: when it became ready, were it not for its gate */
	bool begun, damaged, gone, killed, fed;
	bool final;
};

struct replay {
	struct known_spec *specs;
	struct known_gate *gates;
	struct held *held;
	struct fate *fate; /* in the order of ids; owned */
	size_t count, size;
	uint64_t last_spec, last_gate, last_pool;
	int64_t last_submitted;
	bool same_boot; /* times are as they were stored, whatever the wall clock did */
	uint64_t kept, waiting, again, lost;
};

/* ---- told by the engine ---- */

void
replay_ids(struct replay *r, uint64_t next)
{
	(void)r;
	registry_begin_at(next ? next : 1);
}

void
replay_instance(struct replay *r, const char *instance)
{
	(void)r;
	server_set_instance(instance);
}

void
replay_clock(struct replay *r, const char *text)
{
	const char *boot = clock_boot();
	size_t len = strlen(boot);

	r->same_boot = len && strncmp(text, boot, len) == 0 && text[len] == ' ';
	if (r->same_boot)
		clock_set_stored_offset(strtoll(text + len, NULL, 10));
}

bool
replay_pool(struct replay *r, uint64_t row, struct replay_text name, struct replay_text what)
{
	if (row > r->last_pool)
		r->last_pool = row;
	if (!opened_restore(row, name.at, name.len, (const uint8_t *)what.at, what.len))
		log_warn("store", "pool %.*s, which a client opened, cannot be opened again", (int)(name.len < 200 ? name.len : 200), name.at);
	return true;
}

static enum config_kind
kind_of(struct replay_text t)
{
	static const enum config_kind kinds[] = { CONFIG_PROCESS, CONFIG_THREAD, CONFIG_INTERPRETER };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (t.at && strlen(config_kind_name(kinds[i])) == t.len && memcmp(t.at, config_kind_name(kinds[i]), t.len) == 0)
			return kinds[i];
	return CONFIG_COMMAND;
}

static char *
copy_text(struct replay_text t)
{
	return t.at ? strndup(t.at, t.len) : NULL;
}

static struct pool *
pool_of(struct replay_text name, enum config_kind kind)
{
	struct pool *p = pool_find(name.at ? name.at : "", name.len);
	char *text;

	if (p || !(text = strndup(name.at ? name.at : "", name.len)))
		return p;
	p = pool_absent(text, kind);
	free(text);
	return p;
}

static bool
copy_bytes(struct bytes *to, struct replay_text t)
{
	return !t.at || bytes_copy(to, t.at, t.len);
}

static struct owner *
owner_of(struct replay_text t)
{
	char *name = copy_text(t);
	struct owner *o = name ? owner_of_name(name) : owner_get(0);
	free(name);
	return o;
}

bool
replay_spec(struct replay *r, const struct replay_spec *from)
{
	struct known_spec *k = calloc(1, sizeof *k);
	struct spec *s = calloc(1, sizeof *s);
	struct pool *p = pool_of(from->pool, kind_of(from->kind));

	if (!k || !s || !p) {
		free(k);
		free(s);
		return false;
	}
	*s = (struct spec){
		.count = 1, .row = from->row, .pool = pool_hold(p), .owner = owner_of(from->owner), .fn = copy_text(from->fn),
		.fn_len = from->fn.len, .name = copy_text(from->name), .run_pairs = from->run_pairs, .stdin_future = from->stdin_future,
		.stdin_kind = (enum spec_stdin)(from->stdin_kind & 3), .priority = from->priority, .retries = from->retries,
		.timeout_us = from->timeout_us, .deadline_us = from->deadline_us, .delay_us = from->delay_us,
		.retry_delay_us = from->retry_delay_us, .retain_us = from->retain_us,
	};
	*k = (struct known_spec){ .row = from->row, .spec = s, .damaged = from->damaged, .opened = from->opened };
	if (from->row > r->last_spec)
		r->last_spec = from->row;
	HASH_ADD(hh, r->specs, row, sizeof k->row, k);
	bool good = k->hh.tbl && s->owner && s->fn && copy_bytes(&s->tags, from->tags) && copy_bytes(&s->kwargs, from->kwargs) &&
	    copy_bytes(&s->run, from->run) && copy_bytes(&s->env, from->env) && copy_bytes(&s->stdin_bytes, from->stdin_bytes);
	bytes_uncount(&s->run);
	bytes_uncount(&s->env);
	if (good)
		spec_charge(s);
	return good;
}

bool
replay_gate(struct replay *r, uint64_t row, struct replay_text ids, int64_t passed)
{
	struct known_gate *g = calloc(1, sizeof *g);
	char *text = copy_text(ids), *at = text, *end;
	size_t most = 1;

	for (size_t i = 0; i < ids.len; i++)
		most += ids.at[i] == ',';
	if (!g || !text || !(g->ids = malloc(most * sizeof *g->ids))) {
		free(g);
		free(text);
		return false;
	}
	g->row = row;
	g->passed = passed;
	g->over = passed != 0;
	if (row > r->last_gate)
		r->last_gate = row;
	while (*at && g->count < most) {
		int64_t id = strtoll(at + 1, &end, 10); /* behind '[' or ',' */
		if (end == at + 1)
			break;
		g->ids[g->count++] = id;
		at = end;
	}
	free(text);
	HASH_ADD(hh, r->gates, row, sizeof g->row, g);
	return g->hh.tbl != NULL;
}

/* Whether the task had begun, as far as its board says. Where that is gone, or has been written over, it counts as begun. */
static bool
has_begun(const struct board *board, const struct note_sent *sent)
{
	if (!board || sent->entry >= BOARD_ENTRIES)
		return true;
	const struct board_entry *e = &board->entry[sent->entry];
	uint64_t start;
	if (atomic_load(&e->id) != sent->id)
		return true;
	enum board_state state = board_look(e, &start);
	return state != BOARD_SENT && state != BOARD_REVOKED && !FAULT(attempt_not_counted);
}

bool
replay_sent(struct replay *r, uint64_t host, uint32_t slot, const struct note_sent *sent, size_t count)
{
	struct board board;
	bool there = boards_read(host, slot, &board);

	for (size_t i = 0; i < count; i++) {
		struct held *h;
		bool begun = has_begun(there ? &board : NULL, &sent[i]);
		HASH_FIND(hh, r->held, &sent[i].id, sizeof sent[i].id, h);
		if (!h) {
			if (!(h = calloc(1, sizeof *h)))
				return false;
			h->id = sent[i].id;
			HASH_ADD(hh, r->held, id, sizeof h->id, h);
			if (!h->hh.tbl)
				return false;
		}
		if (sent[i].attempt >= h->attempt) {
			h->begun = begun || (h->begun && h->attempt == sent[i].attempt);
			h->attempt = sent[i].attempt;
		}
	}
	return true;
}

static struct fate *
add_fate(struct replay *r)
{
	if (r->count == r->size) {
		size_t size = r->size ? r->size * 2 : 1024;
		struct fate *bigger = realloc(r->fate, size * sizeof *bigger);
		if (!bigger)
			return NULL;
		r->fate = bigger;
		r->size = size;
	}
	r->fate[r->count] = (struct fate){ .future = NULL };
	return &r->fate[r->count++];
}

/* Its outcome, or that it had begun. */
static bool
restore_outcome(struct replay *r, struct future *f, struct fate *fate, const struct replay_task *t)
{
	struct bytes value = { .len = 0 };
	struct held *h;

	if (!t->final) {
		HASH_FIND(hh, r->held, &t->id, sizeof t->id, h);
		f->attempt = (uint16_t)t->attempt;
		if (h && h->begun && h->attempt > t->attempt) {
			f->attempt = (uint16_t)h->attempt;
			fate->begun = true;
		}
		return true;
	}
	if (t->value_bytes)
		f->filed |= 1 << PAYLOAD_VALUE;
	if (t->value_damaged) {
		value = error_bytes(STATUS_STORE, f->id, "its outcome in the store is damaged");
	} else if (t->value_bytes) {
		value = bytes_share(*t->value_bytes);
	} else if (t->value_lost) {
		value = error_bytes(STATUS_STORE, f->id, "its value, which was in a file of its own, is gone");
	} else if (!copy_bytes(&value, t->value)) {
		return false;
	}
	f->attempt = (uint16_t)t->attempt;
	f->started_us = clock_from_wall(t->started);
	f->finished_us = clock_from_wall(t->finished);
	fate->when = t->finished;
	fate->final = true;
	bool gone = t->value_lost || t->value_damaged;
	future_restore(f, gone ? FUTURE_FINISHED : (enum future_state)t->state, t->failed || gone, t->seen, value);
	return !t->rusage.len || t->value_damaged || (future_more(f) && copy_bytes(&f->more->rusage, t->rusage));
}

/* References in the arguments. Borrowed until the next call; NULL: none, or no memory. */
static uint64_t *
references(const struct future *f, size_t *count)
{
	static uint64_t *ids;
	static size_t size;
	struct reader args;
	uint32_t elements;
	uint64_t id;

	*count = 0;
	if (!memchr(bytes_data(&f->args), 0xd7, bytes_len(&f->args))) /* what every reference begins with */
		return NULL;
	reader_init(&args, bytes_data(&f->args), bytes_len(&f->args));
	if (!read_array(&args, &elements))
		return NULL;
	while (elements--) {
		if (reader_peek(&args) != READER_EXT || !fill_read_reference(&args, &id)) {
			if (!read_skip(&args))
				break;
			continue;
		}
		if (*count == size) {
			size_t wanted = size ? size * 2 : 16;
			uint64_t *bigger = realloc(ids, wanted * sizeof *bigger);
			if (!bigger)
				return NULL;
			ids = bigger;
			size = wanted;
		}
		ids[(*count)++] = id;
	}
	return ids;
}

bool
replay_task(struct replay *r, const struct replay_task *t)
{
	struct known_spec *k;
	struct bytes args = { .len = 0 };
	struct fate *fate;
	struct future *f;
	size_t refs;

	HASH_FIND(hh, r->specs, &t->spec, sizeof t->spec, k);
	if (!k || !t->id || t->id > REGISTRY_ID_MAX) {
		log_error("store", "the record of future %llu is damaged beyond recognition: it is lost", (unsigned long long)t->id);
		return true;
	}
	if (t->id >= registry_next())
		registry_begin_at(t->id + 1);
	if (t->submitted > r->last_submitted)
		r->last_submitted = t->submitted;
	if (!(fate = add_fate(r)) || !(f = registry_make(t->id)) || !copy_bytes(&args, t->args))
		return false;
	if (t->args_bytes)
		args = bytes_share(*t->args_bytes);
	future_init(f, t->id, k->spec, args);
	f->filed = t->args_bytes ? 1 << PAYLOAD_ARGS : 0;
	if (!t->args_bytes) { /* of large ones none are shown */
		references(f, &refs);
		f->has_refs = refs != 0;
	}
	f->submitted_us = clock_from_wall(t->submitted);
	f->let_go = t->let_go;
	registry_show(t->id, 1);
	fate->future = f;
	fate->killed = t->killed;
	fate->fed = t->fed;
	fate->damaged = (t->damaged || k->damaged) && !t->final;
	fate->gone = !t->final && k->opened == REPLAY_BOUND && k->spec->pool->absent;
	HASH_FIND(hh, r->gates, &t->gate, sizeof t->gate, fate->gate);
	if (fate->gate) {
		k->spec->gate = t->gate;
		k->spec->gate_passed = fate->gate->passed != 0;
	}
	if (!restore_outcome(r, f, fate, t))
		return false;
	if (t->final)
		return true;
	/* Ids rise with the time of submitting, though the wall clock may have been set back between two daemons. */
	fate->when = fate->begun ? INT64_MAX : t->not_before ? t->not_before : r->last_submitted + (int64_t)k->spec->delay_us;
	uint64_t not_before = t->not_before ? (uint64_t)t->not_before : k->spec->delay_us ? (uint64_t)t->submitted + k->spec->delay_us : 0;
	int64_t left = not_before ? (int64_t)not_before - clock_wall_now() : 0;
	uint64_t most = t->not_before ? future_retry_pause(f) : k->spec->delay_us;
	bool delayed = left > 0, limited = k->spec->deadline_us != UINT64_MAX;
	if ((delayed || limited) && !future_more(f))
		return false;
	if (delayed) /* never longer than was asked for, whatever became of the wall clock */
		f->more->not_before_us = clock_now() + ((uint64_t)left < most ? (uint64_t)left : most);
	if (limited)
		f->more->deadline_us = f->submitted_us + k->spec->deadline_us;
	return true;
}

bool
replay_output(struct replay *r, uint64_t id, int stream, struct replay_text bytes, uint64_t cut)
{
	struct future *f = registry_find(id);
	(void)r;
	return !f || stream < 0 || stream >= OUTPUT_STREAMS || output_restore(f, (enum output_stream)stream, bytes.at, bytes.len, cut);
}

bool
replay_by_hand(struct replay *r, struct replay_text pool, int64_t paused, struct replay_text by, uint32_t workers, uint32_t configured)
{
	struct owner *o = paused && by.at ? owner_of(by) : NULL;
	const char *name = pool.at ? pool.at : "";
	(void)r;

	bool there = pool_restore_by_hand(name, pool.len, clock_from_wall(paused), o, workers, configured);
	owner_drop(o);
	return there || store_by_hand_gone(name, pool.len);
}

bool
replay_key(struct replay *r, uint64_t first, uint64_t count, struct replay_text owner, struct replay_text key)
{
	uint64_t alive = 0, id = first, end = first + count;
	struct owner *o = owner_of(owner);
	struct keyed *k;
	(void)r;

	for (id = registry_after(first); id && id < end; id = registry_after(id + 1))
		alive++;
	k = alive && o && key.at && key.len <= 1024 ? key_new(o, key.at, key.len, count) : NULL;
	if (k) {
		key_ready(k, first);
		for (id = registry_after(first); id && id < end; id = registry_after(id + 1))
			if (future_more(registry_find(id)))
				registry_find(id)->more->key = k;
		for (uint64_t i = alive; i < count; i++)
			key_drop(k);
	} else {
		store_key_gone(first);
	}
	owner_drop(o); /* its futures hold it */
	return true;
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
		uint64_t id = (uint64_t)(g->ids[i] < 0 ? -g->ids[i] : g->ids[i]);
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
	size_t refs = 0, count;
	const uint64_t *ids = references(f, &refs);
	bool from_stdin = f->spec->stdin_kind == SPEC_STDIN_FUTURE;

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
place(struct replay *r, const struct fate *fate)
{
	struct future *f = fate->future;

	r->waiting++;
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
		r->again += again;
		r->lost += !again;
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

/* Whoever waits, behind what it waits for; final ones, oldest first; then the pending ones go to their places; then those that had been let go, and
 * that nobody needs, go. */
static bool
settle(struct replay *r)
{
	bool good = true;

	for (size_t i = 0; good && i < r->count; i++) {
		store_restored(r->fate[i].future);
		good = hold(&r->fate[i]);
	}
	if (r->count)
		qsort(r->fate, r->count, sizeof *r->fate, by_time);
	for (size_t i = 0; i < r->count; i++) {
		struct future *f = r->fate[i].future;
		r->kept += r->fate[i].final;
		if (r->fate[i].final && !f->let_go)
			retention_keep(f, f->spec->retain_us);
	}
	for (size_t i = 0; good && i < r->count; i++)
		if (!r->fate[i].final)
			place(r, &r->fate[i]);
	for (size_t i = 0; good && i < r->count; i++)
		if (r->fate[i].final && r->fate[i].future->let_go)
			future_release(r->fate[i].future);
	return good;
}

static void
clear(struct replay *r)
{
	struct known_spec *s, *next_spec;
	struct known_gate *g, *next_gate;
	struct held *h, *next_held;

	HASH_ITER(hh, r->gates, g, next_gate) {
		HASH_DEL(r->gates, g);
		if (g->gate)
			gate_filled(g->gate);
		free(g->ids);
		free(g);
	}
	HASH_ITER(hh, r->specs, s, next_spec) {
		HASH_DEL(r->specs, s);
		spec_drop(s->spec);
		free(s);
	}
	HASH_ITER(hh, r->held, h, next_held) {
		HASH_DEL(r->held, h);
		free(h);
	}
	free(r->fate);
}

static bool
is_filed(uint64_t id, enum payload_kind kind)
{
	struct registry_page *page = registry_page(id);
	const struct future *f = page ? registry_pinned(id) : NULL; /* one that is hidden may be needed by others */
	return f && f->id == id && f->stored && (f->filed & 1 << kind);
}

bool
replay_all(char *why, size_t size)
{
	struct replay r = { .specs = NULL };
	uint64_t before = clock_read();
	bool good = store_replay(&r, why, size);

	store_rows_taken(r.last_spec, r.last_gate, r.last_pool);
	if (good && store_is_durable()) {
		store_ids(registry_next());
		store_none_sent();
	}
	if (good)
		snprintf(why, size, "out of memory");
	good = good && (r.same_boot || !store_is_durable() || store_clock()) && settle(&r);
	if (good && store_is_durable())
		output_adopt_files();
	if (good && store_is_durable())
		payload_sweep(is_filed);
	clear(&r);
	if (!good)
		return false;
	if (commit_finish())
		boards_forget_earlier();
	else /* nothing is handed over or said before it can; and boards are what the next daemon goes by, should that never be */
		log_warn("store", "what became of tasks that ran cannot be written yet");
	if (r.count)
		log_info("store", "%llu futures are back in %.1f s: %llu finished, %llu pending; of those that ran, %llu run again and %llu are lost",
		    (unsigned long long)r.count, (double)(clock_read() - before) / 1e6, (unsigned long long)r.kept,
		    (unsigned long long)(r.waiting - r.lost), (unsigned long long)r.again, (unsigned long long)r.lost);
	return true;
}

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
#include "daemon/fate.h"
#include "daemon/fault.h"
#include "daemon/future.h"
#include "daemon/gate.h"
#include "daemon/key.h"
#include "daemon/log.h"
#include "daemon/opened.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/payload.h"
#include "daemon/pool.h"
#include "daemon/record.h"
#include "daemon/registry.h"
#include "daemon/server.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "proto/worker.h"

/* Rows are numbered from 1 by us: beyond this they are damaged, and not counted on from. */
#define ROW_MAX REGISTRY_ID_MAX
/* Where ids begin again when the store does not say which were given: so far behind the highest that is left. */
enum { IDS_SKIPPED = 1 << 20 };
/* Ids from here on are not begun with: too few would be left. */
#define IDS_LAST (REGISTRY_ID_MAX - (UINT64_C(1) << 40))
/* No moment is later. */
#define TIME_LAST (INT64_C(1) << 60)

struct known_spec {
	uint64_t row;
	struct spec *spec; /* counted */
	bool damaged;
	enum replay_opened opened;
	UT_hash_handle hh;
};

struct held {
	uint64_t id;
	uint32_t attempt;
	bool begun;
	UT_hash_handle hh;
};

struct replay {
	struct known_spec *specs;
	struct known_gate *gates;
	struct held *held;
	struct fates fates;
	uint64_t last_spec, last_gate, last_pool;
	int64_t last_submitted;
	bool same_boot; /* times are as they were stored, whatever the wall clock did */
	bool has_ids, has_instance;
	char instance[33];
};

/* ---- told by the engine ---- */

void
replay_ids(struct replay *r, uint64_t next)
{
	r->has_ids = next >= 1 && next <= IDS_LAST;
	if (r->has_ids)
		registry_begin_at(next);
}

void
replay_instance(struct replay *r, struct replay_text t)
{
	r->has_instance = t.len == sizeof r->instance - 1;
	for (size_t i = 0; r->has_instance && i < t.len; i++) {
		r->has_instance = strchr("0123456789abcdef", t.at[i]) && t.at[i];
		r->instance[i] = t.at[i];
	}
}

void
replay_clock(struct replay *r, struct replay_text t)
{
	const char *boot = clock_boot();
	size_t len = strlen(boot);
	int64_t offset;

	r->same_boot = len && t.len > len && memcmp(t.at, boot, len) == 0 && t.at[len] == ' ' && record_read_number(t, len + 1, &offset) &&
	    clock_set_stored_offset(offset);
}

static void
count_row(uint64_t row, uint64_t *last)
{
	if (row > *last && row <= ROW_MAX)
		*last = row;
}

bool
replay_pool(struct replay *r, uint64_t row, struct replay_text name, struct replay_text what)
{
	count_row(row, &r->last_pool);
	if (!opened_restore(row, name, what))
		log_warn("store", "pool %.*s, which a client opened, cannot be opened again", (int)(name.len < 200 ? name.len : 200), name.at ? name.at : "");
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

/* No pool is named like one whose name is damaged. */
static struct pool *
pool_of(struct replay_text name, enum config_kind kind)
{
	struct pool *p = name.at ? pool_find(name.at, name.len) : NULL;
	char *text;

	if (p || !(text = name.at ? copy_text(name) : strdup("?")))
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
replay_spec(struct replay *r, const struct replay_spec *told)
{
	struct replay_spec from = *told;
	bool sound = record_mend_spec(&from);
	struct known_spec *k = calloc(1, sizeof *k);
	struct spec *s = calloc(1, sizeof *s);
	struct pool *p = pool_of(from.pool, kind_of(from.kind));

	if (!k || !s || !p) {
		free(k);
		free(s);
		return false;
	}
	*s = (struct spec){
		.count = 1, .row = from.row, .pool = pool_hold(p), .owner = owner_of(from.owner), .fn = from.fn.at ? copy_text(from.fn) : strdup(""),
		.fn_len = from.fn.len, .name = copy_text(from.name), .run_pairs = from.run_pairs, .stdin_future = from.stdin_future,
		.stdin_kind = (enum spec_stdin)from.stdin_kind, .priority = from.priority, .retries = from.retries,
		.timeout_us = from.timeout_us, .deadline_us = from.deadline_us, .delay_us = from.delay_us,
		.retry_delay_us = from.retry_delay_us, .retain_us = from.retain_us,
	};
	*k = (struct known_spec){ .row = from.row, .spec = s, .damaged = from.damaged || !sound, .opened = from.opened };
	count_row(from.row, &r->last_spec);
	HASH_ADD(hh, r->specs, row, sizeof k->row, k);
	bool good = k->hh.tbl && s->owner && s->fn && copy_bytes(&s->tags, from.tags) && copy_bytes(&s->kwargs, from.kwargs) &&
	    copy_bytes(&s->run, from.run) && copy_bytes(&s->env, from.env) && copy_bytes(&s->stdin_bytes, from.stdin_bytes);
	bytes_uncount(&s->run);
	bytes_uncount(&s->env);
	if (good)
		spec_charge(s);
	return good;
}

bool
replay_gate(struct replay *r, uint64_t row, struct replay_text text, int64_t passed)
{
	struct known_gate *g = calloc(1, sizeof *g);
	size_t most = text.len / 2 < SPEC_AFTER_MAX ? text.len / 2 : SPEC_AFTER_MAX; /* a digit and a comma each */

	if (!g || !(g->ids = malloc((most + 1) * sizeof *g->ids))) {
		free(g);
		return false;
	}
	g->row = row;
	g->passed = passed;
	g->over = passed != 0;
	count_row(row, &r->last_gate);
	if (passed < 0 || !record_read_ids(text, g->ids, most, &g->count) || g->count > most) {
		g->count = 0;
		g->last = UINT64_MAX;
	}
	for (size_t i = 0; i < g->count; i++)
		if (known_gate_id(g, i) > g->last)
			g->last = known_gate_id(g, i);
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

/* How many attempts there were: no more than there can be. */
static uint16_t
attempts(uint32_t n)
{
	return n < SPEC_RETRIES_MAX + 1 ? (uint16_t)n : SPEC_RETRIES_MAX + 1;
}

/* Why the value is not to be had; NULL: it is. */
static const char *
value_is_no_more(const struct replay_task *t)
{
	const void *data = t->value_bytes ? (const void *)bytes_data(t->value_bytes) : t->value.at;
	size_t len = t->value_bytes ? bytes_len(t->value_bytes) : t->value.len;

	if (t->value_damaged)
		return "its outcome in the store is damaged";
	if (t->state == FUTURE_CANCELLED)
		return NULL;
	if (t->value_lost)
		return "its value, which was in a file of its own, is gone";
	if (t->failed ? record_is_error(data, len) : record_is_value(data, len, READER_END, WORKER_VALUE_DEPTH))
		return NULL;
	return "its value in the store is damaged";
}

/* The value as we wrote it, or the error that it is not. */
static bool
restore_final(struct future *f, struct fate *fate, const struct replay_task *t)
{
	struct bytes value = { .len = 0 };
	const char *gone = value_is_no_more(t);
	bool cancelled = !gone && t->state == FUTURE_CANCELLED;

	if (t->value_bytes)
		f->filed |= 1 << PAYLOAD_VALUE;
	if (gone)
		value = error_bytes(STATUS_STORE, f->id, "%s", gone);
	else if (t->value_bytes && !cancelled)
		value = bytes_share(*t->value_bytes);
	else if (!cancelled && !copy_bytes(&value, t->value))
		return false;
	f->attempt = attempts(t->attempt);
	f->started_us = clock_from_wall(t->started);
	f->finished_us = clock_from_wall(t->finished);
	fate->when = t->finished;
	fate->final = true;
	future_restore(f, cancelled ? FUTURE_CANCELLED : FUTURE_FINISHED, gone || (!cancelled && t->failed), t->seen, value);
	if (t->value_damaged || !record_is_value(t->rusage.at, t->rusage.len, READER_MAP, WORKER_VALUE_DEPTH))
		return true;
	return future_more(f) && copy_bytes(&f->more->rusage, t->rusage);
}

/* That it had begun; and when it is to go on. */
static bool
restore_pending(struct replay *r, struct future *f, struct fate *fate, const struct replay_task *t)
{
	const struct spec *s = f->spec;
	struct held *h;

	HASH_FIND(hh, r->held, &t->id, sizeof t->id, h);
	f->attempt = attempts(t->attempt);
	if (h && h->begun && h->attempt > t->attempt) {
		f->attempt = attempts(h->attempt);
		fate->begun = true;
	}
	/* Ids rise with the time of submitting, though the wall clock may have been set back between two daemons. */
	fate->when = fate->begun ? INT64_MAX : t->not_before ? t->not_before : r->last_submitted + (int64_t)s->delay_us;
	int64_t now = clock_wall_now(), submitted = clock_wall_us(f->submitted_us);
	int64_t not_before = t->not_before ? t->not_before : s->delay_us ? submitted + (int64_t)s->delay_us : 0;
	uint64_t left = not_before > now ? (uint64_t)not_before - (uint64_t)now : 0;
	uint64_t most = t->not_before ? future_retry_pause(f) : s->delay_us;
	bool limited = s->deadline_us != UINT64_MAX;
	if ((left || limited) && !future_more(f))
		return false;
	if (left) /* never longer than was asked for, whatever became of the wall clock */
		f->more->not_before_us = clock_now() + (left < most ? left : most);
	if (limited)
		f->more->deadline_us = f->submitted_us + s->deadline_us;
	return true;
}

/* Whether there can be a future of it. */
static bool
is_recognizable(const struct replay_task *t, const struct known_spec *k)
{
	if (!k || !t->id || t->id > IDS_LAST || registry_find(t->id))
		return false;
	return (t->id < registry_next() || !t->damaged) && registry_reaches(t->id);
}

/* The arguments as they came; where they are none, what can be shown in their place. */
static bool
restore_args(const struct replay_task *t, struct bytes *args, bool *sound)
{
	const void *data = t->args_bytes ? (const void *)bytes_data(t->args_bytes) : t->args.at;
	size_t len = t->args_bytes ? bytes_len(t->args_bytes) : t->args.len;

	*sound = record_is_value(data, len, READER_ARRAY, WORKER_VALUE_DEPTH + 1);
	if (!*sound)
		return bytes_copy(args, "\x90", 1);
	if (!t->args_bytes)
		return bytes_copy(args, data, len);
	*args = bytes_share(*t->args_bytes);
	return true;
}

/* The gate that goes with its spec, and with no other. False if it has one that cannot be its own. */
static bool
find_gate(struct replay *r, struct known_spec *k, const struct replay_task *t, struct fate *fate)
{
	struct known_gate *g;

	HASH_FIND(hh, r->gates, &t->gate, sizeof t->gate, g);
	if (!t->gate || !g || (g->spec && g->spec != k->row) || (k->spec->gate && k->spec->gate != t->gate))
		return !t->gate;
	g->spec = k->row;
	k->spec->gate = t->gate;
	k->spec->gate_passed = g->over;
	fate->gate = g;
	return true;
}

bool
replay_task(struct replay *r, const struct replay_task *t)
{
	struct known_spec *k;
	struct bytes args = { .len = 0 };
	struct fate *fate;
	struct future *f;
	uint64_t *refs = NULL;
	size_t count = 0;
	bool sound;

	HASH_FIND(hh, r->specs, &t->spec, sizeof t->spec, k);
	if (!is_recognizable(t, k)) {
		log_error("store", "the record of future %llu is damaged beyond recognition: it is lost", (unsigned long long)t->id);
		if (!t->id || t->id > IDS_LAST || !registry_find(t->id))
			store_lost(t->id);
		return true;
	}
	if (t->id >= registry_next())
		registry_begin_at(t->id + 1);
	if (t->submitted > r->last_submitted && t->submitted <= TIME_LAST)
		r->last_submitted = t->submitted;
	if (!(fate = fates_add(&r->fates)) || !restore_args(t, &args, &sound) || !(f = registry_make(t->id))) {
		bytes_drop(&args);
		return false;
	}
	future_init(f, t->id, k->spec, args);
	f->filed = t->args_bytes ? 1 << PAYLOAD_ARGS : 0;
	f->submitted_us = clock_from_wall(t->submitted);
	f->let_go = t->let_go;
	registry_show(t->id, 1);
	fate->future = f;
	fate->killed = t->killed;
	fate->fed = t->fed;
	fate->gone = !t->final && k->opened == REPLAY_BOUND && k->spec->pool->absent;
	bool gated = find_gate(r, k, t, fate);
	if (fate->gate && !bytes_len(&k->spec->after)) {
		if (!known_gate_as_option(fate->gate, &k->spec->after))
			return false;
		spec_charge(k->spec);
	}
	if ((!t->final || !t->args_bytes) && !fate_references(f, &refs, &count)) /* of large ones none are shown */
		return false;
	f->has_refs = !t->args_bytes && count;
	fate->damaged = !t->final && (t->damaged || k->damaged || !sound || !gated || t->attempt > SPEC_RETRIES_MAX + 1 || fate_is_behind_later(fate, refs, count));
	return t->final ? restore_final(f, fate, t) : restore_pending(r, f, fate, t);
}

bool
replay_output(struct replay *r, uint64_t id, int stream, struct replay_text bytes, uint64_t cut)
{
	struct future *f = registry_find(id);
	(void)r;

	if (cut > INT64_MAX / 2)
		cut = 0;
	if (!f || !future_is_final(f) || (!bytes.len && !cut) || stream < 0 || stream >= OUTPUT_STREAMS)
		return true;
	if (output_kept_length(f, (enum output_stream)stream) || output_cut(f, (enum output_stream)stream)) /* of two records of one stream, the first */
		return true;
	return output_restore(f, (enum output_stream)stream, bytes.at, bytes.len, cut);
}

bool
replay_by_hand(struct replay *r, struct replay_text pool, int64_t paused, struct replay_text by, uint32_t workers, uint32_t configured)
{
	struct owner *o = paused && record_is_owner(by) ? owner_of(by) : NULL;
	(void)r;

	bool there = record_is_text(pool, POOL_NAME_MAX) && pool_restore_by_hand(pool.at, pool.len, clock_from_wall(paused), o, workers, configured);
	owner_drop(o);
	return there || !pool.at || memchr(pool.at, 0, pool.len) || store_by_hand_gone(pool.at, pool.len);
}

/* The first from id on that is that owner's, and no other key's. */
static struct future *
next_of_key(uint64_t id, uint64_t end, const struct owner *o)
{
	for (id = registry_after(id); id && id < end; id = registry_after(id + 1)) {
		struct future *f = registry_find(id);
		if (f->spec->owner == o && !(f->more && f->more->key) && future_more(f))
			return f;
	}
	return NULL;
}

static struct keyed *
restore_key(uint64_t first, uint64_t count, struct owner *o, struct replay_text key)
{
	uint64_t alive = 0, end = first + count;
	struct keyed *k = NULL;
	struct future *f;

	if (key_find(o, key.at, key.len))
		return NULL;
	for (f = next_of_key(first, end, o); f; f = next_of_key(f->id + 1, end, o))
		alive++;
	if (!alive || !(k = key_again(o, key.at, key.len, first, count, alive)))
		return NULL;
	for (f = next_of_key(first, end, o); f; f = next_of_key(f->id + 1, end, o))
		f->more->key = k;
	return k;
}

bool
replay_key(struct replay *r, uint64_t first, uint64_t count, struct replay_text owner, struct replay_text key)
{
	bool sound = first && first <= REGISTRY_ID_MAX && count <= REGISTRY_ID_MAX && record_is_owner(owner) && key.at && key.len <= KEY_MAX;
	struct owner *o = sound ? owner_of(owner) : NULL;
	(void)r;

	if (!o || !restore_key(first, count, o, key))
		store_key_gone(first);
	owner_drop(o); /* its futures hold it */
	return true;
}

/* ---- when all are there ---- */

/* Those that go with no spec, and so with nothing. */
static void
forget_gates(const struct replay *r)
{
	for (const struct known_gate *g = r->gates; g; g = g->hh.next)
		if (!g->spec)
			store_gate_gone(g->row);
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
	free(r->fates.all);
}

static bool
is_filed(uint64_t id, enum payload_kind kind)
{
	struct registry_page *page = registry_page(id);
	const struct future *f = page ? registry_pinned(id) : NULL; /* one that is hidden may be needed by others */
	return f && f->id == id && f->stored && (f->filed & 1 << kind);
}

/* Which daemon this is, and which ids it may give. Where the store does not say, it is another one, to which other daemon's ids mean nothing. */
static void
adopt_identity(const struct replay *r)
{
	if (r->has_ids && r->has_instance) {
		server_set_instance(r->instance);
		return;
	}
	if (!r->has_ids)
		registry_begin_at(registry_next() + IDS_SKIPPED);
	log_error("store", "its record of %s is damaged: this is instance %s from now on, and ids begin at %llu", r->has_ids ? "the instance" : "which ids were given", server_instance(),
	    (unsigned long long)registry_next());
	store_instance(server_instance());
}

bool
replay_all(char *why, size_t size)
{
	struct replay r = { .specs = NULL };
	uint64_t before = clock_read();
	bool good = store_replay(&r, why, size);

	store_rows_taken(r.last_spec, r.last_gate, r.last_pool);
	if (good && store_is_durable()) {
		adopt_identity(&r);
		store_ids(registry_next());
		store_none_sent();
	}
	if (good)
		snprintf(why, size, "out of memory");
	good = good && (r.same_boot || !store_is_durable() || store_clock());
	if (good) /* else it is not known which they are */
		forget_gates(&r);
	good = good && fates_settle(&r.fates);
	if (good && store_is_durable())
		output_adopt_files();
	if (good && store_is_durable())
		payload_sweep(is_filed);
	clear(&r);
	if (!good)
		return false;
	if (commit_finish())
		boards_forget_earlier();
	else if (store_is_damaged()) {
		snprintf(why, size, "the store cannot be written: %s", store_counts().failing);
		return false;
	} else /* nothing is handed over or said before it can; and boards are what the next daemon goes by, should that never be */
		log_warn("store", "what became of tasks that ran cannot be written yet");
	if (r.fates.count)
		log_info("store", "%llu futures are back in %.1f s: %llu finished, %llu pending; of those that ran, %llu run again and %llu are lost",
		    (unsigned long long)r.fates.count, (double)(clock_read() - before) / 1e6, (unsigned long long)r.fates.kept,
		    (unsigned long long)(r.fates.waiting - r.fates.lost), (unsigned long long)r.fates.again, (unsigned long long)r.fates.lost);
	return true;
}

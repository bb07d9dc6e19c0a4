/* Notes gather in `current`; store_give hands them to the committer as `given`, which brings the news back into the loop, where the batch is freed. */
#include "daemon/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/batch_files.h"
#include "daemon/clock.h"
#include "daemon/commit.h"
#include "daemon/committer.h"
#include "daemon/future.h"
#include "daemon/host.h"
#include "daemon/opened.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/payload.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/slot.h"
#include "daemon/tally.h"
#include "proto/buf.h"
#include "proto/pack.h"

enum { BEHIND_NOTES = 20000, IDS_AHEAD = 20000, TASK_BYTES = 64, RESULT_BYTES = 64 };
static const uint64_t BEHIND_BYTES = UINT64_C(64) << 20;

static bool
open_nothing(const char *path, enum store_sync sync, char *why, size_t size)
{
	(void)path, (void)sync, (void)why, (void)size;
	return true;
}

/* It keeps nothing: everything is in the registry. */
static const struct engine memory = { .kind = "memory", .open = open_nothing };

static const struct engine *engine = &memory;
static struct store_counts counts;
static struct batch current, given;
static struct slot *touched;
static uint64_t specs, gates, pools; /* rows given */
static uint64_t ids_noted, held;
static uint64_t given_us, latency_us;
static uint32_t batches, committed; /* the numbers of the last one given, and of the last one committed */
static void (*given_done)(bool good, const char *why);
static bool started;

static struct {
	void (*done)(void *arg, bool good, const char *why);
	void *arg;
} backup;

/* ---- news for the loop ---- */

static void
hear_commit(const struct committer_news *news)
{
	static char failing[256];

	counts.bytes = news->bytes;
	snprintf(failing, sizeof failing, "%s", news->why);
	counts.failing = news->good ? NULL : failing;
	counts.failures += !news->good;
	counts.commit_us = news->us;
	tally_commit(news->us);
	uint64_t took = clock_read() - given_us;
	latency_us = latency_us ? (7 * latency_us + took) / 8 : took;
	if (news->us > counts.commit_max_us)
		counts.commit_max_us = news->us;
	if (news->good) {
		if (given.large)
			batch_files_let_go(&given);
		batch_clear(&given);
		committed = batches;
	}
	given_done(news->good, news->why);
}

static void
hear_backup(bool good, const char *why)
{
	backup.done(backup.arg, good, why);
}

/* ---- opening and closing ---- */

bool
store_open(const char *name, enum store_sync sync, char *why, size_t size)
{
	const char *path = strchr(name, ':');

	if (strncmp(name, "sqlite:", 7) == 0)
		engine = &store_sqlite;
	else if (strcmp(name, "memory") != 0) {
		snprintf(why, size, "there is no store '%.100s'", name);
		return false;
	}
	if (!engine->open(path ? path + 1 : "", sync, why, size)) {
		engine = &memory;
		return false;
	}
	return true;
}

bool
store_replay(struct replay *to, char *why, size_t size)
{
	if (!engine->commit)
		return true;
	commit_use_gate();
	batch_make_ready();
	if (!engine->replay(to, why, size))
		return false;
	counts.bytes = engine->size() + payload_bytes();
	snprintf(why, size, "out of memory");
	started = committer_start(engine, hear_commit, hear_backup);
	return started;
}

static struct note *
note(enum note_verb verb, uint64_t id)
{
	return batch_add(&current, verb, id);
}

/* No more ids are given, so the next daemon goes on without a gap. Where this is not written, it begins behind those kept ahead. */
static void
note_ids_exactly(void)
{
	ids_noted = registry_next();
	note(NOTE_IDS, ids_noted);
}

/* Nothing is left of it: another one may be opened. */
void
store_close(void)
{
	if (!engine->commit)
		return;
	if (started) {
		note_ids_exactly();
		commit_finish();
		committer_end();
		started = false;
	}
	engine->close();
	batch_clear(&given);
	batch_clear(&current);
	specs = gates = pools = ids_noted = held = 0;
	counts.failing = NULL;
	engine = &memory;
}

const char *
store_kind(void)
{
	return engine->kind;
}

bool
store_is_durable(void)
{
	return engine->commit != NULL;
}

bool
store_is_damaged(void)
{
	return engine->commit && engine->is_damaged();
}

struct store_counts
store_counts(void)
{
	return counts;
}

/* ---- notes ---- */

/* A counted share for the batch. */
static struct bytes
share(const struct bytes *b)
{
	current.bytes += bytes_len(b);
	return bytes_share(*b);
}

static void
note_spec(struct spec *s)
{
	if (s->row)
		return;
	s->row = ++specs;
	note(NOTE_SPEC, s->row)->u.spec = spec_hold(s);
}

/* Ids as a JSON array, negative where the next daemon will not know whether that one ended well, as it is not stored. Owned; NULL without memory. */
static char *
gate_text(const uint64_t *ids, size_t count)
{
	struct buf b;
	char number[24];
	size_t len;

	buf_init(&b);
	for (size_t i = 0; i < count; i++) {
		const struct future *f = registry_find(ids[i]);
		int n = snprintf(number, sizeof number, "%c%s%llu", i ? ',' : '[', f && !f->spec->bound_to ? "" : "-", (unsigned long long)ids[i]);
		buf_append(&b, number, (size_t)n);
	}
	buf_append(&b, "]", 2);
	char *text = b.failed ? NULL : (char *)buf_take(&b, &len);
	buf_clear(&b);
	return text;
}

bool
store_origin_init(struct store_origin *o, const struct spec *spec, const uint64_t *after, size_t after_count, const char *key, size_t key_len)
{
	*o = (struct store_origin){ .gate = NULL };
	if (!engine->commit || spec->bound_to)
		return true;
	if ((after_count && !(o->gate = gate_text(after, after_count))) || (key && !bytes_copy(&o->key, key, key_len)) ||
	    (key && !(o->owner = strdup(spec->owner->name)))) {
		store_origin_clear(o);
		return false;
	}
	return true;
}

void
store_origin_clear(struct store_origin *o)
{
	free(o->gate);
	free(o->owner);
	bytes_drop(&o->key);
	*o = (struct store_origin){ .gate = NULL };
}

void
store_ids(uint64_t next)
{
	if (!engine->commit || next <= ids_noted)
		return;
	ids_noted = next + IDS_AHEAD;
	note(NOTE_IDS, ids_noted);
}

bool
store_clock(void)
{
	char *text;

	if (asprintf(&text, "%s %lld", clock_boot(), (long long)clock_stored_offset()) < 0)
		return false;
	note(NOTE_CLOCK, 0)->u.name.text = text;
	return true;
}

void
store_instance(const char *text)
{
	char *copy = strdup(text);
	if (!copy)
		batch_out_of_memory();
	note(NOTE_INSTANCE, 0)->u.name.text = copy;
}

void
store_lost(uint64_t id)
{
	note(NOTE_GONE, id);
}

void
store_none_sent(void)
{
	note(NOTE_SENT_NONE, 0);
}

void
store_rows_taken(uint64_t s, uint64_t g, uint64_t p)
{
	pools = p > pools ? p : pools;
	specs = s > specs ? s : specs;
	gates = g > gates ? g : gates;
}

/* What its rows are about to cost. */
static uint64_t
record_size(const struct future *f)
{
	uint64_t size = TASK_BYTES + bytes_len(&f->args);

	if (!future_is_final(f))
		return size;
	for (int i = 0; i < OUTPUT_STREAMS; i++)
		size += output_kept_length(f, (enum output_stream)i);
	return size + RESULT_BYTES + bytes_len(&f->value);
}

/* Told of: its arguments become a file if they are large. */
static void
mark_stored(struct future *f)
{
	f->stored = true;
	held += record_size(f);
	if (bytes_len(&f->args) < PAYLOAD_LARGE)
		return;
	f->filed |= 1 << PAYLOAD_ARGS;
	current.large = true;
}

void
store_accept(struct future *first, uint64_t n, struct store_origin *from)
{
	struct spec *spec = first->spec;

	counts.accepted += n;
	if (!engine->commit || spec->bound_to)
		return;
	note_spec(spec);
	uint64_t gate = from->gate ? ++gates : 0;
	if (gate)
		note(NOTE_GATE, spec->gate = gate)->u.name.text = from->gate;
	from->gate = NULL; /* the note's */
	struct note *t = note(n > 1 || bytes_len(&from->elements) ? NOTE_TASKS : NOTE_TASK, first->id);
	t->count = n;
	t->u.task.spec = spec->row;
	t->u.task.gate = gate;
	t->u.task.submitted = clock_wall_us(first->submitted_us);
	t->bytes = share(t->verb == NOTE_TASK ? &first->args : &from->elements);
	for (uint64_t i = 0; i < n; i++)
		mark_stored(registry_pinned(first->id + i));
	if (!from->owner)
		return;
	struct note *k = note(NOTE_KEY, first->id);
	k->count = n;
	k->bytes = from->key;
	k->u.name.owner = from->owner;
	from->key = (struct bytes){ .len = 0 }; /* the note's */
	from->owner = NULL;                     /* … too */
}

void
store_touch(struct slot *s)
{
	if (!engine->commit || s->touched)
		return;
	s->touched = true;
	DL_APPEND2(touched, s, touched_prev, touched_next);
}

void
store_slot_gone(struct slot *s)
{
	if (s->touched)
		DL_DELETE2(touched, s, touched_prev, touched_next);
	s->touched = false;
	if (!s->noted)
		return;
	struct note *n = note(NOTE_SENT_GONE, 0);
	n->u.sent.host = s->host->number;
	n->u.sent.slot = s->index;
	s->noted = false;
}

void
store_host_gone(uint64_t number)
{
	if (engine->commit)
		note(NOTE_HOST_GONE, number);
}

void
store_hand_over(struct future *f)
{
	counts.handed_over++;
	if (f->stored)
		store_touch(f->at.slot);
}

void
store_again(struct future *f)
{
	if (!f->stored)
		return;
	struct note *n = note(NOTE_AGAIN, f->id);
	n->attempt = f->attempt;
	n->u.result.not_before = clock_wall_us(f->more->not_before_us);
}

/* Where it is in a file, that is made durable before the result is. */
static void
note_file(const struct future *f, enum output_stream which)
{
	if (output_is_file(f, which))
		note(NOTE_FILE, f->id)->u.stream = (int)which;
}

static void
note_output(struct future *f, enum output_stream which)
{
	struct bytes b = { .len = 0 };
	uint64_t cut = output_cut(f, which);
	if (!output_kept(f, which, &b) && !cut)
		return;
	struct note *n = note(NOTE_OUTPUT, f->id);
	n->u.stream = (int)which;
	n->count = cut;
	n->bytes = b;
	current.bytes += bytes_len(&b);
}

void
store_finish(struct future *f)
{
	counts.finished++;
	if (!f->stored) {
		f->batch = store_batch();
		return;
	}
	held += record_size(f) - TASK_BYTES - bytes_len(&f->args); /* of the result */
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		note_file(f, (enum output_stream)i);
		note_output(f, (enum output_stream)i);
	}
	struct note *n = note(NOTE_RESULT, f->id);
	n->attempt = f->attempt;
	n->u.result.state = f->state;
	n->u.result.failed = f->failed;
	n->u.result.seen = f->seen;
	n->u.result.started = clock_wall_us(f->started_us);
	n->u.result.finished = clock_wall_us(f->finished_us);
	n->bytes = share(&f->value);
	if (bytes_len(&f->value) >= PAYLOAD_LARGE) {
		f->filed |= 1 << PAYLOAD_VALUE;
		current.large = true;
	}
	if (f->more)
		n->more = share(&f->more->rusage);
	f->batch = store_batch();
}

void
store_restored(struct future *f)
{
	f->stored = true;
	f->batch = committed;
	held += record_size(f);
}

void
store_undo(struct future *f)
{
	if (f->stored) {
		held -= record_size(f);
		if (f->filed || future_is_final(f)) { /* its files may be there, and its result be noted */
			note(NOTE_GONE, f->id)->count = f->filed;
			current.large |= f->filed != 0;
		}
	}
	f->stored = false;
}

uint64_t
store_held(void)
{
	return held;
}

void
store_see(struct future *f)
{
	if (f->stored && future_is_final(f))
		note(NOTE_SEEN, f->id);
}

void
store_let_go(struct future *f)
{
	if (f->stored)
		note(NOTE_LET_GO, f->id);
}

void
store_killed(struct future *f)
{
	if (f->stored)
		note(NOTE_KILLED, f->id);
}

void
store_fed(struct future *f)
{
	if (f->stored)
		note(NOTE_FED, f->id);
}

void
store_forget(struct future *f)
{
	counts.forgotten++;
	if (f->stored) {
		held -= record_size(f);
		note(NOTE_GONE, f->id)->count = f->filed;
		current.large |= f->filed != 0;
	}
	f->stored = false;
}

void
store_gate_passed(struct spec *s)
{
	if (!s->gate || s->gate_passed || !engine->commit)
		return;
	s->gate_passed = true;
	note(NOTE_GATE_PASSED, s->gate)->u.passed = clock_wall_now();
}

void
store_spec_gone(const struct spec *s)
{
	if (!engine->commit)
		return;
	if (s->row)
		note(NOTE_SPEC_GONE, s->row);
	if (s->gate)
		note(NOTE_GATE_GONE, s->gate);
}

void
store_gate_gone(uint64_t row)
{
	note(NOTE_GATE_GONE, row);
}

void
store_key_gone(uint64_t first)
{
	if (first && engine->commit)
		note(NOTE_KEY_GONE, first);
}

bool
store_pool(struct pool *p)
{
	struct bytes what;
	struct buf b;

	if (!engine->commit || p->bound_to)
		return true;
	buf_init(&b);
	opened_pack(p, &b);
	char *name = strdup(p->name);
	bool good = name && bytes_take(&what, &b);
	buf_clear(&b);
	if (!good) {
		free(name);
		return false;
	}
	struct note *n = note(NOTE_POOL, p->row = ++pools);
	n->u.name.text = name;
	n->bytes = what;
	return true;
}

/* A new row in the old one's place: without memory the old one stays. */
void
store_pool_changed(struct pool *p)
{
	uint64_t before = p->row;

	if (before && store_pool(p))
		store_pool_gone(before);
}

void
store_pool_gone(uint64_t row)
{
	if (engine->commit && row)
		note(NOTE_POOL_GONE, row);
}

bool
store_by_hand(struct pool *p)
{
	bool any = p->paused || p->configured;

	if (!engine->commit || p->bound_to || (!any && !p->by_hand))
		return true;
	char *name = strdup(p->name), *by = p->paused_by ? strdup(p->paused_by->name) : NULL;
	if (!name || (p->paused_by && !by)) {
		free(name);
		free(by);
		return false;
	}
	struct note *n = note(NOTE_BY_HAND, 0);
	n->u.by_hand.pool = name;
	n->u.by_hand.paused_by = by;
	n->u.by_hand.paused = p->paused ? clock_wall_us(p->paused_us) : 0;
	n->u.by_hand.workers = p->configured ? p->workers : 0;
	n->u.by_hand.configured = p->configured;
	p->by_hand = any;
	return true;
}

bool
store_by_hand_gone(const char *name, size_t len)
{
	char *copy = strndup(name, len);

	if (copy)
		note(NOTE_BY_HAND, 0)->u.by_hand.pool = copy;
	return copy != NULL;
}

/* ---- batches ---- */

/* What the touched slots hold. False without memory: those not noted are still touched. */
static bool
note_slots(void)
{
	struct slot *s;

	while ((s = touched)) {
		struct note_sent sent[BOARD_ENTRIES];
		const struct future *f;
		size_t n = 0;
		struct bytes copy;
		TAILQ_FOREACH(f, &s->sent, link)
			if (f->stored && n < BOARD_ENTRIES)
				sent[n++] = (struct note_sent){ .id = f->id, .attempt = f->attempt, .entry = f->sequence };
		if (!bytes_copy(&copy, sent, n * sizeof *sent))
			return false;
		DL_DELETE2(touched, s, touched_prev, touched_next);
		s->touched = false;
		if (!n && !s->noted)
			continue;
		struct note *row = note(NOTE_SENT, 0);
		row->u.sent.host = s->host->number;
		row->u.sent.slot = s->index;
		row->bytes = copy;
		s->noted = true;
	}
	return true;
}

bool
store_has_notes(void)
{
	return touched || !batch_is_empty(&current);
}

uint32_t
store_batch(void)
{
	return batches + store_has_notes();
}

bool
store_has_committed(uint32_t batch)
{
	return (int32_t)(committed - batch) >= 0;
}

uint64_t
store_latency_us(void)
{
	return latency_us;
}

uint64_t
store_notes(void)
{
	return current.notes;
}

bool
store_is_behind(void)
{
	return current.notes > BEHIND_NOTES || current.bytes > BEHIND_BYTES;
}

static void
give(bool again)
{
	given_us = clock_read();
	committer_give(&given, again);
}

enum store_given
store_give(void (*done)(bool good, const char *why))
{
	if (!engine->commit || !store_has_notes())
		return STORE_NOTHING;
	if (!batch_make_ready() || !note_slots())
		return STORE_LATER;
	given = current;
	current = (struct batch){ .first = NULL };
	given_done = done;
	counts.batches++;
	batches++;
	give(false);
	return STORE_GIVEN;
}

bool
store_give_again(void (*done)(bool good, const char *why))
{
	given_done = done;
	give(true);
	return true;
}

void
store_unaccept(void)
{
	batch_unaccept(&given);
	batch_unaccept(&current);
}

void
store_wait(void)
{
	committer_wait();
}

bool
store_backup(const char *path, void (*done)(void *arg, bool good, const char *why), void *arg)
{
	if (!committer_backup(path))
		return false;
	backup.done = done;
	backup.arg = arg;
	return true;
}

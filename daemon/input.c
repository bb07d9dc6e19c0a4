/* input_feed ─► waiting ─► (the task runs) pump ─► the host's control socket, WINDOW bytes ahead of what the task took ─► "taken" ─► pump … */
#include "daemon/input.h"

#include <stdlib.h>
#include <utlist.h>

#include "daemon/fault.h"
#include "daemon/owner.h"
#include "daemon/run.h"
#include "daemon/slot.h"
#include "daemon/store.h"

enum { WINDOW = 256 * 1024, BUFFERED = 1024 * 1024, CHUNK = 64 * 1024 };

struct input {
	struct future *future;
	struct buf waiting;     /* not given to the host */
	uint64_t in_host;       /* given, and not yet taken by the task */
	uint64_t feeder;        /* connection that fed last */
	bool eof, eof_said;
	bool noted;             /* the store was told that it is fed */
	uint64_t coming;        /* bytes that waiters have */
	uint64_t counted;       /* of what waits, as bytes held, … */
	uint64_t charged;       /* … and with what waiters have, as the owner's */
	struct input_waiter *waiters;
};

static void
count(struct input *in)
{
	uint64_t all = in->waiting.len + in->coming;

	bytes_account((int64_t)(in->waiting.len - in->counted));
	in->counted = in->waiting.len;
	in->future->spec->owner->bytes += all - in->charged;
	in->charged = all;
}

bool
input_is_open(const struct future *f)
{
	if (f->spec->stdin_kind != SPEC_STDIN_OPEN || future_is_final(f))
		return false;
	return !(f->more && f->more->input && f->more->input->eof);
}

static void
admit_waiters(struct input *in)
{
	struct input_waiter *w;
	while ((w = in->waiters) && in->waiting.len < BUFFERED) {
		DL_DELETE(in->waiters, w);
		in->coming -= bytes_len(&w->data);
		bool done = buf_append(&in->waiting, bytes_data(&w->data), bytes_len(&w->data));
		in->eof |= w->eof;
		w->answer(w, done);
	}
}

/* How much the host may have that the task has not taken. */
static uint64_t
window(void)
{
	return run_host_limit() < WINDOW ? run_host_limit() : WINDOW;
}

/* Gives the host what it has room for. */
static void
give(struct input *in)
{
	struct future *f = in->future;

	if (f->state != FUTURE_RUNNING)
		return; /* until input_begin */
	struct host *h = f->at.slot->host;
	size_t given = 0;
	do {
		while (given < in->waiting.len && in->in_host < window()) {
			size_t n = in->waiting.len - given;
			n = n < CHUNK ? n : CHUNK;
			n = n < window() - in->in_host ? n : (size_t)(window() - in->in_host);
			host_say_input(h, f->id, in->waiting.data + given, n, false);
			given += n;
			in->in_host += n;
		}
		buf_drain(&in->waiting, given);
		given = 0;
		admit_waiters(in);
	} while (in->waiting.len && in->in_host < window());
	if (in->eof && !in->eof_said && !in->waiting.len && !in->waiters) {
		host_say_input(h, f->id, NULL, 0, true);
		in->eof_said = true;
	}
}

static void
pump(struct input *in)
{
	give(in);
	count(in);
}

static struct input *
get(struct future *f)
{
	struct future_more *more = future_more(f);
	if (more && !more->input && (more->input = calloc(1, sizeof *more->input)))
		more->input->future = f;
	return more ? more->input : NULL;
}

bool
input_is_taken(const struct future *f, size_t len)
{
	const struct input *in = f->more ? f->more->input : NULL;
	uint64_t before = in ? in->waiting.len + in->in_host : 0;

	return f->state == FUTURE_RUNNING && before + len <= window();
}

bool
input_feed(struct future *f, const void *data, size_t len, bool eof, uint64_t feeder, bool *failed)
{
	struct input *in = get(f);

	*failed = !in;
	if (!in)
		return false;
	in->feeder = feeder;
	if (f->place == PLACE_SLOT)
		slot_look(f); /* it may have begun, which pumps */
	if (f->state == FUTURE_PENDING && !in->noted) {
		store_fed(f);
		in->noted = true;
	}
	if (in->waiters || in->waiting.len >= BUFFERED)
		return false;
	if (!buf_append(&in->waiting, data, len)) {
		*failed = true;
		return false;
	}
	in->eof |= eof;
	pump(in);
	return true;
}

void
input_wait(struct future *f, struct input_waiter *w)
{
	DL_APPEND(f->more->input->waiters, w);
	f->more->input->coming += bytes_len(&w->data);
	count(f->more->input);
}

void
input_unwait(struct future *f, struct input_waiter *w)
{
	DL_DELETE(f->more->input->waiters, w);
	f->more->input->coming -= bytes_len(&w->data);
	count(f->more->input);
}

void
input_begin(struct future *f)
{
	if (f->more && f->more->input)
		pump(f->more->input);
}

void
input_taken(struct future *f, uint64_t n)
{
	struct input *in = f->more ? f->more->input : NULL;
	if (!in || FAULT(taken_not_heard))
		return;
	in->in_host -= n < in->in_host ? n : in->in_host;
	pump(in);
}

void
input_feeder_gone(struct future *f, uint64_t feeder)
{
	struct input *in = get(f);
	if (!in || (in->feeder && in->feeder != feeder))
		return;
	in->eof = true;
	pump(in);
}

void
input_end_of_task(struct future *f)
{
	struct input *in = f->more ? f->more->input : NULL;
	struct input_waiter *w;

	if (!in)
		return;
	f->more->input = NULL;
	while ((w = in->waiters)) {
		DL_DELETE(in->waiters, w);
		w->answer(w, false);
	}
	buf_clear(&in->waiting);
	in->coming = 0;
	count(in);
	free(in);
}

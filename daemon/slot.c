/* A task's way through a slot: slot_send (entry SENT on the board, the run message collected) ─► the host claims it ─► output and progress ─► one
 * answer (on_message: through the ring, or the socket) ─► the future's final state. What goes wrong: the message is no answer to the task in front: the host is broken, and killed; the
 * host dies: everything it wrote is read first, then slot_settle asks the board what it was doing. */
#include "daemon/slot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/answer.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/errors.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/run.h"
#include "daemon/store.h"
#include "proto/worker.h"

static void on_end(struct stream *st, enum stream_end how, enum frame_verdict verdict);
static bool on_frame(struct stream *st, const uint8_t *bytes, size_t len);
static void on_written(struct stream *st);
static void on_ring_message(struct rings_item *item, const uint8_t *bytes, size_t len);
static void on_ring_nonsense(struct rings_item *item);

static const struct stream_ops ops = { .on_frame = on_frame, .on_end = on_end, .on_written = on_written };

struct slot *
slot_new(struct host *h, unsigned index, int fd, struct board *board, struct ring *ring)
{
	struct slot *s = calloc(1, sizeof *s);
	if (!s || !stream_init(&s->stream, fd, run_host_limit() + WORKER_ENVELOPE, &ops)) {
		close(fd);
		free(s);
		return NULL;
	}
	s->stream.gated = commit_is_gated();
	s->host = h;
	s->index = index;
	s->board = board;
	s->ring.on_message = on_ring_message;
	s->ring.on_nonsense = on_ring_nonsense;
	rings_init(&s->ring, ring);
	s->idle_since_us = clock_now();
	TAILQ_INIT(&s->sent);
	return s;
}

void
slot_free(struct slot *s)
{
	if (!s)
		return;
	assert(TAILQ_EMPTY(&s->sent));
	store_slot_gone(s);
	timer_unset(&s->stop_timer);
	rings_forget(&s->ring);
	stream_clear(&s->stream);
	free(s);
}

/* From one beginning to the next where several ran one after another: then no waiting is in it, neither for us nor for a commit. */
bool
slot_measure(struct slot *s, uint64_t *mean_us)
{
	unsigned n = s->batch;

	if (!n)
		return false;
	s->batch = 0;
	if (s->last_us < s->first_us) /* the host's word */
		return false;
	*mean_us = n > 1 ? (s->last_us - s->first_us) / (n - 1) : clock_now() - s->first_us;
	return true;
}

/* Tasks that last until the daemon can feed the slot again: 200 µs of the recent mean, and with a durable store two commits; long ones one at a
 * time. */
static unsigned
depth(const struct slot *s)
{
	const struct pool *p = s->host->pool;
	const struct future *front = TAILQ_FIRST(&s->sent);
	uint64_t ahead;

	if (s->host->depth < 2 || s->waiting || p->mean_us >= SLOT_LONG_US)
		return 1;
	if (front && front->state == FUTURE_RUNNING && clock_now() - front->started_us >= SLOT_LONG_US)
		return 1;
	uint64_t feed = 200 + 2 * store_latency_us();
	if (feed > SLOT_LONG_US) /* a large map was committed */
		feed = SLOT_LONG_US;
	ahead = p->mean_us ? (feed - 1 + p->mean_us) / p->mean_us : BOARD_ENTRIES;
	return ahead + 1 < s->host->depth ? (unsigned)ahead + 1 : s->host->depth;
}

bool
slot_board_is_free(struct slot *s)
{
	s->back = s->back && !store_has_committed(s->back_batch);
	return !s->back;
}

static uint64_t
sequence_of(const struct slot *s, const struct future *f)
{
	return s->next - (s->next - f->sequence - 1) % BOARD_ENTRIES - 1;
}

/* From that of the task in front to the last one sent; those taken back in between are not used again before it is answered, nor before that is
 * committed: for the next daemon an entry that is another's would mean that the task had begun. */
static unsigned
entries_used(struct slot *s)
{
	const struct future *front = TAILQ_FIRST(&s->sent);
	uint64_t from = front ? sequence_of(s, front) : s->next;

	if (!slot_board_is_free(s) && s->back_from < from)
		from = s->back_from;
	return (unsigned)(s->next - from);
}

unsigned
slot_room(struct slot *s)
{
	unsigned most = depth(s);
	unsigned used = entries_used(s);

	if (s->leaving || s->in_flight >= most || used >= BOARD_ENTRIES)
		return 0;
	unsigned room = most - s->in_flight;
	uint64_t tasks = s->host->pool->config->max_tasks_per_worker;
	if (tasks && room > tasks - (s->served < tasks ? s->served : tasks))
		room = (unsigned)(tasks - (s->served < tasks ? s->served : tasks));
	return room < BOARD_ENTRIES - used ? room : BOARD_ENTRIES - used;
}

/* 16 random bytes; drawn from the system 4 KiB at a time. */
static void
draw_secret(uint8_t out[SLOT_SECRET])
{
	static uint8_t pool[4096];
	static size_t left;

	if (left < SLOT_SECRET) {
		for (size_t have = 0; have < sizeof pool;) {
			ssize_t n = getrandom(pool + have, sizeof pool - have, 0);
			if (n > 0)
				have += (size_t)n;
		}
		left = sizeof pool;
	}
	left -= SLOT_SECRET;
	memcpy(out, pool + left, SLOT_SECRET);
	memset(pool + left, 0, SLOT_SECRET);
}

/* A host that uses no board takes one task at a time; what it was really told counts as begun. */
static void
begin_without_board(struct slot *s)
{
	struct future *f = TAILQ_FIRST(&s->sent);

	if (s->host->uses_board || !f || f->state != FUTURE_PENDING || stream_waits(&s->stream))
		return;
	board_claim(&s->board->entry[f->sequence], f->id, clock_now());
	slot_look(f);
}

bool
slot_send(struct slot *s, struct future *f)
{
	unsigned entry = s->next % BOARD_ENTRIES;

	if (atomic_load(&s->board->entry[entry].id) != f->id) /* else the host may still have the message that told it the old one */
		draw_secret(s->secret[entry]);
	f->attempt++;
	if (!run_encode(s, f, entry, s->secret[entry])) /* it has failed */
		return false;
	board_send(&s->board->entry[entry], f->id);
	f->sequence = (uint8_t)entry;
	f->place = PLACE_SLOT;
	f->at.slot = s;
	store_hand_over(f);
	TAILQ_INSERT_TAIL(&s->sent, f, link);
	if (!s->in_flight++)
		s->front_us = clock_now();
	s->next++;
	s->served++;
	if (s->host->uses_ring)
		rings_expect(&s->ring);
	begin_without_board(s);
	future_set_timer(f);
	return true;
}

void
slot_unlink(struct future *f)
{
	struct slot *s = f->at.slot;
	if (f == TAILQ_FIRST(&s->sent))
		s->front_us = clock_now(); /* of the next one */
	TAILQ_REMOVE(&s->sent, f, link);
	if (f->state == FUTURE_RUNNING)
		s->waiting = 0; /* for it; what comes next waits for nothing yet */
	if (s->stopping == f->id) { /* it is over: its next attempt is not what was to be ended */
		s->stopping = 0;
		timer_unset(&s->stop_timer);
	}
	f->at.slot = NULL;
	if (!--s->in_flight)
		s->idle_since_us = clock_now();
}

void
slot_look(struct future *f)
{
	struct slot *s = f->at.slot;
	uint64_t start, now = clock_now();

	if (f->place != PLACE_SLOT || f->state != FUTURE_PENDING || f != TAILQ_FIRST(&s->sent))
		return; /* where one behind the first is claimed, the first is done, and its answer about to be read */
	enum board_state state = board_look(&s->board->entry[f->sequence], &start);
	if (state != BOARD_CLAIMED && state != BOARD_STOP)
		return;
	if (start && start < CLOCK_BASE)
		start += CLOCK_BASE; /* the host's clock is the system's */
	f->started_us = start && start <= now && start >= f->submitted_us ? start : now; /* the host's word, within reason */
	future_set_state(f, FUTURE_RUNNING);
}

static void
note_back(struct slot *s, const struct future *f)
{
	uint64_t sequence = sequence_of(s, f);

	if (slot_board_is_free(s) || sequence < s->back_from)
		s->back_from = sequence;
	store_touch(s);
	s->back = true;
	s->back_batch = store_batch();
}

bool
slot_take_back(struct future *f)
{
	if (!board_revoke(&f->at.slot->board->entry[f->sequence])) {
		slot_look(f);
		return false;
	}
	if (!f->at.slot->host->uses_board && stream_waits(&f->at.slot->stream))
		stream_unsay(&f->at.slot->stream); /* it would not look whether it may run the task */
	f->attempt--;
	if (f->stored)
		note_back(f->at.slot, f);
	f->at.slot->served--;
	future_leave_place(f);
	return true;
}

unsigned
slot_take_back_ahead(struct slot *s, unsigned max)
{
	unsigned n = 0;
	struct future *f;

	while (n < max && (f = TAILQ_LAST(&s->sent, future_list)) && f->state == FUTURE_PENDING && slot_take_back(f)) {
		if (!queue_push_back(s->host->pool->queue, f))
			future_fail_with(f, STATUS_LIMIT, "the daemon is out of memory");
		else
			future_set_timer(f);
		n++;
	}
	return n;
}

/* What was to end the task has not. */
static void
on_stop_timer(struct timer *t)
{
	struct slot *s = container(t, struct slot, stop_timer);
	struct future *f = slot_running(s);
	if (f && f->id == s->stopping)
		host_kill(s->host, "its task could not be ended");
}

static void
kill_host_unless_stopped(struct slot *s, const struct future *f, uint64_t after_us)
{
	uint64_t due = clock_now() + after_us;

	if (s->stopping == f->id && timer_is_set(&s->stop_timer) && s->stop_timer.due_us <= due)
		return; /* the shorter grace counts, and who asks again does not put it off */
	s->stopping = f->id;
	timer_set(&s->stop_timer, due, on_stop_timer);
}

void
slot_stop(struct future *f, bool kill, uint64_t grace_us)
{
	struct slot *s = f->at.slot;
	struct host *h = s->host;

	if (grace_us == UINT64_MAX)
		grace_us = h->pool->config->grace_us;
	if (h->can_stop) {
		host_say_stop(h, f->id, f->attempt, kill, grace_us);
		if (kill)
			kill_host_unless_stopped(s, f, grace_us + SLOT_KILL_SECONDS * UINT64_C(1000000));
		return;
	}
	board_stop(&s->board->entry[f->sequence]);
	if (kill && h->pool->config->kind == CONFIG_PROCESS) {
		slot_take_back_ahead(s, UINT32_MAX); /* the host can begin nothing else now … */
		if (f == TAILQ_LAST(&s->sent, future_list))
			host_kill(h, NULL);
		else /* … and if it had, this one's answer is under way */
			kill_host_unless_stopped(s, f, SLOT_KILL_SECONDS * UINT64_C(1000000));
	} else if (kill && h->pool->config->kind == CONFIG_INTERPRETER)
		kill_host_unless_stopped(s, f, grace_us);
}

/* Half a message would be a broken one: so the end waits until all that was said is written. */
static void
on_written(struct stream *st)
{
	struct slot *s = container(st, struct slot, stream);
	begin_without_board(s);
	if (s->closing && !stream_queued(st))
		shutdown(st->fd, SHUT_WR);
}

void
slot_close_input(struct slot *s)
{
	s->closing = true;
	on_written(&s->stream);
}

bool
slot_is_deaf(struct slot *s)
{
	const struct future *front = TAILQ_FIRST(&s->sent);

	if (stream_waits(&s->stream)) /* it was not told yet */
		s->front_us = clock_now();
	return front && front->state == FUTURE_PENDING && clock_now() - s->front_us >= SLOT_DEAF_SECONDS * UINT64_C(1000000);
}

struct future *
slot_running(struct slot *s)
{
	struct future *f = TAILQ_FIRST(&s->sent);
	if (f)
		slot_look(f);
	return f && f->state == FUTURE_RUNNING ? f : NULL;
}

struct future *
slot_find_secret(struct slot *s, const uint8_t secret[SLOT_SECRET])
{
	struct future *f;

	TAILQ_FOREACH(f, &s->sent, link) {
		if (memcmp(s->secret[f->sequence], secret, SLOT_SECRET) != 0)
			continue;
		if (f != TAILQ_FIRST(&s->sent))
			slot_drain(s); /* what came before it is done: hear that first */
		return slot_running(s) == f ? f : NULL;
	}
	return NULL;
}

/* ---- what comes from the host ---- */

static bool
on_message(struct slot *s, const uint8_t *bytes, size_t len)
{
	struct stream *st = &s->stream;
	struct future *f = TAILQ_FIRST(&s->sent);
	struct host *h = s->host;
	struct answer a;
	const char *why;

	if (f)
		slot_look(f);
	if (answer_parse(bytes, len, &a, &why))
		why = !f ? "it answered without a task" : a.id != f->id || f->state != FUTURE_RUNNING ? "it answered for a task it is not running" : NULL;
	if (why) {
		host_kill(h, why);
		return false;
	}
	if (!answer_is_last(&a)) {
		if (answer_apply_early(&a, f, &why))
			return !st->ended;
		host_kill(h, why);
		return false;
	}
	if (!s->batch++)
		s->first_us = f->started_us;
	s->last_us = f->started_us;
	answer_apply(&a, f, st, bytes, len);
	if (h->reads_stderr)
		h->err_len = 0; /* that was this task's */
	pool_wake(h->pool);
	host_note_answer(h);
	return !st->ended;
}

/* Whatever became of the socket: what has left the host's memory counts. */
static void
on_ring_message(struct rings_item *item, const uint8_t *bytes, size_t len)
{
	on_message(container(item, struct slot, ring), bytes, len);
}

static void
on_ring_nonsense(struct rings_item *item)
{
	host_kill(container(item, struct slot, ring)->host, "what it wrote into its ring is no message");
}

/* What is in the ring was said before anything that comes through the socket: see proto/ring.h. */
static bool
on_frame(struct stream *st, const uint8_t *bytes, size_t len)
{
	struct slot *s = container(st, struct slot, stream);

	if (!s->host->uses_ring)
		return on_message(s, bytes, len);
	if (len == RING_WAKE_SIZE && memcmp(bytes, ring_wake, len) == 0) {
		rings_expect(&s->ring);
		return true;
	}
	rings_hear(&s->ring);
	bool go_on = on_message(s, bytes, len);
	ring_note_heard(&s->ring.reader);
	return go_on;
}

void
slot_drain(struct slot *s)
{
	stream_drain(&s->stream);
	if (s->host->uses_ring)
		rings_hear(&s->ring);
}

static void
on_end(struct stream *st, enum stream_end how, enum frame_verdict verdict)
{
	struct slot *s = container(st, struct slot, stream);
	struct host *h = s->host;

	if (h->state == HOST_DEAD)
		return;
	if (h->uses_ring)
		rings_hear(&s->ring);
	if (how == STREAM_EOF && h->got_ready && s->leaving && !s->in_flight) { /* one that starts is not in its pool yet */
		pool_remove_slot(h->pool, s); /* as it was told to */
		return;
	}
	if (how == STREAM_EOF)
		host_suspect(h);
	else
		host_kill(h, how == STREAM_BAD ? frame_verdict_text(verdict) : "out of memory");
}

/* ---- the end of the host ---- */

static void
settle_running(struct slot *s, struct future *f, int wait_status)
{
	if (f->kill && !f->timed_out && !f->past_deadline)
		future_cancelled(f);
	else
		answer_lost(f, s->host, wait_status);
}

void
slot_settle(struct slot *s, int wait_status)
{
	struct future *f;

	/* Back to front, so that each goes back before the ones behind it. */
	slot_take_back_ahead(s, UINT32_MAX);
	while ((f = TAILQ_FIRST(&s->sent))) {
		slot_look(f);
		if (f->state == FUTURE_RUNNING) {
			settle_running(s, f, wait_status);
			continue;
		}
		/* Neither claimed nor revocable: the host wrote over its board. It may have begun. */
		future_set_state(f, FUTURE_RUNNING);
		settle_running(s, f, wait_status);
	}
}

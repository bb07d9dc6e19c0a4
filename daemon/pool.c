/* pool_wake ─► (the turn's events are handled) dispatch: idle slots first, then short tasks ahead, then, if the queue is dry, what waits behind a busy
 * slot goes to an idle one; workers are started for what is left. */
#include "daemon/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/box.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/cpus.h"
#include "daemon/errors.h"
#include "daemon/fault.h"
#include "daemon/host.h"
#include "daemon/log.h"
#include "daemon/owner.h"
#include "daemon/program.h"
#include "daemon/quota.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "daemon/workers.h"
#include "proto/error.h"
#include "proto/worker.h"

enum { START_BUDGET = 5, START_WINDOW_S = 10, BACKOFF_MAX_S = 60, SETTLED_PER_TURN = 1000, ABSENT_OUTPUT = 1 << 20 };

#define SECOND UINT64_C(1000000)
#define TICK_US UINT64_C(5000)

static struct pool *pools;
static struct pool *retired; /* no longer configured, with futures that wait for their return */
static bool frozen;
/* Blocked submits are served in rounds: whoever comes gets the round that is being served, or the one behind its last. So an owner who has a thousand of
 * them waits that many rounds, and another one. */
static uint64_t room_round;

static void dispatch(struct turn_item *item);
static void settle(struct turn_item *item);
static void on_tick(struct timer *t);
static void on_healing(struct timer *t);

/* ---- the table ---- */

struct pool *
pool_first(void)
{
	return pools;
}

struct pool *
pool_first_of_all(void)
{
	return pools ? pools : retired;
}

struct pool *
pool_next_of_all(const struct pool *p)
{
	return p->next ? p->next : p->gone ? NULL : retired;
}

struct pool *
pool_find(const char *name, size_t len)
{
	struct pool *p;
	DL_FOREACH(pools, p) {
		if (strlen(p->name) == len && memcmp(p->name, name, len) == 0)
			return p;
	}
	return NULL;
}

static unsigned
wanted_workers(const struct config_pool *c)
{
	if (c->workers)
		return c->workers;
	unsigned cpus = cpus_usable();
	if (c->kind == CONFIG_THREAD)
		return cpus + 4 < 32 ? cpus + 4 : 32;
	return cpus;
}

struct pool *
pool_new(const struct config_pool *config)
{
	static uint32_t serial;
	struct pool *p = calloc(1, sizeof *p);
	if (!p || !(p->queue = queue_new()) || !(p->name = strdup(config->name))) {
		if (p)
			queue_free(p->queue);
		free(p);
		return NULL;
	}
	p->serial = ++serial;
	p->count = 1;
	p->config = config;
	p->workers = wanted_workers(config);
	p->mean_us = UINT32_MAX;
	DL_APPEND(pools, p);
	return p;
}

struct pool *
pool_open(struct pool *like, unsigned workers, struct owner *owner, uint64_t bound_to)
{
	static uint64_t opened;
	char name[128];

	do
		snprintf(name, sizeof name, "%.60s-%llu", like->name, (unsigned long long)++opened);
	while (pool_find(name, strlen(name)));
	struct pool *p = pool_new(like->config);
	if (!p)
		return NULL;
	free(p->name);
	p->name = strdup(name);
	p->own = *like->config;
	p->config = &p->own;
	p->like = pool_hold(like);
	p->owner = owner_hold(owner);
	p->bound_to = bound_to;
	p->initargs = bytes_share(like->initargs);
	if (workers)
		p->workers = workers;
	if (p->name)
		return p;
	p->name = strdup("");
	pool_remove(p);
	return NULL;
}

static struct pool *
find_retired(const char *name, size_t len)
{
	struct pool *p;

	DL_FOREACH(retired, p) {
		if (strlen(p->name) == len && memcmp(p->name, name, len) == 0)
			return p;
	}
	return NULL;
}

struct pool *
pool_absent(const char *name, enum config_kind kind)
{
	struct pool *p = find_retired(name, strlen(name));

	if (p)
		return p;
	struct config_pool none = { .name = (char *)name, .kind = kind, .workers = 1, .output = ABSENT_OUTPUT, .spill = ABSENT_OUTPUT, .queue = UINT64_MAX };
	if (!(p = pool_new(&none)))
		return NULL;
	p->own = none;
	p->own.name = p->name;
	p->config = &p->own;
	p->gone = p->absent = true;
	p->count = 0; /* it goes with the last spec that names it */
	DL_DELETE(pools, p);
	DL_APPEND(retired, p);
	return p;
}

/* It goes: the next one of its name is as configured. Without memory the next daemon finds no such pool. */
static void
forget_by_hand(struct pool *p)
{
	p->paused = false;
	p->configured = 0;
	store_by_hand(p);
}

void
pool_remove(struct pool *p)
{
	if (p->gone)
		return;
	p->gone = true;
	DL_DELETE(pools, p);
	store_pool_gone(p->row);
	forget_by_hand(p);
	pool_end_hosts(p, p->config->grace_us);
	pool_settle(p);
	pool_drop(p);
}

/* It works again, or is to be tried anew. */
static void
heal(struct pool *p)
{
	p->backoff_us = 0;
	timer_unset(&p->healing);
	bytes_drop(&p->broken);
}

void
pool_retire(struct pool *p)
{
	p->gone = true;
	DL_DELETE(pools, p);
	pool_take_back_ahead(p);
	pool_end_hosts(p, UINT64_MAX / 4); /* what runs finishes, … */
	for (struct host *h = p->hosts; h; h = h->next)
		host_note_answer(h); /* … and where nothing runs, or can yet, there is no more than the grace */
	heal(p);
	pool_settle(p); /* who waits for room is refused */
	if (pool_is_empty(p)) {
		forget_by_hand(p);
		pool_drop(p);
		return;
	}
	DL_APPEND(retired, p);
}

struct pool *
pool_return(const char *name)
{
	struct pool *p = find_retired(name, strlen(name));

	if (!p)
		return NULL;
	DL_DELETE(retired, p);
	DL_APPEND(pools, p);
	if (p->absent)
		pool_hold(p); /* for the table */
	p->gone = false;
	pool_wake(p);
	return p;
}

void
pool_configure(struct pool *p, const struct config_pool *config)
{
	unsigned before = wanted_workers(p->config), after = wanted_workers(config);

	p->config = config;
	for (struct host *h = p->hosts; h; h = h->next)
		box_set_limits(h->box, config);
	p->absent = false;
	if (before != after) { /* else a resize by hand stays */
		pool_resize(p, after);
		p->configured = 0;
		store_by_hand(p); /* without memory: the next daemon sees that the configuration is another */
	}
	pool_settle(p);
	pool_wake(p);
}

struct pool *
pool_hold(struct pool *p)
{
	p->count++;
	return p;
}

void
pool_drop(struct pool *p)
{
	if (!p || --p->count)
		return;
	if (p->absent)
		DL_DELETE(retired, p);
	turn_unschedule(&p->dispatching);
	turn_unschedule(&p->settling);
	timer_unset(&p->tick);
	timer_unset(&p->healing);
	timer_unset(&p->idle);
	queue_free(p->queue);
	bytes_drop(&p->broken);
	bytes_drop(&p->functions);
	owner_drop(p->owner);
	owner_drop(p->paused_by);
	free(p->initializer);
	bytes_drop(&p->initargs);
	program_free(p->program);
	pool_drop(p->like);
	free(p->slot);
	free(p->name);
	free(p);
}

/* ---- what its kind can do ---- */

bool
pool_is_command(const struct pool *p)
{
	return p->config->kind == CONFIG_COMMAND;
}

bool
pool_can_kill(const struct pool *p)
{
	return p->config->kind != CONFIG_THREAD;
}

bool
pool_takes_kwargs(const struct pool *p)
{
	const struct config_strings *runtime = &p->config->runtime;
	return runtime->count && strcmp(runtime->item[0], "native") != 0 && strcmp(runtime->item[0], "lua") != 0;
}

const char *
pool_kind_name(const struct pool *p)
{
	return config_kind_name(p->config->kind);
}

/* ---- counting ---- */

void
pool_count(struct pool *p, enum future_state from, enum future_state to)
{
	if (from != FUTURE_STATES)
		p->states[from]--;
	else
		p->submitted++;
	if (to != FUTURE_STATES)
		p->states[to]++;
	p->cancelled += to == FUTURE_CANCELLED;
	if (from == FUTURE_PENDING || from == FUTURE_RUNNING)
		if (p->room || p->quiet)
			turn_schedule(TURN_DISPATCH, &p->settling, settle);
}

void
pool_look(struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++)
		slot_running(p->slot[i]);
}

bool
pool_has_room(struct pool *p, uint64_t count)
{
	uint64_t bound = p->config->queue;
	if (p->states[FUTURE_PENDING] + p->coming + count > bound)
		pool_look(p); /* what has begun is not pending */
	uint64_t taken = p->states[FUTURE_PENDING] + p->coming;
	return taken <= bound && count <= bound - taken;
}

unsigned
pool_busy(const struct pool *p)
{
	unsigned busy = 0;
	for (unsigned i = 0; i < p->slots; i++)
		busy += p->slot[i]->in_flight != 0;
	return busy;
}

bool
pool_is_quiet(const struct pool *p)
{
	const struct host *h;
	DL_FOREACH(p->hosts, h) {
		for (unsigned i = 0; i < h->slots; i++)
			if (h->slot[i] && h->slot[i]->in_flight)
				return false;
	}
	return true;
}

bool
pool_is_empty(const struct pool *p)
{
	return !p->states[FUTURE_PENDING] && !p->states[FUTURE_RUNNING] && !p->coming;
}

unsigned
pool_alive(const struct pool *p)
{
	unsigned alive = p->starting;
	for (unsigned i = 0; i < p->slots; i++)
		alive += !p->slot[i]->leaving;
	return alive;
}

/* ---- who waits ---- */

void
pool_wait_room(struct pool *p, struct pool_waiter *w, struct owner *o)
{
	struct pool_waiter *at = p->room;

	w->round = o->round = o->round < room_round ? room_round : o->round + 1;
	if (!at || at->prev->round <= w->round) { /* behind the last one */
		DL_APPEND(p->room, w);
		return;
	}
	while (at->round <= w->round)
		at = at->next;
	DL_PREPEND_ELEM(p->room, at, w);
}

void
pool_wait_quiet(struct pool *p, struct pool_waiter *w)
{
	DL_APPEND(p->quiet, w);
	turn_schedule(TURN_DISPATCH, &p->settling, settle);
}

void
pool_settle(struct pool *p)
{
	turn_schedule(TURN_DISPATCH, &p->settling, settle);
}

void
pool_unwait_room(struct pool *p, struct pool_waiter *w)
{
	DL_DELETE(p->room, w);
	if (p->room) /* the next one may need less room */
		turn_schedule(TURN_DISPATCH, &p->settling, settle);
}

void
pool_unwait_quiet(struct pool *p, struct pool_waiter *w)
{
	DL_DELETE(p->quiet, w);
}

/* Lets in, in order, those whom there is room for; tells those who wait for quiet. */
static void
settle(struct turn_item *item)
{
	struct pool *p = container(item, struct pool, settling);
	struct pool_waiter *w;
	unsigned n = 0;

	pool_hold(p);
	if (p->closed || p->draining || p->gone)
		quota_let_go(p);
	while (!FAULT(room_not_told) && (w = p->room) && n++ < SETTLED_PER_TURN) {
		uint64_t round = w->round;
		DL_DELETE(p->room, w);
		if (!w->wake(w, p)) {
			DL_PREPEND(p->room, w);
			break;
		}
		if (room_round < round)
			room_round = round;
	}
	if (n >= SETTLED_PER_TURN)
		turn_schedule(TURN_DISPATCH, &p->settling, settle);
	unsigned waiting;
	DL_COUNT(p->quiet, w, waiting);
	while (waiting-- && (w = p->quiet)) { /* each once: those that wait on go to the end */
		DL_DELETE(p->quiet, w);
		if (!w->wake(w, p))
			DL_APPEND(p->quiet, w);
	}
	pool_drop(p);
}

/* ---- workers ---- */

void
pool_end_hosts(struct pool *p, uint64_t grace_us)
{
	struct host *h;
	DL_FOREACH(p->hosts, h) {
		for (unsigned i = 0; i < h->slots; i++)
			h->slot[i]->leaving = true;
		host_end(h, grace_us);
	}
}

void
pool_resize(struct pool *p, unsigned workers)
{
	p->workers = workers;
	workers_trim(p);
	pool_wake(p);
}

void
pool_set_initializer(struct pool *p, char *initializer, struct bytes initargs)
{
	p->initializer = p->own.initializer = initializer;
	bytes_drop(&p->initargs);
	p->initargs = initargs;
	p->own.initargs = NULL;
	p->own.initargs_len = bytes_len(&initargs);
}

void
pool_take_back_ahead(struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++)
		slot_take_back_ahead(p->slot[i], UINT32_MAX);
}

void
pool_pause(struct pool *p, bool paused, struct owner *by)
{
	if (paused && !p->paused) {
		p->paused_us = clock_now();
		pool_take_back_ahead(p);
	}
	if (paused != p->paused) {
		owner_drop(p->paused_by);
		p->paused_by = paused && by ? owner_hold(by) : NULL;
	}
	p->paused = paused;
	pool_wake(p);
}

bool
pool_pause_by_hand(struct pool *p, bool paused, struct owner *by)
{
	bool was = p->paused;

	pool_pause(p, paused, by);
	return was == paused || store_by_hand(p);
}

bool
pool_resize_by_hand(struct pool *p, unsigned workers)
{
	unsigned configured = wanted_workers(p->config);

	pool_resize(p, workers);
	p->configured = workers == configured && !p->like ? 0 : configured;
	return store_by_hand(p);
}

bool
pool_restore_by_hand(const char *name, size_t len, uint64_t paused_us, struct owner *by, unsigned workers, unsigned configured)
{
	struct pool *p = pool_find(name, len);

	if (!p && !(p = find_retired(name, len)))
		return false;
	p->by_hand = true;
	pool_pause(p, paused_us != 0, by);
	p->paused_us = paused_us;
	if (workers && workers <= WORKER_SLOTS_MAX && !p->absent && (p->like || configured == wanted_workers(p->config))) {
		p->workers = workers;
		p->configured = configured;
	} else if (workers || !p->paused) {
		store_by_hand(p); /* as configured now */
	}
	return true;
}

void
pool_freeze_all(bool now)
{
	struct pool *p;

	frozen = now;
	DL_FOREACH(pools, p) {
		if (now)
			pool_take_back_ahead(p);
		pool_wake(p);
	}
}

bool
pool_is_frozen(void)
{
	return frozen;
}

/* ---- told by hosts ---- */

bool
pool_add_slot(struct pool *p, struct slot *s)
{
	if (p->slots == p->slots_size) {
		unsigned size = p->slots_size ? p->slots_size * 2 : 8;
		struct slot **bigger = realloc(p->slot, size * sizeof *bigger);
		if (!bigger)
			return false;
		p->slot = bigger;
		p->slots_size = size;
	}
	p->slot[p->slots++] = s;
	return true;
}

void
pool_host_ready(struct pool *p, struct host *h)
{
	p->starting -= h->slots;
	p->unready = 0;
	for (unsigned i = 0; i < h->slots; i++) {
		if (!pool_add_slot(p, h->slot[i])) {
			host_kill(h, "out of memory");
			return;
		}
	}
	if (bytes_len(&p->broken)) {
		log_about(LOG_LEVEL_INFO, "pool", &(struct log_about){ .pool = p->name }, "%s: healed", p->name);
		heal(p);
	}
	workers_trim(p);
	pool_wake(p);
}

void
pool_remove_slot(struct pool *p, struct slot *s)
{
	for (unsigned i = 0; i < p->slots; i++) {
		if (p->slot[i] == s) {
			p->slot[i] = p->slot[--p->slots];
			return;
		}
	}
	if (!s->host->got_ready)
		p->starting--;
}

void
pool_host_gone(struct pool *p, struct host *h)
{
	DL_DELETE(p->hosts, h);
	turn_schedule(TURN_DISPATCH, &p->settling, settle);
	pool_wake(p);
	pool_drop(p);
}

/* Everything that waits in the queue fails; what waits elsewhere fails when it gets there. */
static void
fail_queue(struct pool *p)
{
	struct future *f;
	while (turn_budget() && (f = queue_pop(p->queue))) {
		turn_count(1, 0);
		future_fail_finally(f, bytes_share(p->broken));
	}
}

static void
break_pool(struct pool *p, struct bytes error)
{
	bytes_drop(&p->broken);
	p->broken = error;
	p->backoff_us = p->backoff_us ? p->backoff_us * 2 : SECOND;
	if (p->backoff_us > BACKOFF_MAX_S * SECOND)
		p->backoff_us = BACKOFF_MAX_S * SECOND;
	p->broken_until_us = clock_now() + p->backoff_us;
	p->failed_starts = p->unready = 0;
	timer_set(&p->healing, p->broken_until_us, on_healing);
	log_about(LOG_LEVEL_ERROR, "pool", &(struct log_about){ .pool = p->name }, "%s: broken; the next try is in %g s", p->name, (double)p->backoff_us / 1e6);
	pool_wake(p);
}

/* The pause is over: one worker is tried. */
static void
on_healing(struct timer *t)
{
	struct pool *p = container(t, struct pool, healing);
	if (!bytes_len(&p->broken) || p->gone || frozen)
		return;
	if (p->starting) /* the last try is not over */
		timer_set(&p->healing, clock_now() + SECOND, on_healing);
	else if (workers_try(p))
		log_about(LOG_LEVEL_INFO, "pool", &(struct log_about){ .pool = p->name }, "%s: tries to start a worker", p->name);
}

static struct bytes
broken_error(const struct pool *p, const struct bytes *why)
{
	struct error_view view = { .message_len = 0 };
	struct reader r;

	reader_init(&r, bytes_data(why), bytes_len(why));
	if (bytes_len(why))
		error_read(&r, &view);
	if (!view.message_len)
		view = (struct error_view){ .message = "its workers end", .message_len = strlen("its workers end") };
	return error_bytes(STATUS_BROKEN_POOL, 0, "pool %s: %.*s", p->name, (int)(view.message_len < 900 ? view.message_len : 900), view.message);
}

void
pool_host_failed(struct pool *p, struct bytes error, bool for_sure)
{
	uint64_t now = clock_now();

	if (p->gone || (bytes_len(&p->broken) && now < p->broken_until_us)) { /* another of those that were started at the same time */
		bytes_drop(&error);
		return;
	}
	if (now - p->failed_since_us > START_WINDOW_S * SECOND) {
		p->failed_since_us = now;
		p->failed_starts = 0;
	}
	p->failed_starts++;
	p->unready += bytes_len(&error) != 0;
	if (for_sure || p->failed_starts >= START_BUDGET || p->unready >= START_BUDGET || bytes_len(&p->broken))
		break_pool(p, broken_error(p, &error));
	else
		pool_wake(p);
	bytes_drop(&error);
}

/* ---- handing over ---- */

/* What the answers of the last batch say about the run time. */
static void
measure(struct pool *p)
{
	uint64_t each;
	for (unsigned i = 0; i < p->slots; i++) {
		if (!slot_measure(p->slot[i], &each))
			continue;
		uint32_t mean = each < UINT32_MAX - 1 ? (uint32_t)each : UINT32_MAX - 1;
		p->mean_us = p->mean_us == UINT32_MAX ? mean : (uint32_t)(((uint64_t)p->mean_us * 3 + mean) / 4);
	}
}

/* Hands one to a slot. False when the queue is empty. */
static bool
send_one(struct pool *p, struct slot *s)
{
	struct future *f = queue_pop(p->queue);
	if (f)
		slot_send(s, f);
	return f != NULL;
}

/* One task for every idle slot, the lowest first; then more for those that take them ahead. */
static void
fill_slots(struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++)
		if (!p->slot[i]->in_flight && slot_room(p->slot[i]) && !send_one(p, p->slot[i]))
			return;
	for (bool any = true; any;) {
		any = false;
		for (unsigned i = 0; i < p->slots; i++) {
			if (!slot_room(p->slot[i]))
				continue;
			if (!send_one(p, p->slot[i]))
				return;
			any = true;
		}
	}
}

static struct slot *
fullest(struct pool *p)
{
	struct slot *most = NULL;
	for (unsigned i = 0; i < p->slots; i++)
		if (p->slot[i]->in_flight > 1 && (!most || p->slot[i]->in_flight > most->in_flight))
			most = p->slot[i];
	return most;
}

/* The queue is dry: idle slots take half of what waits behind the busiest one. */
static void
share(struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++) {
		struct slot *idle = p->slot[i], *from;
		if (idle->in_flight || idle->leaving || !(from = fullest(p)))
			continue;
		unsigned taken = slot_take_back_ahead(from, from->in_flight / 2);
		while (taken-- && slot_room(idle) && send_one(p, idle))
			;
	}
}

/* Whether a slot holds tasks ahead, or one that is not known to have begun. */
static bool
anything_to_look_at(const struct pool *p)
{
	for (unsigned i = 0; i < p->slots; i++) {
		const struct future *front = TAILQ_FIRST(&p->slot[i]->sent);
		if (front && (p->slot[i]->in_flight > 1 || front->state == FUTURE_PENDING))
			return true;
	}
	return false;
}

static bool
takes_tasks(const struct pool *p)
{
	return !p->paused && !p->draining && !frozen && !p->gone && !p->sweeping.scheduled;
}

static void
dispatch(struct turn_item *item)
{
	struct pool *p = container(item, struct pool, dispatching);

	measure(p);
	workers_retire(p);
	workers_trim(p);
	if (bytes_len(&p->broken)) {
		fail_queue(p);
		if (queue_length(p->queue))
			pool_wake(p);
		return;
	}
	if (!takes_tasks(p))
		return;
	if (queue_length(p->queue)) {
		fill_slots(p);
		workers_start(p);
	}
	if (!queue_length(p->queue) && p->slots > 1) {
		share(p);
		fill_slots(p);
	}
	workers_watch_idle(p);
	if (!timer_is_set(&p->tick) && anything_to_look_at(p))
		timer_set(&p->tick, clock_now() + TICK_US, on_tick);
}

void
pool_wake(struct pool *p)
{
	turn_schedule(TURN_DISPATCH, &p->dispatching, dispatch);
}

/* Behind a task that runs long nothing waits: it goes back into the queue. */
static void
on_tick(struct timer *t)
{
	struct pool *p = container(t, struct pool, tick);
	uint64_t now = clock_now();

	for (unsigned i = 0; i < p->slots; i++) {
		struct slot *s = p->slot[i];
		struct future *front = slot_running(s);
		if (front && s->in_flight > 1 && now - front->started_us >= SLOT_LONG_US)
			slot_take_back_ahead(s, UINT32_MAX);
		if (s->host->slots == 1 && slot_is_deaf(s)) /* else others run there */
			host_kill(s->host, "it did not begin the task that it was sent");
	}
	if (anything_to_look_at(p))
		timer_set(&p->tick, now + TICK_US, on_tick);
	pool_wake(p);
}

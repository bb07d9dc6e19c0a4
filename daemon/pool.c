#include "daemon/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/box.h"
#include "daemon/broken.h"
#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/cpus.h"
#include "daemon/dispatch.h"
#include "daemon/fault.h"
#include "daemon/host.h"
#include "daemon/log.h"
#include "daemon/owner.h"
#include "daemon/program.h"
#include "daemon/quota.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "daemon/workers.h"
#include "proto/worker.h"

enum { SETTLED_PER_TURN = 1000, ABSENT_OUTPUT = 1 << 20 };

static struct pool *pools;
static struct pool *retired; /* no longer configured, with futures that wait for their return */
static bool frozen;
/* Blocked submits are served in rounds: whoever comes gets the round that is being served, or the one behind its last. So an owner who has a thousand of
 * them waits that many rounds, and another one. */
static uint64_t room_round;

static void settle(struct turn_item *item);

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
	p->settings = 1;
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

void
pool_retire(struct pool *p)
{
	p->gone = true;
	DL_DELETE(pools, p);
	pool_take_back_ahead(p);
	pool_end_hosts(p, UINT64_MAX / 4); /* what runs finishes, … */
	for (struct host *h = p->hosts; h; h = h->next)
		host_note_answer(h); /* … and where nothing runs, or can yet, there is no more than the grace */
	broken_heal(p);
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

/* It has other settings from now on: its boxes do at once. */
static void
settings_changed(struct pool *p)
{
	p->settings++;
	for (struct host *h = p->hosts; h; h = h->next)
		box_set_limits(h->box, p->config);
}

static const struct pool *
root_of(const struct pool *p)
{
	while (p->like)
		p = p->like;
	return p;
}

/* What tasks may do in an opened pool is for the configuration's pool to say, always. */
static void
bind_opened(struct pool *p, const struct config_pool *config)
{
	p->own.lock = config->lock;
	p->own.max_priority = config->max_priority;
	p->own.umask = config->umask;
	p->own.nice = config->nice;
	memcpy(p->own.limit, config->limit, sizeof p->own.limit);
	if (!p->program) {
		p->own.cwd = config->cwd;
		p->own.env = config->env;
	}
	settings_changed(p);
}

void
pool_configure(struct pool *p, const struct config_pool *config)
{
	unsigned before = wanted_workers(p->config), after = wanted_workers(config);
	struct pool *opened;

	p->config = config;
	settings_changed(p);
	DL_FOREACH(pools, opened)
		if (opened->like && root_of(opened) == p)
			bind_opened(opened, config);
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

void
pool_wake(struct pool *p)
{
	turn_schedule(TURN_DISPATCH, &p->dispatching, dispatch);
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
	if (workers && workers <= WORKER_SLOTS_MAX && !p->absent && (p->like ? configured && configured <= WORKER_SLOTS_MAX : configured == wanted_workers(p->config))) {
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
		broken_heal(p);
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

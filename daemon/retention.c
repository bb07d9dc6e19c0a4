#include "daemon/retention.h"

#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/clock.h"
#include "daemon/container.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/turn.h"
#include "proto/error.h"

enum {
	EXPIRED_PER_TURN = 1000,
	EVICT_STEPS = 20000, /* so many unseen failures may stand in front of one that can go */
	LISTS_EXACT = 100,   /* before durations are rounded */
};

struct key {
	uint64_t retain_us;
	const struct owner *owner; /* of all that are kept in it: there while any is */
};

struct retention {
	struct key key;
	struct future_list kept; /* in the order of finishing */
	struct timer timer;      /* when the first one expires */
	UT_hash_handle hh;
};

static struct retention *retentions; /* by duration and owner: as many as are in use */

static void on_expiry(struct timer *t);

static struct retention *
find(uint64_t retain_us, const struct owner *owner)
{
	struct key key = { retain_us, owner };
	struct retention *r;

	HASH_FIND(hh, retentions, &key, sizeof key, r);
	return r;
}

/* To one of eight for each power of two. */
static uint64_t
round_up(uint64_t us)
{
	unsigned bits = us ? 64u - (unsigned)__builtin_clzll(us) : 0;
	uint64_t unit = bits > 4 ? UINT64_C(1) << (bits - 4) : 1;

	return (us + unit - 1) & ~(unit - 1);
}

static struct retention *
get(uint64_t retain_us, const struct owner *owner)
{
	struct retention *r = find(retain_us, owner);

	if (!r && HASH_COUNT(retentions) >= LISTS_EXACT)
		r = find(retain_us = round_up(retain_us), owner);
	if (r)
		return r;
	if (!(r = calloc(1, sizeof *r)))
		return retentions; /* kept for another time: better than lost */
	r->key = (struct key){ retain_us, owner };
	TAILQ_INIT(&r->kept);
	HASH_ADD(hh, retentions, key, sizeof r->key, r);
	if (r->hh.tbl)
		return r;
	free(r);
	return retentions;
}

static void
set_timer(struct retention *r)
{
	struct future *first = TAILQ_FIRST(&r->kept);
	if (first)
		timer_set(&r->timer, first->finished_us + r->key.retain_us, on_expiry);
}

static void
free_if_empty(struct retention *r)
{
	if (!TAILQ_EMPTY(&r->kept))
		return;
	timer_unset(&r->timer);
	HASH_DEL(retentions, r);
	free(r);
}

/* An error is never silently lost. */
static void
log_unseen(const struct future *f)
{
	struct error_view view = { .type = "", .message = "" };
	struct reader r;

	reader_init(&r, bytes_data(&f->value), bytes_len(&f->value));
	error_read(&r, &view);
	log_about(LOG_LEVEL_WARN, "future", &(struct log_about){ .future = f->id, .pool = f->spec->pool->name, .state = "FINISHED" },
	    "%llu (pool %s) failed and expired before anybody looked at its error: %.*s: %.*s", (unsigned long long)f->id,
	    f->spec->pool->name, (int)view.type_len, view.type, (int)(view.message_len < 300 ? view.message_len : 300), view.message);
}

static void
on_expiry(struct timer *t)
{
	struct retention *r = container(t, struct retention, timer);
	struct future *f;
	unsigned n = 0;

	while ((f = TAILQ_FIRST(&r->kept)) && f->finished_us + r->key.retain_us <= clock_now() && n++ < EXPIRED_PER_TURN) {
		bool last = !TAILQ_NEXT(f, link);
		if (f->failed && !f->seen)
			log_unseen(f);
		future_release(f); /* unlinks it, and frees r with the last one */
		turn_count(1, 0);
		if (last)
			return;
	}
	set_timer(r);
	if (r->timer.due_us <= clock_now())
		timer_set(&r->timer, clock_now() + 1, on_expiry); /* the rest in the next turn */
}

void
retention_keep(struct future *f, uint64_t retain_us)
{
	struct retention *r = get(retain_us, f->spec->owner);
	if (!r)
		return;
	f->place = PLACE_RETAINED;
	f->at.retention = r;
	TAILQ_INSERT_TAIL(&r->kept, f, link);
	if (!timer_is_set(&r->timer))
		set_timer(r);
}

void
retention_unlink(struct future *f)
{
	struct retention *r = f->at.retention;
	TAILQ_REMOVE(&r->kept, f, link);
	f->at.retention = NULL;
	f->place = PLACE_NONE;
	free_if_empty(r);
}

/* The oldest that may go: final, and if it failed, seen. NULL if none is found within the steps. */
static struct future *
oldest_seen(unsigned *steps, const struct owner *owner)
{
	struct future *oldest = NULL;
	struct retention *r, *next;

	HASH_ITER(hh, retentions, r, next) {
		struct future *f;
		if (owner && r->key.owner != owner)
			continue;
		TAILQ_FOREACH(f, &r->kept, link) {
			if (!*steps)
				return oldest;
			--*steps;
			if (f->failed && !f->seen) /* an error that nobody saw stays */
				continue;
			if (!oldest || f->finished_us < oldest->finished_us)
				oldest = f;
			break;
		}
	}
	return oldest;
}

unsigned
retention_evict(unsigned max, const struct owner *owner)
{
	unsigned n = 0, steps = EVICT_STEPS;
	struct future *f;

	while (n < max && (f = oldest_seen(&steps, owner))) {
		future_release(f);
		n++;
	}
	return n;
}

#include "daemon/commit.h"

#include <utlist.h>

#include "daemon/acceptance.h"
#include "daemon/clock.h"
#include "daemon/conn.h"
#include "daemon/fault.h"
#include "daemon/log.h"
#include "daemon/store.h"
#include "daemon/timer.h"

enum { RETRY_US = 500000, LATER_US = 10000 };

static struct commit_item *items;
static bool gated, under_way, failing;
static bool later; /* there was no memory for the turn's batch: the next turn tries again */
static struct timer retry;

static void on_committed(bool good, const char *why);
static void on_retry(struct timer *t);

void
commit_use_gate(void)
{
	gated = true;
	under_way = failing = later = false;
}

bool
commit_is_gated(void)
{
	return gated;
}

bool
commit_is_open(void)
{
	return (!under_way && !failing && !later && !store_has_notes()) || FAULT(gate_off);
}

bool
commit_is_due(void)
{
	return !under_way && !failing && !later && store_has_notes();
}

bool
commit_is_failing(void)
{
	return failing;
}

void
commit_enlist(struct commit_item *item)
{
	if (item->listed)
		return;
	item->listed = true;
	DL_APPEND(items, item);
}

void
commit_delist(struct commit_item *item)
{
	if (!item->listed)
		return;
	item->listed = false;
	DL_DELETE(items, item);
}

void
commit_turn(void)
{
	struct commit_item *item;

	if (under_way || failing)
		return;
	enum store_given given = store_give(on_committed);
	later = given == STORE_LATER;
	if (later) {
		timer_set(&retry, clock_now() + LATER_US, on_retry);
		return;
	}
	if (given == STORE_NOTHING) {
		if (gated) { /* answers that came while the last batch was under way, and rest on that */
			acceptance_seal();
			acceptance_release();
		}
		return;
	}
	under_way = true;
	acceptance_seal();
	DL_FOREACH(items, item)
		if (!FAULT(gate_off))
			item->seal(item);
}

static void
on_retry(struct timer *t)
{
	(void)t;
	if (!under_way && failing)
		under_way = store_give_again(on_committed);
}

/* Everybody who asked for something that is not durable is told so; what happened to earlier futures stays noted, and is tried again. */
static void
fail(const char *why)
{
	bool first = !failing;

	if (first)
		log_error("store", "cannot commit: %s; submits are refused until it can", why);
	failing = true;
	acceptance_fail(why);
	if (first)
		conn_resume_all(); /* it will not catch up soon, and those who submit are to be refused */
	timer_set(&retry, clock_refresh() + RETRY_US, on_retry);
}

static void
on_committed(bool good, const char *why)
{
	struct commit_item *item, *next;

	under_way = false;
	if (!good) {
		fail(why);
		return;
	}
	if (failing)
		log_info("store", "can be written again");
	failing = false;
	acceptance_release();
	conn_resume_all();
	DL_FOREACH_SAFE(items, item, next)
		item->release(item);
}

bool
commit_finish(void)
{
	timer_unset(&retry);
	for (int i = 0; gated && !failing && i < 3; i++) {
		store_wait();
		commit_turn();
	}
	return !failing;
}

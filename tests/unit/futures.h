/* Futures in tests: a pool that is paused, so nothing is ever handed over, and futures of it that are to be had by their ids. */
#ifndef FUTURED_TESTS_FUTURES_H
#define FUTURED_TESTS_FUTURES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/future.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/turn.h"
#include "proto/error.h"

#define FUTURES_RETAIN_US UINT64_C(3600000000)

/* The one pool. */
static inline struct pool *
futures_pool(void)
{
	static char name[] = "test";
	static struct config_pool config = { .name = name, .kind = CONFIG_COMMAND, .workers = 1, .queue = 1000000 };
	struct pool *p = pool_find("test", 4);

	if (p)
		return p;
	p = pool_new(&config);
	assert_non_null(p);
	p->paused = true;
	return p;
}

/* A spec of its own for uid; the caller holds a count. */
static inline struct spec *
futures_spec_of(uid_t uid)
{
	struct spec *spec = calloc(1, sizeof *spec);

	assert_non_null(spec);
	spec->count = 1;
	spec->pool = pool_hold(futures_pool());
	spec->owner = owner_get(uid);
	spec->fn = strdup("true");
	spec->fn_len = 4;
	spec->deadline_us = UINT64_MAX;
	spec->retain_us = FUTURES_RETAIN_US;
	return spec;
}

static inline struct spec *
futures_spec(void)
{
	return futures_spec_of(0);
}

/* PENDING, in no place. */
static inline struct future *
futures_new(struct spec *spec)
{
	uint64_t id = registry_reserve(1);
	struct future *f = registry_make(id);

	assert_non_null(f);
	future_init(f, id, spec, (struct bytes){ .len = 0 });
	registry_show(id, 1);
	return f;
}

/* One of a spec that nobody else shares. */
static inline struct future *
futures_alone(void)
{
	struct spec *spec = futures_spec();
	struct future *f = futures_new(spec);

	spec_drop(spec);
	return f;
}

/* A value too long to be held in place. */
static inline struct bytes
futures_value(const char *text)
{
	struct bytes b;

	assert_true(bytes_copy(&b, text, strlen(text)));
	return b;
}

/* An error map of the task's own. */
static inline struct bytes
futures_error(struct future *f, const char *message)
{
	struct buf b;
	struct bytes out;

	buf_init(&b);
	error_pack(&b, STATUS_WORKER_LOST, f->id, "%s", message);
	assert_true(bytes_take(&out, &b));
	buf_clear(&b);
	return out;
}

static inline void
futures_note_turn(struct turn_item *item)
{
	(void)item;
}

/* One turn, which does not sleep. */
static inline void
futures_turn(void)
{
	static struct turn_item item;

	turn_schedule(TURN_WORK, &item, futures_note_turn);
	turn_run();
}

/* Nothing is left: no future, no payload. */
static inline void
futures_none_left(void)
{
	struct future_totals totals = future_totals();

	for (int state = 0; state < FUTURE_STATES; state++) {
		assert_int_equal(totals.states[state], 0);
		assert_int_equal(futures_pool()->states[state], 0);
	}
	assert_int_equal(totals.unseen, 0);
	assert_int_equal(queue_length(futures_pool()->queue), 0);
	assert_int_equal(registry_after(1), 0);
	assert_int_equal(block_total(), 0);
}

#endif

#include "daemon/acceptance.h"

#include <stdlib.h>

#include "daemon/commit.h"
#include "daemon/conn.h"
#include "daemon/errors.h"
#include "daemon/future.h"
#include "daemon/registry.h"
#include "daemon/store.h"
#include "proto/error.h"
#include "proto/message.h"
#include "proto/pack.h"

struct acceptances {
	struct acceptance *item; /* owned */
	size_t count, size;
};

static struct acceptances gathering, sealed;

static void
pack(struct buf *b, const struct acceptance *a)
{
	message_result(b, a->msgid);
	switch (a->shape) {
	case ACCEPTANCE_ID:
		pack_uint(b, a->first);
		break;
	case ACCEPTANCE_RUN:
		pack_array(b, 2);
		pack_uint(b, a->first);
		pack_uint(b, a->count);
		break;
	default:
		pack_array(b, (size_t)a->count);
		for (uint64_t i = 0; i < a->count; i++)
			pack_uint(b, a->first + i);
	}
}

static bool
add(struct acceptances *list, const struct acceptance *a)
{
	if (list->count == list->size) {
		size_t size = list->size ? list->size * 2 : 256;
		struct acceptance *bigger = realloc(list->item, size * sizeof *bigger);
		if (!bigger)
			return false;
		list->item = bigger;
		list->size = size;
	}
	list->item[list->count++] = *a;
	return true;
}

static void
clear(struct acceptances *list)
{
	if (list->size > 65536) { /* a burst's */
		free(list->item);
		*list = (struct acceptances){ .count = 0 };
	}
	list->count = 0;
}

void
acceptance_answer(struct conn *c, const struct acceptance *a)
{
	if (!commit_is_gated() || commit_is_open()) {
		pack(conn_say(c), a);
		return;
	}
	struct acceptance mine = *a;
	mine.conn_id = c->id;
	if (!add(&gathering, &mine)) {
		conn_give_up(c);
		return;
	}
	conn_finish_begin(c);
}

void
acceptance_note(uint64_t id)
{
	struct acceptance a = { .first = id, .count = 1, .made = true };
	if (commit_is_gated())
		add(&gathering, &a); /* without memory it is not undone, should its commit fail: it runs when the store recovers */
}

void
acceptance_seal(void)
{
	struct acceptances empty = sealed;
	sealed = gathering;
	gathering = empty;
}

/* NULL if the connection is gone, or nobody is to be told. */
static struct conn *
teller(const struct acceptance *a)
{
	return a->conn_id ? conn_find(a->conn_id) : NULL;
}

void
acceptance_release(void)
{
	for (size_t i = 0; i < sealed.count; i++) {
		struct conn *c = teller(&sealed.item[i]);
		if (!c)
			continue;
		pack(conn_say_now(c), &sealed.item[i]);
		conn_finish_end(c);
	}
	clear(&sealed);
}

/* They never were. */
static void
undo(const struct acceptance *a)
{
	for (uint64_t id = a->first; id < a->first + a->count; id++) {
		struct future *f = registry_find(id);
		if (f)
			future_undo(f);
	}
}

static void
refuse(const struct acceptance *a, const char *why)
{
	struct conn *c;
	struct buf b;

	if (a->made)
		undo(a);
	if (!(c = teller(a)))
		return;
	buf_init(&b);
	error_pack(&b, STATUS_STORE, 0, "it could not be made durable, and was not accepted: %s", why);
	message_error(conn_say_now(c), a->msgid, b.data, b.len);
	buf_clear(&b);
	conn_finish_end(c);
}

void
acceptance_fail(const char *why)
{
	store_unaccept();
	for (size_t i = 0; i < sealed.count; i++)
		refuse(&sealed.item[i], why);
	clear(&sealed);
	acceptance_seal();
	for (size_t i = 0; i < sealed.count; i++)
		refuse(&sealed.item[i], why);
	clear(&sealed);
}

/* result, exception, state: looking at futures. */
#include "daemon/access.h"
#include "daemon/await.h"
#include "daemon/handlers.h"
#include "daemon/registry.h"
#include "daemon/slot.h"
#include "daemon/walk.h"
#include "proto/pack.h"

static bool
read_release(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	if (key_is(key, len, "release"))
		return option_bool(r, "release", value, arg);
	return option_unknown(r, key, len);
}

void
req_result(struct request *r)
{
	struct await how = { .mode = AWAIT_RESULT };
	struct future *f;
	uint64_t id;

	if (!param_id(r, "id", &id) || !param_timeout(r, &how.timeout_us) || !options_read(r, read_release, &how.release) || !(f = request_future(r, id)))
		return;
	if (how.release && !access_may_change(r->conn, f))
		request_not_yours(r, id);
	else
		await_future(r, f, &how);
}

void
req_exception(struct request *r)
{
	struct await how = { .mode = AWAIT_EXCEPTION };
	struct future *f;
	uint64_t id;

	if (param_id(r, "id", &id) && param_timeout(r, &how.timeout_us) && (f = request_future(r, id)))
		await_future(r, f, &how);
}

static bool
visit_state(struct walk *w, struct conn *c, uint64_t id, struct future *f)
{
	(void)c, (void)id;
	if (f)
		slot_look(f);
	w->settled &= f && future_is_settled(f);
	/* One that was released while a long list is walked had been final. */
	pack_cstr(&w->out, future_state_name(f ? (enum future_state)f->state : FUTURE_FINISHED));
	return true;
}

void
req_state(struct request *r)
{
	struct walk w = { .visit = visit_state, .settled = true };

	if (!param_ids(r, &w.ids) || !request_ids(r, &w.ids, IDS_SEE))
		return;
	pack_array(&w.out, (size_t)w.ids.total);
	walk_begin(r, &w);
}

#include "daemon/describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/errors.h"
#include "daemon/host.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/run.h"
#include "daemon/server.h"
#include "daemon/slot.h"
#include "daemon/why.h"
#include "proto/pack.h"

enum { ARGS_ROW = 512, ARGS_WHOLE = 65536 }; /* bytes of arguments that are shown */
enum { PART = 4 }; /* arguments that take more than this part of a message are not shown, an error is told in short */

static void
pack_time(struct buf *b, const char *key, uint64_t us)
{
	pack_key(b, key);
	if (us)
		pack_double(b, clock_wall(us));
	else
		pack_nil(b);
}

static void
pack_text_or_nil(struct buf *b, const char *key, const char *text)
{
	pack_key(b, key);
	if (text)
		pack_cstr(b, text);
	else
		pack_nil(b);
}

/* ---- futures ---- */

static void
pack_error(struct buf *b, const struct future *f)
{
	pack_key(b, "error");
	if (f->failed && bytes_len(&f->value) > run_frame_limit() / PART)
		error_pack_brief(b, &f->value);
	else if (f->failed && bytes_len(&f->value))
		pack_raw(b, bytes_data(&f->value), bytes_len(&f->value));
	else
		pack_nil(b);
}

static void
pack_worker(struct buf *b, const struct future *f)
{
	pack_key(b, "pid");
	if (f->state == FUTURE_RUNNING)
		pack_int(b, f->at.slot->host->child.pid);
	else
		pack_nil(b);
}

/* The arguments as they came, if they are short enough to be looked at, and hold no references. */
static void
pack_args(struct buf *b, const struct future *f, size_t most)
{
	pack_key(b, "args");
	if (bytes_len(&f->args) <= most && bytes_len(&f->args) <= run_frame_limit() / PART && !f->has_refs)
		pack_raw(b, bytes_data(&f->args), bytes_len(&f->args));
	else
		pack_nil(b);
}

static void
pack_common(struct buf *b, const struct future *f, size_t args_most)
{
	const struct spec *spec = f->spec;

	pack_key(b, "id");
	pack_uint(b, f->id);
	pack_key(b, "pool");
	pack_cstr(b, spec->pool->name);
	pack_key(b, "fn");
	pack_text(b, spec->fn, args_most == ARGS_ROW && spec->fn_len > ARGS_ROW ? ARGS_ROW : spec->fn_len);
	pack_text_or_nil(b, "name", spec->name);
	pack_key(b, "tags");
	if (bytes_len(&spec->tags))
		pack_raw(b, bytes_data(&spec->tags), bytes_len(&spec->tags));
	else
		pack_array(b, 0);
	pack_key(b, "state");
	pack_cstr(b, future_state_name((enum future_state)f->state));
	pack_key(b, "owner");
	pack_cstr(b, spec->owner->name);
	pack_key(b, "priority");
	pack_int(b, spec->priority);
	pack_key(b, "attempt");
	pack_uint(b, f->place == PLACE_SLOT && f->state == FUTURE_PENDING ? f->attempt - 1u : f->attempt); /* one sent ahead has not begun */
	pack_time(b, "submitted", f->submitted_us);
	pack_time(b, "started", f->started_us);
	pack_time(b, "finished", f->finished_us);
	pack_worker(b, f);
	pack_args(b, f, args_most);
	pack_key(b, "failed");
	pack_bool(b, f->failed);
}

static void
pack_outputs(struct buf *b, const struct future *f)
{
	pack_key(b, "output");
	pack_map(b, 2);
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		pack_key(b, output_stream_name((enum output_stream)i));
		pack_uint(b, output_length(f, (enum output_stream)i));
	}
}

void
describe_future(struct buf *b, struct future *f, enum describe_how how)
{
	bool pending;

	slot_look(f);
	pending = f->state == FUTURE_PENDING;
	pack_map(b, how == DESCRIBE_WHOLE ? 21 : how == DESCRIBE_ERROR ? 16 : 15);
	pack_common(b, f, how == DESCRIBE_WHOLE ? ARGS_WHOLE : ARGS_ROW);
	if (how != DESCRIBE_ROW)
		pack_error(b, f);
	if (how != DESCRIBE_WHOLE)
		return;
	pack_key(b, "retries");
	pack_uint(b, f->spec->retries);
	pack_key(b, "rusage");
	if (f->more && bytes_len(&f->more->rusage))
		pack_raw(b, bytes_data(&f->more->rusage), bytes_len(&f->more->rusage));
	else
		pack_nil(b);
	pack_key(b, "position");
	if (f->place == PLACE_QUEUE)
		pack_uint(b, queue_position(f->spec->pool->queue, f));
	else
		pack_nil(b);
	pack_key(b, "why");
	if (pending)
		why_pack(b, f);
	else
		pack_nil(b);
	pack_outputs(b, f);
}

/* ---- pools ---- */

void
describe_pool(struct buf *b, struct pool *p)
{
	pool_look(p);
	pack_map(b, 15);
	pack_key(b, "name");
	pack_cstr(b, p->name);
	pack_key(b, "user");
	if (p->config->user)
		pack_cstr(b, p->config->user);
	else
		pack_nil(b);
	pack_key(b, "kind");
	pack_cstr(b, pool_kind_name(p));
	pack_key(b, "runtime");
	pack_cstr(b, p->config->runtime.count ? p->config->runtime.item[0] : "command");
	pack_key(b, "workers");
	pack_uint(b, p->workers);
	pack_key(b, "alive");
	pack_uint(b, pool_alive(p));
	pack_key(b, "busy");
	pack_uint(b, pool_busy(p));
	pack_key(b, "pending");
	pack_uint(b, p->states[FUTURE_PENDING]);
	pack_key(b, "running");
	pack_uint(b, p->states[FUTURE_RUNNING]);
	pack_key(b, "paused");
	pack_bool(b, p->paused);
	pack_key(b, "broken");
	if (bytes_len(&p->broken))
		pack_raw(b, bytes_data(&p->broken), bytes_len(&p->broken));
	else
		pack_nil(b);
	pack_key(b, "functions");
	if (bytes_len(&p->functions))
		pack_raw(b, bytes_data(&p->functions), bytes_len(&p->functions));
	else
		pack_nil(b);
	pack_key(b, "opened");
	pack_bool(b, p->like != NULL);
	pack_key(b, "totals");
	pack_map(b, 4);
	pack_key(b, "submitted");
	pack_uint(b, p->submitted);
	pack_key(b, "succeeded");
	pack_uint(b, p->succeeded);
	pack_key(b, "failed");
	pack_uint(b, p->failed);
	pack_key(b, "cancelled");
	pack_uint(b, p->cancelled);
	pack_key(b, "mean_run_time");
	if (p->mean_us == UINT32_MAX)
		pack_nil(b);
	else
		pack_double(b, (double)p->mean_us / 1e6);
}

#include "daemon/describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/environment.h"
#include "daemon/errors.h"
#include "daemon/host.h"
#include "daemon/key.h"
#include "daemon/output.h"
#include "daemon/owner.h"
#include "daemon/run.h"
#include "daemon/server.h"
#include "daemon/slot.h"
#include "daemon/why.h"
#include "proto/pack.h"

enum { ARGS_ROW = 512, ARGS_WHOLE = 65536 }; /* bytes of arguments that are shown */
enum { GIVEN_MOST = 65536, GIVEN_PART = 16 }; /* bytes of one option, and the part of a message, up to which it is shown */
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

/* ---- as it was asked for ---- */

/* A span; nil: none. */
static void
pack_span(struct buf *b, const char *key, uint64_t us, uint64_t none)
{
	pack_key(b, key);
	if (us == none || us == UINT64_MAX)
		pack_nil(b);
	else
		pack_double(b, (double)us / 1e6);
}

/* What is stored as it was given, if it is short enough to be looked at. */
static void
pack_given(struct buf *b, const char *key, const struct bytes *given)
{
	pack_key(b, key);
	if (bytes_len(given) && bytes_len(given) <= GIVEN_MOST && bytes_len(given) <= run_frame_limit() / GIVEN_PART)
		pack_raw(b, bytes_data(given), bytes_len(given));
	else
		pack_nil(b);
}

/* One of those that go to the worker as they are. */
static void
pack_run_option(struct buf *b, const struct spec *spec, const char *key)
{
	struct reader r;
	const uint8_t *value;
	size_t len;

	pack_key(b, key);
	reader_init(&r, bytes_data(&spec->run), bytes_len(&spec->run));
	for (uint32_t i = 0; i < spec->run_pairs; i++) {
		bool is = read_is(&r, key);
		if ((!is && !read_skip(&r)) || !read_raw(&r, &value, &len))
			break;
		if (is) {
			pack_raw(b, value, len);
			return;
		}
	}
	pack_nil(b);
}

static void
pack_env(struct buf *b, const struct spec *spec, bool own)
{
	size_t most = run_frame_limit() / GIVEN_PART < GIVEN_MOST ? run_frame_limit() / GIVEN_PART : GIVEN_MOST;

	pack_key(b, "env");
	if (!own || !bytes_len(&spec->env) || !environment_pack_own(b, spec->pool, &spec->env, spec->settings == spec->pool->settings, most))
		pack_nil(b);
}

static void
pack_idempotency(struct buf *b, const struct future *f, bool own)
{
	size_t len;
	const char *text = own && f->more && f->more->key ? key_text(f->more->key, &len) : NULL;

	pack_key(b, "key");
	if (text)
		pack_text(b, text, len);
	else
		pack_nil(b);
}

static void
pack_options(struct buf *b, const struct future *f, bool own)
{
	const struct spec *spec = f->spec;

	pack_span(b, "timeout", spec->timeout_us, 0);
	pack_span(b, "deadline", spec->deadline_us, UINT64_MAX);
	pack_span(b, "delay", spec->delay_us, 0);
	pack_given(b, "after", &spec->after);
	pack_span(b, "retry_delay", spec->retry_delay_us, 0);
	pack_span(b, "retain", spec->retain_us, UINT64_MAX);
	pack_idempotency(b, f, own);
	pack_given(b, "kwargs", &spec->kwargs);
	pack_run_option(b, spec, "cwd");
	pack_env(b, spec, own);
	pack_run_option(b, spec, "umask");
	pack_run_option(b, spec, "nice");
	pack_run_option(b, spec, "limits");
}

void
describe_future(struct buf *b, struct future *f, enum describe_how how)
{
	bool pending, whole = how == DESCRIBE_WHOLE || how == DESCRIBE_OWN;

	slot_look(f);
	pending = f->state == FUTURE_PENDING;
	pack_map(b, whole ? 34 : how == DESCRIBE_ERROR ? 16 : 15);
	pack_common(b, f, whole ? ARGS_WHOLE : ARGS_ROW);
	if (how != DESCRIBE_ROW)
		pack_error(b, f);
	if (!whole)
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
	pack_options(b, f, how == DESCRIBE_OWN);
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

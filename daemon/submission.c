#include "daemon/submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/clock.h"
#include "daemon/fill.h"
#include "daemon/gate.h"
#include "daemon/options.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/server.h"
#include "proto/pack.h"
#include "proto/worker.h"

enum { FN_MAX = 1024 * 1024, REFS_MAX = 10000 };

static const uint8_t empty_array[] = { 0x90 };

static struct spec *
new_spec(struct request *r, struct pool *p, const char *fn, size_t fn_len)
{
	struct spec *spec = calloc(1, sizeof *spec);

	if (!spec || !(spec->fn = strndup(fn, fn_len))) {
		free(spec);
		return NULL;
	}
	spec->count = 1;
	spec->pool = pool_hold(p);
	spec->owner = owner_hold(r->conn->owner);
	spec->fn_len = fn_len;
	spec->deadline_us = UINT64_MAX;
	spec->settings = p->settings;
	spec->timeout_us = p->config->timeout_us;
	spec->retain_us = p->config->has_retain ? p->config->retain_us : server_config()->retain_us;
	return spec;
}

static bool
read_fn(struct request *r, const char **fn, size_t *len)
{
	struct reader at = r->params;

	if (!param_str(r, "fn", fn, len))
		return false;
	if (!*len || *len > FN_MAX)
		return option_wrong(r, "fn", "1 byte to 1 MiB", &at);
	if (memchr(*fn, 0, *len))
		return option_wrong(r, "fn", "a program or function without NUL", &at);
	return true;
}

/* The same bytes as last time, and nothing in them was about one submit only. */
static bool
is_cached(struct conn *c, enum submission_kind kind, const uint8_t *head, size_t head_len, const uint8_t *options, size_t options_len)
{
	return c->cache_spec && c->cache_kind == (int)kind && !c->cache_spec->pool->gone && c->cache_spec->settings == c->cache_spec->pool->settings && c->cache_head.len == head_len &&
	    c->cache_options.len == options_len && memcmp(c->cache_head.data, head, head_len) == 0 &&
	    (!options_len || memcmp(c->cache_options.data, options, options_len) == 0);
}

static void
remember(struct conn *c, const struct submission *s, const uint8_t *head, size_t head_len, const uint8_t *options, size_t options_len)
{
	if (s->key || s->after || s->spec->stdin_kind == SPEC_STDIN_FUTURE || head_len + options_len > 65536 || s->spec->charged > SPEC_FREE)
		return;
	c->cache_head.len = c->cache_options.len = 0;
	spec_drop(c->cache_spec);
	c->cache_spec = NULL;
	if (!buf_append(&c->cache_head, head, head_len) || !buf_append(&c->cache_options, options, options_len))
		return;
	c->cache_spec = spec_hold(s->spec);
	c->cache_kind = (int)s->kind;
}

static bool
read_args(struct request *r, struct submission *out)
{
	out->args = empty_array;
	out->args_len = sizeof empty_array;
	if (out->kind != SUBMISSION_MAP && !param_given(r))
		return true;
	return param_array(r, "args", &out->args, &out->args_len);
}

bool
submission_read(struct request *r, enum submission_kind kind, struct submission *out)
{
	const uint8_t *head = r->params.at;
	struct pool *p;
	const char *name, *fn;
	size_t name_len, fn_len;

	*out = (struct submission){ .kind = kind };
	if (!param_str(r, "pool", &name, &name_len) || !read_fn(r, &fn, &fn_len))
		return false;
	size_t head_len = (size_t)(r->params.at - head);
	if (!read_args(r, out) || !(p = request_pool(r, name, name_len)))
		return false;
	if (!request_may_use(r, p))
		return false;
	const uint8_t *options = r->params.at;
	size_t options_len = (size_t)(r->params.end - options);
	if (is_cached(r->conn, kind, head, head_len, options, options_len)) {
		out->spec = spec_hold(r->conn->cache_spec);
		return true;
	}
	if (!(out->spec = new_spec(r, p, fn, fn_len)))
		return request_no_memory(r);
	if (!options_read_submission(r, out))
		return false;
	remember(r->conn, out, head, head_len, options, options_len);
	return true;
}

void
submission_clear(struct submission *s)
{
	spec_drop(s->spec);
	free(s->after);
	*s = (struct submission){ .spec = NULL };
}

/* ---- arguments ---- */

static bool
add_reference(struct request *r, const char *at, uint64_t id, struct arguments *out)
{
	if (id < 1 || id > REGISTRY_ID_MAX) {
		request_fail(r, STATUS_VALUE, 0, "%s: expected references to future ids, 1 to 2^53-1, got one to %llu", at, (unsigned long long)id);
		return false;
	}
	if (!access_find(r->conn, id))
		return request_no_future(r, id);
	if (out->count == out->size) {
		size_t size = out->size ? out->size * 2 : 4;
		uint64_t *bigger = size <= REFS_MAX * 2 ? realloc(out->refs, size * sizeof *bigger) : NULL;
		if (!bigger)
			return request_no_memory(r);
		out->refs = bigger;
		out->size = size;
	}
	out->refs[out->count++] = id;
	return true;
}

static bool
check_word(struct request *r, const char *at, uint32_t i, struct reader *element)
{
	struct reader value = *element;
	const char *text;
	char name[64];
	size_t len;

	if (read_text(element, &text, &len) && !memchr(text, 0, len))
		return true;
	snprintf(name, sizeof name, "%s[%u]", at, i);
	return option_wrong(r, name, "str or bin without NUL, for a command's argv", &value);
}

bool
arguments_check(struct request *r, const struct pool *p, const char *at, const uint8_t *raw, size_t len, struct arguments *out)
{
	bool command = pool_is_command(p);
	struct reader args;
	uint32_t count;
	uint64_t id;

	*out = (struct arguments){ .count = 0 };
	reader_init(&args, raw, len);
	if (reader_depth(&args) > WORKER_VALUE_DEPTH + 1) {
		struct reader value;
		reader_init(&value, raw, len);
		return option_wrong(r, at, "values nested at most 24 deep", &value);
	}
	read_array(&args, &count);
	for (uint32_t i = 0; i < count; i++) {
		bool good = true;
		if (reader_peek(&args) == READER_EXT && fill_read_reference(&args, &id))
			good = add_reference(r, at, id, out);
		else if (command)
			good = check_word(r, at, i, &args);
		else
			read_skip(&args);
		if (!good) {
			arguments_clear(out);
			return false;
		}
	}
	return true;
}

void
arguments_clear(struct arguments *a)
{
	free(a->refs);
	*a = (struct arguments){ .count = 0 };
}

/* ---- making and placing ---- */

/* What its own gate waits for: references in args and stdin, and `after`. */
static bool
make_own_gate(struct future *f, const struct submission *s, const struct arguments *a)
{
	bool from_stdin = f->spec->stdin_kind == SPEC_STDIN_FUTURE;
	size_t count = a->count + from_stdin + s->after_count;
	uint64_t *ids = malloc(count * sizeof *ids);

	if (!ids || !future_more(f)) {
		free(ids);
		return false;
	}
	if (a->count)
		memcpy(ids, a->refs, a->count * sizeof *ids);
	if (from_stdin)
		ids[a->count] = f->spec->stdin_future;
	if (s->after_count)
		memcpy(ids + a->count + from_stdin, s->after, s->after_count * sizeof *ids);
	f->has_refs = a->count != 0;
	f->more->own_gate = gate_new(ids, count, true);
	free(ids);
	return f->more->own_gate != NULL;
}

bool
submission_prepare(struct future *f, const struct submission *s, const struct arguments *a)
{
	const struct spec *spec = f->spec;

	if ((spec->delay_us || spec->deadline_us != UINT64_MAX) && !future_more(f))
		return false;
	if (spec->delay_us)
		f->more->not_before_us = f->submitted_us + spec->delay_us;
	if (spec->deadline_us != UINT64_MAX)
		f->more->deadline_us = f->submitted_us + spec->deadline_us;
	if (a->count || spec->stdin_kind == SPEC_STDIN_FUTURE)
		return make_own_gate(f, s, a);
	return true;
}

void
submission_place(struct future *f, struct gate *shared)
{
	if (f->more && f->more->own_gate)
		gate_hold(f->more->own_gate, f);
	else if (shared)
		gate_hold(shared, f);
	else
		future_make_ready(f);
}

#include "daemon/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/box.h"
#include "daemon/clock.h"
#include "daemon/environment.h"
#include "daemon/fault.h"
#include "daemon/fill.h"
#include "daemon/key.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/run.h"
#include "proto/pack.h"
#include "proto/worker.h"

enum { TAGS_MAX = 64, PATH_BYTES = 4096, UMASK_DEFAULT = 022, NICE_MAX = 19 };

#define CPUS_LEAST 0.01
#define CPUS_MOST 4096

/* What is being read; the run options are collected here. */
struct reading {
	struct submission *s;
	struct buf run;
	struct reader env;
	bool has_bound, has_umask, has_cwd;
	int64_t umask, nice;
	uint64_t limit[CONFIG_LIMITS]; /* as in config_pool */
};

struct option {
	const char *name;
	bool (*read)(struct request *r, const char *name, struct reader *value, struct reading *to);
	bool command_only;
};

static bool
unsupported(struct request *r, const char *name, const struct pool *p, const char *why)
{
	request_fail(r, STATUS_UNSUPPORTED, 0, "%s: %s: pool %s, of kind %s, cannot do that: %s", r->method->name, name, p->name,
	    pool_kind_name(p), why);
	return false;
}

/* A task may ask for less than its pool allows, never for more. */
static bool
beyond_pool(struct request *r, const char *name, const struct pool *p, const char *which, double bound, const struct reader *got)
{
	struct reader at = *got;
	double n = 0;

	read_number(&at, &n);
	request_fail(r, STATUS_PERMISSION, 0, "%s: %s: expected %s %.15g, as pool %s has it, got %.15g", r->method->name, name, which, bound, p->name, n);
	return false;
}

static bool
read_name(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	const char *s;
	size_t len;
	struct spec *spec = to->s->spec;

	if (!option_text(r, name, v, SPEC_NAME_MAX, &s, &len))
		return false;
	free(spec->name);
	spec->name = strndup(s, len);
	return spec->name || request_no_memory(r);
}

static bool
read_tags(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct reader at = *v;
	uint32_t count;

	if (!read_array(&at, &count) || count > TAGS_MAX)
		return option_wrong(r, name, "an array of at most 64 str", v);
	for (uint32_t i = 0; i < count; i++) {
		const char *s;
		size_t len;
		if (reader_peek(&at) != READER_STR)
			return option_wrong(r, name, "an array of str", &at);
		if (!option_text(r, name, &at, SPEC_NAME_MAX, &s, &len) || !read_skip(&at))
			return false;
	}
	bytes_drop(&to->s->spec->tags);
	return bytes_copy(&to->s->spec->tags, v->at, (size_t)(v->end - v->at)) || request_no_memory(r);
}

static bool
read_priority(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	int64_t n;
	if (!option_int(r, name, v, -32768, 32767, &n))
		return false;
	if (n > (int64_t)to->s->spec->pool->config->max_priority && r->conn->role != ROLE_ADMIN)
		return beyond_pool(r, name, to->s->spec->pool, "at most", (double)to->s->spec->pool->config->max_priority, v);
	to->s->spec->priority = (int32_t)n;
	return true;
}

static bool
read_timeout(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct spec *spec = to->s->spec;

	if (!option_seconds(r, name, v, &spec->timeout_us))
		return false;
	if (!pool_can_kill(spec->pool))
		return unsupported(r, name, spec->pool, "a thread cannot be stopped");
	if (!spec->timeout_us)
		spec->timeout_us = 1;
	return true;
}

static bool
read_deadline(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct spec *spec = to->s->spec;

	if (!option_seconds(r, name, v, &spec->deadline_us))
		return false;
	return pool_can_kill(spec->pool) || unsupported(r, name, spec->pool, "a thread cannot be stopped");
}

static bool
read_delay(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	return option_seconds(r, name, v, &to->s->spec->delay_us);
}

static bool
read_retain(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	return option_seconds(r, name, v, &to->s->spec->retain_us);
}

static bool
read_retry_delay(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	return option_seconds(r, name, v, &to->s->spec->retry_delay_us);
}

static bool
read_retries(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	int64_t n;
	if (!option_int(r, name, v, 0, SPEC_RETRIES_MAX, &n))
		return false;
	to->s->spec->retries = (uint32_t)n;
	return true;
}

static bool
read_after_ids(struct request *r, const char *name, struct reader *v, struct ids *ids)
{
	struct reader at = *v;
	uint32_t count;

	if (!read_array(&at, &count))
		return option_wrong(r, name, "an array of ids and [first, count] pairs", v);
	while (count--) {
		uint64_t first, n;
		struct reader element = at;
		if (!ids_read_element(&at, &first, &n))
			return option_wrong(r, name, "an array of ids and [first, count] pairs", &element);
		if (n > SPEC_AFTER_MAX - ids->total) {
			request_fail(r, STATUS_VALUE, 0, "%s: %s: expected at most %d ids, got more", r->method->name, name, SPEC_AFTER_MAX);
			return false;
		}
		if (!ids_add(ids, first, n))
			return request_no_memory(r);
	}
	return true; /* one that is named twice is waited for twice, which is once */
}

/* For `show`. */
static bool
keep_after(struct spec *spec, const uint8_t *ids, size_t len)
{
	bytes_drop(&spec->after);
	if (!bytes_copy(&spec->after, ids, len))
		return false;
	bytes_uncount(&spec->after);
	return true;
}

static bool
read_after(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct submission *s = to->s;
	struct ids ids = { .runs = 0 };
	struct reader whole = *v;
	const uint8_t *raw;
	uint64_t id;
	size_t len;
	bool good = read_after_ids(r, name, v, &ids);

	free(s->after);
	s->after_count = 0;
	s->after = good ? malloc((ids.total ? ids.total : 1) * sizeof *s->after) : NULL;
	if (good && !s->after)
		good = request_no_memory(r);
	while (good && ids_next(&ids, &id))
		s->after[s->after_count++] = id;
	ids_clear(&ids);
	return good && read_raw(&whole, &raw, &len) && (keep_after(s->spec, raw, len) || request_no_memory(r));
}

static bool
read_key(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	return option_str(r, name, v, KEY_MAX, &to->s->key, &to->s->key_len);
}

static bool
read_block(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	return option_bool(r, name, v, &to->s->spec->block);
}

static bool
read_bound(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	bool bound;
	if (!option_bool(r, name, v, &bound))
		return false;
	to->has_bound = true;
	to->s->spec->bound_to = bound ? r->conn->id : 0;
	return true;
}

static bool
read_watch(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	return option_bool(r, name, v, &to->s->spec->watch);
}

static bool
read_kwargs(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct spec *spec = to->s->spec;

	if (!pool_takes_kwargs(spec->pool))
		return unsupported(r, name, spec->pool, "its runtime has no keyword arguments");
	if (reader_peek(v) != READER_MAP)
		return option_wrong(r, name, "a map", v);
	if (reader_depth(v) > WORKER_VALUE_DEPTH + 1)
		return option_wrong(r, name, "values nested at most 24 deep", v);
	bytes_drop(&spec->kwargs);
	return bytes_copy(&spec->kwargs, v->at, (size_t)(v->end - v->at)) || request_no_memory(r);
}

/* ---- command pools only: what goes into the run message ---- */

static struct buf *
run_pair(struct reading *to, const char *name)
{
	to->s->spec->run_pairs++;
	pack_key(&to->run, name);
	return &to->run;
}

static bool
read_cwd(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct reader at = *v;
	const char *path;
	size_t len;

	if (!read_text(&at, &path, &len) || !len || len > PATH_BYTES || path[0] != '/' || memchr(path, 0, len))
		return option_wrong(r, name, "an absolute path without NUL", v);
	to->has_cwd = true;
	pack_raw(run_pair(to, "cwd"), v->at, (size_t)(v->end - v->at));
	return true;
}

static bool
read_env(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	(void)r, (void)name;
	to->env = *v;
	return true;
}

static bool
read_umask(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	int64_t n;
	if (!option_int(r, name, v, 0, 0777, &n))
		return false;
	to->has_umask = true;
	to->umask = n;
	return true;
}

static bool
read_nice(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	uint32_t least = to->s->spec->pool->config->nice;

	if (!option_int(r, name, v, -20, NICE_MAX, &to->nice))
		return false;
	return to->nice >= (int64_t)least || beyond_pool(r, name, to->s->spec->pool, "at least", least, v);
}

/* One limit of the option. */
static bool
read_limit(struct request *r, struct reader *at, struct reading *to)
{
	const struct pool *p = to->s->spec->pool;
	struct reader key_at = *at;
	enum config_limit which = 0;
	const char *key;
	size_t len;
	char full[40];
	double share;
	uint64_t n;

	if (!read_str(at, &key, &len))
		return option_wrong(r, "limits", "keys that are str", &key_at);
	while (which < CONFIG_LIMITS && !key_is(key, len, config_limit_name(which)))
		which++;
	if (which == CONFIG_LIMITS)
		return option_wrong(r, "limits", "memory, processes, cpus, cpu, files, file_size, core or stack", &key_at);
	snprintf(full, sizeof full, "limits.%s", config_limit_name(which));
	struct reader number = *at;
	if (which == CONFIG_LIMIT_CPUS) {
		if (!read_number(at, &share) || !(share >= CPUS_LEAST && share <= CPUS_MOST))
			return option_wrong(r, full, "a number from 0.01 to 4096", &number);
		if (!box_holds(which))
			return unsupported(r, full, p, "the daemon has no cgroup that could hold it");
		n = (uint64_t)(share * 1e6);
	} else if (!read_uint(at, &n) || n > INT64_MAX / 1000000) {
		return option_wrong(r, full, "an int, 0 or more", &number);
	}
	if (which == CONFIG_LIMIT_CPU)
		n *= 1000000;
	if (n > p->config->limit[which] && !FAULT(limits_loosened)) {
		uint64_t most = p->config->limit[which];
		if (which != CONFIG_LIMIT_CPU && which != CONFIG_LIMIT_CPUS)
			return beyond_pool(r, full, p, "at most", (double)most, &number);
		return beyond_pool(r, full, p, "at most", (double)most / 1e6, &number);
	}
	to->limit[which] = n;
	return true;
}

static bool
read_limits(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct reader at = *v;
	uint32_t pairs;

	if (!read_map(&at, &pairs))
		return option_wrong(r, name, "a map", v);
	while (pairs--)
		if (!read_limit(r, &at, to))
			return false;
	return true;
}

static bool
read_stdin(struct request *r, const char *name, struct reader *v, struct reading *to)
{
	struct spec *spec = to->s->spec;
	struct reader at = *v;
	const uint8_t *bytes;
	size_t len;
	bool open = false;

	if (read_bool(&at, &open) && open) {
		spec->stdin_kind = SPEC_STDIN_OPEN;
	} else if (fill_read_reference(&at, &spec->stdin_future)) {
		spec->stdin_kind = SPEC_STDIN_FUTURE;
		if (spec->stdin_future < 1 || spec->stdin_future > REGISTRY_ID_MAX)
			return option_wrong(r, name, "a reference to a future id, 1 to 2^53-1", v);
	} else if (read_bin(&at, &bytes, &len)) {
		spec->stdin_kind = SPEC_STDIN_BYTES;
		bytes_drop(&spec->stdin_bytes);
		return bytes_copy(&spec->stdin_bytes, bytes, len) || request_no_memory(r);
	} else {
		return option_wrong(r, name, "bin, true, or a reference to a future", v);
	}
	return true;
}

static const struct option options[] = {
	{ "name", read_name, false },
	{ "tags", read_tags, false },
	{ "priority", read_priority, false },
	{ "timeout", read_timeout, false },
	{ "deadline", read_deadline, false },
	{ "delay", read_delay, false },
	{ "after", read_after, false },
	{ "retries", read_retries, false },
	{ "retry_delay", read_retry_delay, false },
	{ "key", read_key, false },
	{ "block", read_block, false },
	{ "bound", read_bound, false },
	{ "watch", read_watch, false },
	{ "retain", read_retain, false },
	{ "kwargs", read_kwargs, false },
	{ "cwd", read_cwd, true },
	{ "env", read_env, true },
	{ "umask", read_umask, true },
	{ "nice", read_nice, true },
	{ "limits", read_limits, true },
	{ "stdin", read_stdin, true },
};

static bool
is_locked(const struct pool *p, const char *name)
{
	for (size_t i = 0; i < p->config->lock.count; i++)
		if (strcmp(p->config->lock.item[i], name) == 0)
			return true;
	return false;
}

static bool
read_option(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct reading *to = arg;
	struct reader nil = *value;

	for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
		const struct option *o = &options[i];
		if (!key_is(key, len, o->name))
			continue;
		if (read_nil(&nil))
			return true;
		if (o->command_only && !pool_is_command(to->s->spec->pool))
			return unsupported(r, o->name, to->s->spec->pool, "this is for commands");
		if (o->command_only && is_locked(to->s->spec->pool, o->name)) {
			request_fail(r, STATUS_PERMISSION, 0, "%s: %s: pool %s says that itself (its lock)", r->method->name, o->name, to->s->spec->pool->name);
			return false;
		}
		return o->read(r, o->name, value, to);
	}
	return option_unknown(r, key, len);
}

/* Whether what it waits for is to be had. Not asked of one whose key is known: it was accepted with them, and they may be gone by now. */
static bool
check_named(struct request *r, const struct submission *s)
{
	const struct spec *spec = s->spec;

	if (s->key && key_find(r->conn->owner, s->key, s->key_len))
		return true;
	for (size_t i = 0; i < s->after_count; i++)
		if (!access_find(r->conn, s->after[i]))
			return request_no_future(r, s->after[i]);
	return spec->stdin_kind != SPEC_STDIN_FUTURE || access_find(r->conn, spec->stdin_future) || request_no_future(r, spec->stdin_future);
}

/* Options that do not go together, and what follows from leaving some out. */
static bool
check_together(struct request *r, struct reading *to)
{
	struct submission *s = to->s;
	struct spec *spec = s->spec;

	if (s->key && to->has_bound && spec->bound_to) {
		request_fail(r, STATUS_VALUE, 0, "%s: bound: expected no key beside it: others may hold its id", r->method->name);
		return false;
	}
	if (spec->stdin_kind == SPEC_STDIN_OPEN && spec->retries) {
		request_fail(r, STATUS_VALUE, 0, "%s: stdin: expected no retries beside true: what was fed is gone", r->method->name);
		return false;
	}
	if (s->kind == SUBMISSION_CALL && !to->has_bound && !s->key)
		spec->bound_to = r->conn->id;
	return check_named(r, s);
}

/* The task's own, else the pool's, unless the box of its worker has that. */
static void
pack_limits(struct reading *to)
{
	const uint64_t *pool = to->s->spec->pool->config->limit;
	size_t count = 0;

	for (enum config_limit i = 0; i < CONFIG_LIMITS; i++) {
		if (to->limit[i] == CONFIG_NO_LIMIT && !box_holds(i))
			to->limit[i] = pool[i];
		count += to->limit[i] != CONFIG_NO_LIMIT;
	}
	if (!count)
		return;
	struct buf *b = run_pair(to, "limits");
	pack_map(b, count);
	for (enum config_limit i = 0; i < CONFIG_LIMITS; i++) {
		if (to->limit[i] == CONFIG_NO_LIMIT)
			continue;
		pack_key(b, config_limit_name(i));
		if (i == CONFIG_LIMIT_CPUS)
			pack_double(b, (double)to->limit[i] / 1e6);
		else
			pack_uint(b, i == CONFIG_LIMIT_CPU ? (to->limit[i] + 999999) / 1000000 : to->limit[i]);
	}
}

static void
pack_run(struct reading *to)
{
	const struct config_pool *c = to->s->spec->pool->config;
	int64_t least = c->umask == CONFIG_NO_UMASK ? 0 : c->umask;

	if (!to->has_cwd)
		pack_cstr(run_pair(to, "cwd"), c->cwd ? c->cwd : "/");
	if (!to->has_umask)
		to->umask = c->umask == CONFIG_NO_UMASK ? UMASK_DEFAULT : c->umask;
	pack_int(run_pair(to, "umask"), FAULT(umask_loosened) ? to->umask : to->umask | least);
	if (to->nice < (int64_t)c->nice)
		to->nice = c->nice;
	if (to->nice)
		pack_int(run_pair(to, "nice"), to->nice);
	pack_limits(to);
}

static bool
make_env(struct request *r, struct reading *to)
{
	struct spec *spec = to->s->spec;
	char why[256];

	if (environment_make(spec->pool, to->env, &spec->env, why, sizeof why))
		return true;
	request_fail(r, STATUS_VALUE, 0, "%s: env: %s", r->method->name, why);
	return false;
}

static bool
finish_command(struct request *r, struct reading *to)
{
	pack_run(to);
	return make_env(r, to);
}

bool
options_read_submission(struct request *r, struct submission *s)
{
	struct reading to = { .s = s };

	for (enum config_limit i = 0; i < CONFIG_LIMITS; i++)
		to.limit[i] = CONFIG_NO_LIMIT;
	buf_init(&to.run);
	bool good = options_read(r, read_option, &to) && check_together(r, &to) && (!pool_is_command(s->spec->pool) || finish_command(r, &to));
	if (good && !bytes_take(&s->spec->run, &to.run))
		good = request_no_memory(r);
	spec_charge(s->spec);
	bytes_uncount(&s->spec->run);
	bytes_uncount(&s->spec->env);
	buf_clear(&to.run);
	return good;
}

/* ---- other settings ---- */

/* Those that a run message has; beyond what the pool allows now they are what it says. */
static void
again_limits(struct reader *r, struct reading *to)
{
	const uint64_t *most = to->s->spec->pool->config->limit;
	uint32_t pairs = 0;

	for (read_map(r, &pairs); pairs; pairs--) {
		enum config_limit i = 0;
		double n = 0;
		while (i < CONFIG_LIMITS && !read_is(r, config_limit_name(i)))
			i++;
		if (i == CONFIG_LIMITS || !read_number(r, &n))
			return;
		uint64_t limit = (uint64_t)(i == CONFIG_LIMIT_CPUS || i == CONFIG_LIMIT_CPU ? n * 1e6 + 0.5 : n);
		to->limit[i] = limit < most[i] ? limit : most[i];
	}
}

/* One pair of a run message's options; what is locked now is the pool's to say. */
static bool
again_one(struct reader *r, struct reading *to)
{
	const struct pool *p = to->s->spec->pool;
	struct reader value;
	const uint8_t *raw;
	const char *key;
	size_t len, raw_len;

	if (!read_str(r, &key, &len) || !read_raw(r, &raw, &raw_len))
		return false;
	reader_init(&value, raw, raw_len);
	if (key_is(key, len, "cwd") && !is_locked(p, "cwd")) {
		to->has_cwd = true;
		pack_raw(run_pair(to, "cwd"), raw, raw_len);
	} else if (key_is(key, len, "umask") && !is_locked(p, "umask")) {
		to->has_umask = read_int(&value, &to->umask);
	} else if (key_is(key, len, "nice") && !is_locked(p, "nice")) {
		read_int(&value, &to->nice);
	} else if (key_is(key, len, "limits") && !is_locked(p, "limits")) {
		again_limits(&value, to);
	}
	return true;
}

static bool
renew_command(struct request *r, struct reading *to)
{
	struct spec *spec = to->s->spec;
	uint32_t pairs = spec->run_pairs;
	struct reader run;

	if (spec->stdin_kind != SPEC_STDIN_NONE && is_locked(spec->pool, "stdin")) {
		request_fail(r, STATUS_PERMISSION, 0, "%s: stdin: pool %s says that itself (its lock)", r->method->name, spec->pool->name);
		return false;
	}
	reader_init(&run, bytes_data(&spec->run), bytes_len(&spec->run));
	for (spec->run_pairs = 0; pairs && again_one(&run, to); pairs--)
		;
	pack_run(to);
	if (is_locked(spec->pool, "env")) {
		bytes_drop(&spec->env);
		if (!make_env(r, to))
			return false;
		bytes_uncount(&spec->env);
	}
	bytes_drop(&spec->run);
	if (!bytes_take(&spec->run, &to->run))
		return request_no_memory(r);
	bytes_uncount(&spec->run);
	return true;
}

bool
options_renew(struct request *r, struct submission *s)
{
	const struct config_pool *c = s->spec->pool->config;
	struct reading to = { .s = s };

	for (enum config_limit i = 0; i < CONFIG_LIMITS; i++)
		to.limit[i] = CONFIG_NO_LIMIT;
	if (s->spec->priority > (int64_t)c->max_priority && r->conn->role != ROLE_ADMIN)
		s->spec->priority = (int32_t)c->max_priority;
	buf_init(&to.run);
	bool good = !pool_is_command(s->spec->pool) || renew_command(r, &to);
	buf_clear(&to.run);
	s->spec->settings = s->spec->pool->settings;
	return good;
}

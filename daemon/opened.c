#include "daemon/opened.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/closing.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/program.h"
#include "daemon/record.h"
#include "proto/pack.h"
#include "proto/reader.h"
#include "proto/worker.h"

enum { WORDS_MAX = 4096 };

static void
pack_strings(struct buf *b, const struct config_strings *s)
{
	pack_array(b, s->count);
	for (size_t i = 0; i < s->count; i++)
		pack_bin(b, s->item[i], strlen(s->item[i]));
}

/* An opened pool may be like another that was opened, and that is gone by then: so what it has from those is told as its own. */
void
opened_pack(const struct pool *p, struct buf *b)
{
	const struct config_strings *command = NULL, *env = NULL;
	const char *initializer = NULL, *cwd = NULL;
	const struct pool *from;

	for (from = p; from->like; from = from->like) {
		const struct program *g = from->program;
		initializer = initializer ? initializer : from->initializer;
		command = command || !g || !g->command.count ? command : &g->command;
		env = env || !g || !g->env.count ? env : &g->env;
		cwd = cwd || !g ? cwd : g->cwd;
	}
	pack_map(b, 4u + p->closed + p->cancelling + !!initializer + !!bytes_len(&p->initargs) + !!command + !!env + !!cwd);
	pack_key(b, "like");
	pack_cstr(b, from->name);
	pack_key(b, "owner");
	pack_cstr(b, p->owner->name);
	pack_key(b, "workers");
	pack_uint(b, p->workers);
	pack_key(b, "max_tasks");
	pack_uint(b, p->config->max_tasks_per_worker);
	if (p->closed) {
		pack_key(b, "closed");
		pack_bool(b, true);
	}
	if (p->cancelling) {
		pack_key(b, "cancelling");
		pack_bool(b, true);
	}
	if (initializer) {
		pack_key(b, "initializer");
		pack_cstr(b, initializer);
	}
	if (bytes_len(&p->initargs)) {
		pack_key(b, "initargs");
		pack_raw(b, bytes_data(&p->initargs), bytes_len(&p->initargs));
	}
	if (command) {
		pack_key(b, "command");
		pack_strings(b, command);
	}
	if (env) {
		pack_key(b, "env");
		pack_strings(b, env);
	}
	if (cwd) {
		pack_key(b, "cwd");
		pack_bin(b, cwd, strlen(cwd));
	}
}

/* Said once. */
static bool
read_strings(struct reader *r, struct config_strings *out)
{
	uint32_t count;
	const char *s;
	size_t len;

	if (out->item || !read_array(r, &count) || count > WORDS_MAX || !(out->item = calloc((size_t)count + 1, sizeof *out->item)))
		return false;
	for (; out->count < count; out->count++)
		if (!read_text(r, &s, &len) || !(out->item[out->count] = strndup(s, len)))
			return false;
	return true;
}

struct opened {
	char like[256], owner[256];
	uint64_t workers, max_tasks;
	char *initializer;
	struct bytes initargs;
	struct program *program;
	bool closed, cancelling;
};

static bool
copy(char *to, size_t size, struct reader *r)
{
	const char *s;
	size_t len;

	if (!read_str(r, &s, &len) || !record_is_text((struct replay_text){ s, len }, size - 1))
		return false;
	memcpy(to, s, len);
	to[len] = '\0';
	return true;
}

static bool
copy_text(char **to, struct reader *r)
{
	const char *s;
	size_t len;

	return !*to && read_text(r, &s, &len) && len && !memchr(s, 0, len) && (*to = strndup(s, len));
}

static bool
read_initargs(struct reader *r, struct bytes *out)
{
	const uint8_t *raw;
	size_t len;

	return !bytes_len(out) && read_raw(r, &raw, &len) && record_is_value(raw, len, READER_ARRAY, WORKER_VALUE_DEPTH + 1) && bytes_copy(out, raw, len);
}

static struct program *
program_of(struct opened *o)
{
	return o->program ? o->program : (o->program = calloc(1, sizeof *o->program));
}

static bool
read_pair(struct reader *r, struct opened *o)
{
	if (read_is(r, "like"))
		return copy(o->like, sizeof o->like, r);
	if (read_is(r, "owner"))
		return copy(o->owner, sizeof o->owner, r);
	if (read_is(r, "workers"))
		return read_uint(r, &o->workers) && o->workers <= WORKER_SLOTS_MAX;
	if (read_is(r, "max_tasks"))
		return read_uint(r, &o->max_tasks);
	if (read_is(r, "closed"))
		return read_bool(r, &o->closed);
	if (read_is(r, "cancelling"))
		return read_bool(r, &o->cancelling);
	if (read_is(r, "initializer"))
		return copy_text(&o->initializer, r);
	if (read_is(r, "initargs"))
		return read_initargs(r, &o->initargs);
	if (read_is(r, "command"))
		return program_of(o) && read_strings(r, &o->program->command) && o->program->command.count && o->program->command.item[0][0] == '/';
	if (read_is(r, "env"))
		return program_of(o) && read_strings(r, &o->program->env);
	if (read_is(r, "cwd"))
		return program_of(o) && copy_text(&o->program->cwd, r);
	return read_skip(r) && read_skip(r);
}

static bool
reopen(uint64_t row, struct replay_text name, struct opened *o)
{
	struct pool *like = pool_find(o->like, strlen(o->like)), *p;
	struct owner *owner = owner_of_name(o->owner);
	char *copied = strndup(name.at, name.len);

	if (!like || !owner || !copied || !(p = pool_open(like, (unsigned)o->workers, owner, 0))) {
		owner_drop(owner);
		free(copied);
		return false;
	}
	owner_drop(owner);
	free(p->name);
	p->name = copied;
	p->row = row;
	if (o->initializer) {
		pool_set_initializer(p, o->initializer, o->initargs);
		o->initializer = NULL; /* the pool's now, and its arguments */
		o->initargs = (struct bytes){ .len = 0 };
	}
	p->own.max_tasks_per_worker = o->max_tasks;
	program_give(p, o->program);
	o->program = NULL;
	if (o->closed)
		closing_go_on(p, o->cancelling);
	return true;
}

bool
opened_restore(uint64_t row, struct replay_text name, struct replay_text what)
{
	struct opened o = { .workers = 1 };
	struct reader r;
	uint32_t pairs;
	bool good = record_is_text(name, POOL_NAME_MAX) && !pool_find(name.at, name.len);

	reader_init(&r, what.at, what.len);
	good = good && read_map(&r, &pairs);
	while (good && pairs--)
		good = read_pair(&r, &o);
	good = good && reopen(row, name, &o);
	free(o.initializer);
	bytes_drop(&o.initargs);
	program_free(o.program);
	return good;
}

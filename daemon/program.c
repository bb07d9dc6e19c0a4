#include "daemon/program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/conn.h"
#include "daemon/environment.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/request.h"

enum { WORDS_MAX = 4096, PATH_BYTES_MAX = 4095 };

bool
program_option(struct program_options *o, const char *key, size_t len, struct reader *value)
{
	struct reader *keep = key_is(key, len, "command") ? &o->command : key_is(key, len, "env") ? &o->env : key_is(key, len, "cwd") ? &o->cwd : NULL;

	if (keep)
		*keep = *value;
	return keep != NULL;
}

static bool
is_given(const struct reader *value)
{
	return value->at && reader_peek(value) != READER_NIL;
}

static void
clear_strings(struct config_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->item[i]);
	free(s->item);
}

void
program_free(struct program *program)
{
	if (!program)
		return;
	clear_strings(&program->command);
	clear_strings(&program->env);
	free(program->cwd);
	free(program);
}

/* An array of str or bin without NUL. Its elements are in a frame, so their number and size are bounded already. */
static bool
copy_strings(struct reader value, struct config_strings *out)
{
	uint32_t count;
	const char *s;
	size_t len;

	if (!read_array(&value, &count) || count > WORDS_MAX || !(out->item = calloc((size_t)count + 1, sizeof *out->item)))
		return false;
	for (; out->count < count; out->count++)
		if (!read_text(&value, &s, &len) || memchr(s, 0, len) || !(out->item[out->count] = strndup(s, len)))
			return false;
	return true;
}

static bool
read_command(struct request *r, const struct program_options *o, struct program *p)
{
	if (copy_strings(o->command, &p->command) && p->command.count && p->command.item[0][0] == '/')
		return true;
	return option_wrong(r, "command", "an array of 1 to 4096 str, the first an absolute path", &o->command);
}

static bool
read_env(struct request *r, const struct pool *like, const struct program_options *o, struct program *p)
{
	struct bytes env;
	char why[256];

	if (!environment_make(like, o->env, &env, why, sizeof why)) {
		request_fail(r, STATUS_VALUE, 0, "open_pool: env: %s", why);
		return false;
	}
	bool copied = copy_strings((struct reader){ bytes_data(&env), bytes_data(&env) + bytes_len(&env) }, &p->env);
	bytes_drop(&env);
	if (!copied)
		request_fail(r, STATUS_LIMIT, 0, "the daemon is out of memory");
	return copied;
}

static bool
read_cwd(struct request *r, const struct program_options *o, struct program *p)
{
	struct reader value = o->cwd;
	const char *s;
	size_t len;

	if (!read_text(&value, &s, &len) || !len || len > PATH_BYTES_MAX || *s != '/' || memchr(s, 0, len))
		return option_wrong(r, "cwd", "an absolute path", &o->cwd);
	p->cwd = strndup(s, len);
	return p->cwd != NULL;
}

static bool
may_say(struct request *r, const struct pool *like)
{
	if (r->conn->owner->uid != geteuid() || r->conn->role != ROLE_ADMIN) {
		request_fail(r, STATUS_PERMISSION, 0, "open_pool: command, cwd and env are for the user whom the daemon belongs to");
		return false;
	}
	if (like->config->user) {
		request_fail(r, STATUS_PERMISSION, 0, "open_pool: command, cwd and env: pool %s has a user of its own, and so what it runs is the configuration's to say",
		    like->name);
		return false;
	}
	if (like->config->kind != CONFIG_PROCESS && like->config->kind != CONFIG_THREAD) {
		request_fail(r, STATUS_UNSUPPORTED, 0, "open_pool: command, cwd and env: pool %s is of kind %s; expected process or thread", like->name,
		    pool_kind_name(like));
		return false;
	}
	return true;
}

bool
program_read(struct request *r, const struct pool *like, const struct program_options *o, struct program **out)
{
	bool command = is_given(&o->command), env = is_given(&o->env), cwd = is_given(&o->cwd);
	struct program *p;

	*out = NULL;
	if (!command && !env && !cwd)
		return true;
	if (!may_say(r, like))
		return false;
	if (!(p = calloc(1, sizeof *p))) {
		request_fail(r, STATUS_LIMIT, 0, "the daemon is out of memory");
		return false;
	}
	if ((!command || read_command(r, o, p)) && (!env || read_env(r, like, o, p)) && (!cwd || read_cwd(r, o, p))) {
		*out = p;
		return true;
	}
	program_free(p);
	return false;
}

void
program_give(struct pool *p, struct program *program)
{
	if (!program)
		return;
	p->program = program;
	if (program->command.count)
		p->own.runtime = program->command;
	if (program->env.count)
		p->own.env = program->env;
	if (program->cwd)
		p->own.cwd = program->cwd;
}

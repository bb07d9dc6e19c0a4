#include "config/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"
#include "config/number.h"
#include "config/setting.h"

static void
key_path(const struct check *c, enum pool_key key, char *path)
{
	snprintf(path, REPORT_KEY, "%s", c->path);
	if (pool_keys[key].group)
		report_key(path, pool_keys[key].group, strlen(pool_keys[key].group));
	report_key(path, pool_keys[key].name, strlen(pool_keys[key].name));
}

/* A list of the kinds in the mask: "process or thread". */
static void
kinds_format(unsigned kinds, char *out, size_t size)
{
	enum config_kind kind;
	size_t used = 0;

	for (kind = CONFIG_COMMAND; kind <= CONFIG_INTERPRETER; kind++) {
		if (!(kinds & 1u << kind))
			continue;
		kinds &= ~(1u << kind);
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? (kinds ? ", " : " or ") : "",
			config_kind_name(kind));
	}
}

static void
check_kinds(const struct check *c)
{
	enum pool_key key;

	for (key = 0; key < POOL_KEYS; key++) {
		const struct key *k = &pool_keys[key];
		const struct node *n = c->given[key];
		char path[REPORT_KEY], kinds[80];

		if (!n || k->kinds & 1u << c->pool->kind)
			continue;
		key_path(c, key, path);
		kinds_format(k->kinds, kinds, sizeof(kinds));
		report_add(c->report, n->line, n->col, path, "expected only in a pool of kind %s, got it in one of kind %s (%s)",
			kinds, config_kind_name(c->pool->kind), k->why_not);
	}
}

static const char *
standard_runtime(enum config_kind kind)
{
	return kind == CONFIG_COMMAND ? NULL : kind == CONFIG_INTERPRETER ? "lua" : "native";
}

static bool
is_runtime(const struct config_pool *p, const char *name)
{
	return p->runtime.count == 1 && !strcmp(p->runtime.item[0], name);
}

static void
runtime_default(const struct check *c, const char *name)
{
	struct config_strings *runtime = &c->pool->runtime;

	runtime->item = memory_new(sizeof(char *));
	if (runtime->item)
		runtime->item[0] = memory_text(name, strlen(name));
	if (runtime->item && runtime->item[0])
		runtime->count = 1;
	else
		c->report->no_memory = true;
}

/* A list of one built-in name is that name, so that nobody has to tell the two apart. */
static void
check_runtime(const struct check *c)
{
	const struct node *n = c->given[POOL_RUNTIME];
	const struct config_pool *p = c->pool;
	char path[REPORT_KEY], quote[REPORT_QUOTE];
	bool named;

	if (!n) {
		if (p->kind != CONFIG_COMMAND)
			runtime_default(c, standard_runtime(p->kind));
		return;
	}
	named = is_runtime(p, "native") || is_runtime(p, "python") || is_runtime(p, "lua");
	key_path(c, POOL_RUNTIME, path);
	if (p->kind == CONFIG_INTERPRETER) {
		if (!is_runtime(p, "lua"))
			report_add(c->report, n->line, n->col, path, "expected lua for kind interpreter, got %s",
				node_show(n, quote));
	} else if (is_runtime(p, "lua") || (!named && n->type != NODE_LIST)) {
		report_add(c->report, n->line, n->col, path,
			"expected native, python or a list (a program and its arguments) for kind %s, got %s",
			config_kind_name(p->kind), node_show(n, quote));
	}
}

/* Native modules are files; those of other runtimes are names that only they understand. */
static void
check_modules(const struct check *c)
{
	const struct node *given = c->given[POOL_MODULES], *n = given ? given : c->name;
	struct setting s = {&pool_keys[POOL_MODULES], c->pool, NULL, c->base, c->report};
	struct config_strings *modules = &c->pool->modules;
	char path[REPORT_KEY];
	size_t i;

	if (!is_runtime(c->pool, "native"))
		return;
	key_path(c, POOL_MODULES, path);
	s.path = path;
	if (!given || (given->type == NODE_LIST && !given->count))
		report_add(c->report, n->line, n->col, path, "expected at least one shared object for runtime native, got none");
	for (i = 0; i < modules->count; i++) {
		char *absolute = setting_path(&s, n->type == NODE_LIST ? &n->item[i] : n, modules->item[i]);

		if (!absolute)
			continue;
		free(modules->item[i]);
		modules->item[i] = absolute;
	}
}

static void
check_initargs(const struct check *c)
{
	static const uint8_t empty = 0x90;
	const struct node *n = c->given[POOL_INITARGS];
	const struct node *initializer = c->given[POOL_INITIALIZER];
	char path[REPORT_KEY];

	if (n && c->pool->kind != CONFIG_COMMAND && (!initializer || node_is_null(initializer))) {
		key_path(c, POOL_INITARGS, path);
		report_add(c->report, n->line, n->col, path, "expected an initializer beside it, got none");
	}
	if (c->pool->initargs)
		return;
	c->pool->initargs = memory_new(1);
	if (!c->pool->initargs) {
		c->report->no_memory = true;
		return;
	}
	c->pool->initargs[0] = empty;
	c->pool->initargs_len = 1;
}

static void
check_lock(const struct check *c)
{
	static const char options[] = " cwd env umask nice limits stdin ";
	const struct node *n = c->given[POOL_LOCK];
	char path[REPORT_KEY], quote[REPORT_QUOTE], word[40];

	key_path(c, POOL_LOCK, path);
	for (size_t i = 0; i < c->pool->lock.count; i++) {
		if (snprintf(word, sizeof(word), " %s ", c->pool->lock.item[i]) < (int)sizeof(word) && strstr(options, word))
			continue;
		n = n->type == NODE_LIST ? &n->item[i] : n;
		report_add(c->report, n->line, n->col, path, "expected cwd, env, umask, nice, limits or stdin, got %s", node_show(n, quote));
		return;
	}
}

/* What is designed, and refused until it exists: no user's name begins with an @. */
static void
check_user(const struct check *c)
{
	const struct node *n = c->given[POOL_USER];
	char path[REPORT_KEY], quote[REPORT_QUOTE];

	if (!c->pool->user || c->pool->user[0] != '@')
		return;
	key_path(c, POOL_USER, path);
	report_add(c->report, n->line, n->col, path, "expected one user, got %s (docs/run-as-submitter.md: this version runs no task as whoever submits it)",
		node_show(n, quote));
}

static void
check_group(const struct check *c)
{
	const struct node *n = c->given[POOL_GROUP];
	char path[REPORT_KEY];

	if (!c->pool->group || c->pool->user)
		return;
	key_path(c, POOL_GROUP, path);
	report_add(c->report, n->line, n->col, path, "expected a user beside it, got none");
}

void
check_pool(const struct check *c)
{
	struct config_pool *p = c->pool;
	const struct node *kind = c->given[POOL_KIND];

	/* What may stand beside an unknown kind is unknown too. */
	if (kind && (kind->type != NODE_SCALAR || strcmp(kind->text, config_kind_name(p->kind)) != 0))
		return;
	check_kinds(c);
	if (p->kind == CONFIG_PROCESS && !c->given[POOL_IDLE_TIMEOUT])
		number_parse(NUMBER_DURATION, POOL_IDLE_TIMEOUT_PROCESS, &p->idle_timeout_us);
	if (p->user && !c->given[POOL_NO_NEW_PRIVS])
		p->no_new_privs = true;
	check_user(c);
	check_group(c);
	p->has_retain = c->given[POOL_RETAIN] != NULL;
	if (p->kind != CONFIG_COMMAND && (!c->given[POOL_RUNTIME] || p->runtime.count)) {
		check_runtime(c);
		if (p->kind != CONFIG_INTERPRETER)
			check_modules(c);
	}
	check_initargs(c);
	check_lock(c);
}

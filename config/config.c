/* From a file to a struct config: read the bytes, make the tree, walk it along the table, fill in what is missing.
 *
 * The walk goes on after a mistake, so that all are reported; the half-made struct is thrown away at the end. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/check.h"
#include "config/keys.h"
#include "config/listen.h"
#include "config/memory.h"
#include "config/principal.h"
#include "config/report.h"
#include "config/setting.h"
#include "config/tree.h"

enum {
	KEYS_MAX = 128, /* rows of either table */
	POOLS_MAX = 256,
	LISTENS_MAX = 64,
	POOL_NAME_MAX = 64,
};

struct reading {
	struct config *config;
	struct report *report;
	const char *base; /* the file's directory; NULL: none */
};

/* A map that is being read: where its keys are looked up and where their values go. */
struct section {
	const struct key *keys;
	size_t count;
	const char *group;
	void *object;
	const char *path;
	const struct node **given; /* count of them */
};

const char *
config_kind_name(enum config_kind kind)
{
	static const char *const name[] = {
		[CONFIG_COMMAND] = "command", [CONFIG_PROCESS] = "process", [CONFIG_THREAD] = "thread",
		[CONFIG_INTERPRETER] = "interpreter",
	};

	return name[kind];
}

const char *
config_limit_name(enum config_limit limit)
{
	return pool_keys[POOL_LIMIT + limit].name;
}

static void
pool_clear(struct config_pool *p)
{
	free(p->name);
	config_strings_clear(&p->runtime);
	config_strings_clear(&p->modules);
	free(p->script);
	free(p->initializer);
	free(p->initargs);
	free(p->cwd);
	free(p->user);
	free(p->group);
	config_strings_clear(&p->env);
	config_principals_clear(&p->allow);
	config_strings_clear(&p->lock);
}

void
config_free(struct config *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->pools; i++)
		pool_clear(&c->pool[i]);
	free(c->pool);
	for (i = 0; i < c->listens; i++)
		listen_clear(&c->listen[i]);
	free(c->listen);
	free(c->tokens);
	free(c->path);
	free(c->store);
	free(c->sync);
	free(c->state_dir);
	free(c->socket_group);
	config_principals_clear(&c->admins);
	config_principals_clear(&c->read_only);
	config_principals_clear(&c->allow_commands);
	config_principals_clear(&c->allow_exec);
	config_principals_clear(&c->allow_open_pool);
	free(c->cgroup);
	free(c->log_level);
	free(c->log_format);
	free(c->log_tasks);
	free(c->http);
	free(c);
}

static void
join(char *path, const char *before, const struct node *name)
{
	snprintf(path, REPORT_KEY, "%s", before);
	report_key(path, name->text, name->len);
}

static void
defaults(struct reading *r, const struct key *keys, size_t count, void *object)
{
	struct setting s = {.object = object, .path = "", .report = r->report};
	size_t i;

	for (i = 0; i < count; i++) {
		s.key = &keys[i];
		setting_default(&s);
	}
}

static bool
expect_map(struct reading *r, const struct node *n, const char *path, const char *of)
{
	char quote[REPORT_QUOTE];

	if (n->type == NODE_MAP)
		return true;
	if (n->type != NODE_BAD)
		report_add(r->report, n->line, n->col, path, "expected a map of %s, got %s", of, node_show(n, quote));
	return false;
}

static void
refuse_key(struct reading *r, const struct section *s, const struct node *name)
{
	const char *nearest = keys_nearest(s->keys, s->count, s->group, name->text);
	char path[REPORT_KEY], quote[REPORT_QUOTE];

	join(path, s->path, name);
	report_add(r->report, name->line, name->col, path, "expected a known key, got %s%s%s%s",
		report_quote(quote, name->text, name->len), nearest ? "; did you mean '" : "", nearest ? nearest : "",
		nearest ? "'?" : "");
}

static void read_value(struct reading *r, const struct section *s, const struct key *key, const struct node *n,
	const char *path);

static void
read_section(struct reading *r, const struct section *s, const struct node *map)
{
	size_t i;

	for (i = 0; i < map->count; i += 2) {
		const struct node *name = &map->item[i], *value = &map->item[i + 1];
		const struct key *key;
		char path[REPORT_KEY], quote[REPORT_QUOTE];

		if (name->type == NODE_BAD)
			continue;
		if (name->type != NODE_SCALAR) {
			report_add(r->report, name->line, name->col, s->path, "expected a key, got %s", node_show(name, quote));
			continue;
		}
		key = strlen(name->text) == name->len ? keys_find(s->keys, s->count, s->group, name->text) : NULL;
		if (!key) {
			refuse_key(r, s, name);
			continue;
		}
		join(path, s->path, name);
		s->given[key - s->keys] = value;
		if (value->type != NODE_BAD)
			read_value(r, s, key, value, path);
	}
}

static bool
is_pool_name(const struct node *name)
{
	return name->type == NODE_SCALAR && name->len >= 1 && name->len <= POOL_NAME_MAX &&
		strspn(name->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == name->len;
}

static void
read_pool(struct reading *r, struct config_pool *pool, const struct node *name, const struct node *value)
{
	const struct node *given[POOL_KEYS] = {NULL};
	char path[REPORT_KEY] = "pools", quote[REPORT_QUOTE];
	struct section section = {pool_keys, POOL_KEYS, NULL, pool, path, given};
	struct check check = {pool, given, name, path, r->base, r->report};

	if (name->type == NODE_BAD)
		return;
	if (!is_pool_name(name)) {
		report_add(r->report, name->line, name->col, path,
			"expected a pool's name of 1 to 64 characters A-Z a-z 0-9 _ . -, got %s", node_show(name, quote));
		return;
	}
	report_key(path, name->text, name->len);
	pool->name = memory_text(name->text, name->len);
	if (!pool->name)
		r->report->no_memory = true;
	pool->umask = CONFIG_NO_UMASK;
	defaults(r, pool_keys, POOL_KEYS, pool);
	if (!expect_map(r, value, path, "keys ({} for all defaults)"))
		return;
	read_section(r, &section, value);
	check_pool(&check);
}

static void
read_pools(struct reading *r, const struct node *n, const char *path)
{
	struct config *c = r->config;
	size_t i;

	if (!expect_map(r, n, path, "pools"))
		return;
	if (!n->count || n->count / 2 > POOLS_MAX) {
		report_add(r->report, n->line, n->col, path, "expected 1 to %d pools, got %zu", POOLS_MAX, n->count / 2);
		return;
	}
	c->pool = memory_new(n->count / 2 * sizeof(*c->pool));
	if (!c->pool) {
		r->report->no_memory = true;
		return;
	}
	c->pools = n->count / 2;
	for (i = 0; i < c->pools; i++)
		read_pool(r, &c->pool[i], &n->item[2 * i], &n->item[2 * i + 1]);
}

static void
read_listen(struct reading *r, struct config_listen *l, const struct node *n, const char *path)
{
	const struct node *given[LISTEN_KEYS] = {NULL};
	struct section section = {listen_keys, LISTEN_KEYS, NULL, l, path, given};
	struct setting address = {&listen_keys[LISTEN_ADDRESS], l, path, r->base, r->report};

	defaults(r, listen_keys, LISTEN_KEYS, l);
	if (n->type == NODE_MAP) {
		read_section(r, &section, n);
	} else if (n->type != NODE_BAD) {
		given[LISTEN_ADDRESS] = n;
		setting_store(&address, n);
	}
	listen_check(l, given, n, path, r->report);
}

/* One listener, or a list of them. */
static void
read_listens(struct reading *r, const struct node *n, const char *path)
{
	const struct node *item = n->type == NODE_LIST ? n->item : n;
	size_t i, count = n->type == NODE_LIST ? n->count : 1;
	struct config *c = r->config;

	if (count > LISTENS_MAX) {
		report_add(r->report, n->line, n->col, path, "expected a list of at most %d, got %zu", LISTENS_MAX, count);
		return;
	}
	if (count && !(c->listen = memory_new(count * sizeof(*c->listen)))) {
		r->report->no_memory = true;
		return;
	}
	c->listens = count;
	for (i = 0; i < count; i++)
		read_listen(r, &c->listen[i], &item[i], path);
	if (report_is_empty(r->report))
		listen_check_all(c->listen, count, item, path, r->report);
}

/* A group is a map of its keys; a bool stands for its key `enabled`, where it has one. */
static void
read_group(struct reading *r, const struct section *s, const char *group, const struct node *n, const char *path)
{
	struct section inner = *s;
	const struct key *enabled = keys_find(s->keys, s->count, group, "enabled");

	inner.group = group;
	inner.path = path;
	if (enabled && n->type == NODE_SCALAR)
		read_value(r, &inner, enabled, n, path);
	else if (expect_map(r, n, path, "keys"))
		read_section(r, &inner, n);
}

static void
read_value(struct reading *r, const struct section *s, const struct key *key, const struct node *n, const char *path)
{
	struct setting setting = {key, s->object, path, r->base, r->report};

	if (key->type == KEY_GROUP)
		read_group(r, s, key->name, n, path);
	else if (key->type == KEY_POOLS)
		read_pools(r, n, path);
	else if (key->type == KEY_LISTEN)
		read_listens(r, n, path);
	else
		setting_store(&setting, n);
}

static void
builtin(struct reading *r)
{
	struct node root;

	if (tree_parse(builtin_pools, strlen(builtin_pools), &root, r->report))
		read_pools(r, &root, "pools");
	node_clear(&root);
}

/* What a pool takes from the rest, which may come behind it in the file. */
static void
inherit(struct config *c)
{
	size_t i;

	if (!c->limit_user_pending)
		c->limit_user_pending = (c->limit_queue + 1) / 2;
	if (!c->limit_user_bytes)
		c->limit_user_bytes = c->limit_memory / 2;
	if (!c->limit_user_connections)
		c->limit_user_connections = (c->limit_connections + 1) / 2;

	for (i = 0; i < c->pools; i++) {
		struct config_pool *p = &c->pool[i];

		if (!p->queue)
			p->queue = c->limit_queue;
		if (!p->has_retain)
			p->retain_us = c->retain_us;
	}
}

/* The node of a key at the top; NULL if the file does not have it. */
static const struct node *
given_key(const struct node *const *given, const char *name)
{
	return given[keys_find(config_keys, config_key_count, NULL, name) - config_keys];
}

static void
check_socket(struct reading *r, const struct node *const *given)
{
	const struct node *n = given_key(given, "socket_group");
	char quote[REPORT_QUOTE];

	r->config->socket_gid = UINT32_MAX;
	if (r->config->socket_group && !principal_group(r->config->socket_group, &r->config->socket_gid))
		report_add(r->report, n->line, n->col, "socket_group", "expected a group of this machine, got %s", node_show(n, quote));
}

bool
config_is_shared(const struct config *c)
{
	for (size_t i = 0; i < c->listens; i++)
		if (c->listen[i].auth != CONFIG_AUTH_PEER)
			return true;
	return c->socket_mode & 022;
}

const struct config_pool *
config_own_uid_pool(const struct config *c)
{
	uint32_t uid;

	for (size_t i = 0; i < c->pools; i++)
		if (!c->pool[i].user || (principal_user(c->pool[i].user, &uid) && uid == geteuid()))
			return &c->pool[i];
	return NULL;
}

/* Where several may come, and what they run is one user's, somebody has to have said that this is meant. */
static void
check_shared_uid(struct reading *r, const struct node *const *given)
{
	const struct config *c = r->config;
	const struct config_pool *p = config_own_uid_pool(c);
	const struct node *n = given_key(given, c->socket_mode & 022 ? "socket_mode" : "listen");

	if (!config_is_shared(c) || c->shared_uid || !p)
		return;
	report_add(r->report, n ? n->line : 0, n ? n->col : 0, "shared_uid",
		"expected true, got false: others than the daemon's own user can connect (%s), and tasks of pool %s run as that user",
		c->socket_mode & 022 ? "socket_mode" : "listen", p->name);
}

static void
read_document(struct reading *r, const char *text, size_t len)
{
	const struct node *given[KEYS_MAX] = {NULL};
	struct section section = {config_keys, config_key_count, NULL, r->config, "", given};
	const struct key *pools = keys_find(config_keys, config_key_count, NULL, "pools");
	const struct key *listen = keys_find(config_keys, config_key_count, NULL, "listen");
	struct node root;

	defaults(r, config_keys, config_key_count, r->config);
	if (tree_parse(text, len, &root, r->report) && !node_is_null(&root) && expect_map(r, &root, "", "keys"))
		read_section(r, &section, &root);
	if (given[listen - config_keys] && report_is_empty(r->report))
		listen_check_tokens(r->config, given[listen - config_keys], r->report);
	if (!given[pools - config_keys] && report_is_empty(r->report))
		builtin(r);
	inherit(r->config);
	check_socket(r, given);
	if (report_is_empty(r->report))
		check_shared_uid(r, given);
	node_clear(&root);
}

static struct config *
parse(const char *name, const char *base, const char *text, size_t len, FILE *errors)
{
	struct report report;
	struct reading r = {memory_new(sizeof(struct config)), &report, base};

	report_init(&report, name ? name : "built-in defaults");
	if (!r.config)
		report.no_memory = true;
	else if (len > TREE_BYTES_MAX)
		report_add(&report, 0, 0, "", "expected at most 1 MiB, got %zu bytes", len);
	else
		read_document(&r, text, len);
	if (r.config && name && !(r.config->path = memory_text(name, strlen(name))))
		report.no_memory = true;
	if (!report_is_empty(&report)) {
		if (errors)
			report_write(&report, errors);
		config_free(r.config);
		r.config = NULL;
	}
	report_clear(&report);
	return r.config;
}

struct config *
config_parse(const char *name, const char *text, size_t len, FILE *errors)
{
	return parse(name, NULL, text, len, errors);
}

struct config *
config_default(void)
{
	return parse(NULL, NULL, "", 0, NULL);
}

struct config *
config_personal(void)
{
	static const char text[] = "retain: 7d\nclient_pools: {workers: 1000, max: 1000}\n";

	return parse(NULL, NULL, text, sizeof text - 1, NULL);
}

/* Who may write the file may run programs as us. */
static bool
is_ours(int fd, const char *path, FILE *errors)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		fprintf(errors, "%s: cannot be examined: %s\n", path, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		fprintf(errors, "%s: expected a regular file, got another kind\n", path);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		fprintf(errors, "%s: expected a file that belongs to root or to user %ju, got one of user %ju\n", path,
			(uintmax_t)geteuid(), (uintmax_t)st.st_uid);
		return false;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		fprintf(errors, "%s: expected a file that only its owner may write, got mode %04o (chmod go-w)\n", path,
			(unsigned)st.st_mode & 07777);
		return false;
	}
	return true;
}

/* Reads at most one byte more than is allowed, which parse() then refuses. */
static char *
read_all(int fd, const char *path, size_t *len, FILE *errors)
{
	char *text = memory_realloc(NULL, TREE_BYTES_MAX + 1); /* pages that the file does not fill are never touched */
	ssize_t n;

	*len = 0;
	if (!text) {
		fprintf(errors, "%s: out of memory\n", path);
		return NULL;
	}
	while ((n = read(fd, text + *len, TREE_BYTES_MAX + 1 - *len)) != 0) {
		if (n > 0) {
			*len += (size_t)n;
		} else if (errno != EINTR) {
			fprintf(errors, "%s: cannot be read: %s\n", path, strerror(errno));
			free(text);
			return NULL;
		}
	}
	return text;
}

/* The directory that the file is in, links resolved; new. */
static char *
directory_of(const char *path, FILE *errors)
{
	char *real = realpath(path, NULL);

	if (real)
		*strrchr(real, '/') = '\0';
	else
		fprintf(errors, "%s: has no path: %s\n", path, strerror(errno));
	return real;
}

struct config *
config_load(const char *path, FILE *errors)
{
	struct config *c = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text, *base;
	size_t len;

	if (fd < 0) {
		fprintf(errors, "%s: cannot be opened: %s\n", path, strerror(errno));
		return NULL;
	}
	if (!is_ours(fd, path, errors))
		goto close;
	text = read_all(fd, path, &len, errors);
	if (!text)
		goto close;
	base = directory_of(path, errors);
	if (!base)
		goto free_text;
	c = parse(path, base, text, len, errors);
	free(base);
free_text:
	free(text);
close:
	close(fd);
	return c;
}

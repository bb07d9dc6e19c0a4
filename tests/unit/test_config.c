/* Configurations that are right become what they say. Runs in the project's top directory. */
#include "tests/unit/config_text.h"

#include <stddef.h>

#include "config/keys.h"

#define MIB (1024u * 1024u)

static void
strings_equal(const struct config_strings *a, const struct config_strings *b)
{
	size_t i;

	assert_int_equal(a->count, b->count);
	for (i = 0; i < a->count; i++)
		assert_string_equal(a->item[i], b->item[i]);
}

static void
text_equal(const char *a, const char *b)
{
	assert_string_equal(a ? a : "(null)", b ? b : "(null)");
}

static void
principals_equal(const struct config_principals *a, const struct config_principals *b)
{
	size_t i;

	assert_int_equal(a->count, b->count);
	for (i = 0; i < a->count; i++) {
		assert_int_equal(a->item[i].kind, b->item[i].kind);
		assert_int_equal(a->item[i].id, b->item[i].id);
		assert_string_equal(a->item[i].name, b->item[i].name);
	}
}

static void
pool_equal(const struct config_pool *a, const struct config_pool *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->kind, b->kind);
	strings_equal(&a->runtime, &b->runtime);
	assert_int_equal(a->workers, b->workers);
	assert_int_equal(a->output, b->output);
	assert_int_equal(a->spill, b->spill);
	assert_int_equal(a->queue, b->queue);
	assert_int_equal(a->grace_us, b->grace_us);
	assert_int_equal(a->timeout_us, b->timeout_us);
	assert_int_equal(a->retain_us, b->retain_us);
	assert_int_equal(a->has_retain, b->has_retain);
	assert_int_equal(a->idle_timeout_us, b->idle_timeout_us);
	assert_int_equal(a->max_tasks_per_worker, b->max_tasks_per_worker);
	assert_int_equal(a->max_rss, b->max_rss);
	strings_equal(&a->modules, &b->modules);
	text_equal(a->script, b->script);
	assert_int_equal(a->memory, b->memory);
	text_equal(a->initializer, b->initializer);
	assert_int_equal(a->initargs_len, b->initargs_len);
	assert_memory_equal(a->initargs, b->initargs, a->initargs_len);
	text_equal(a->cwd, b->cwd);
	strings_equal(&a->env, &b->env);
	principals_equal(&a->allow, &b->allow);
	assert_int_equal(a->shared, b->shared);
	assert_int_equal(a->max_priority, b->max_priority);
	strings_equal(&a->lock, &b->lock);
	text_equal(a->user, b->user);
	text_equal(a->group, b->group);
	assert_int_equal(a->umask, b->umask);
	assert_int_equal(a->nice, b->nice);
	assert_int_equal(a->no_new_privs, b->no_new_privs);
	assert_memory_equal(a->limit, b->limit, sizeof(a->limit));
}

/* All but the path. */
static void
config_equal(const struct config *a, const struct config *b)
{
	size_t i;

	assert_int_equal(a->socket_mode, b->socket_mode);
	text_equal(a->socket_group, b->socket_group);
	assert_int_equal(a->socket_gid, b->socket_gid);
	assert_int_equal(a->shared_uid, b->shared_uid);
	principals_equal(&a->admins, &b->admins);
	principals_equal(&a->read_only, &b->read_only);
	principals_equal(&a->allow_commands, &b->allow_commands);
	principals_equal(&a->allow_exec, &b->allow_exec);
	principals_equal(&a->allow_open_pool, &b->allow_open_pool);
	assert_int_equal(a->listens, b->listens);
	for (i = 0; i < a->listens; i++)
		text_equal(a->listen[i].address, b->listen[i].address);
	text_equal(a->tokens, b->tokens);
	assert_int_equal(a->limit_unauthenticated, b->limit_unauthenticated);
	assert_int_equal(a->limit_hello_us, b->limit_hello_us);
	assert_int_equal(a->limit_idle_us, b->limit_idle_us);
	text_equal(a->store, b->store);
	text_equal(a->state_dir, b->state_dir);
	text_equal(a->cgroup, b->cgroup);
	assert_int_equal(a->retain_us, b->retain_us);
	assert_int_equal(a->stop_timeout_us, b->stop_timeout_us);
	text_equal(a->log_level, b->log_level);
	text_equal(a->log_format, b->log_format);
	text_equal(a->log_tasks, b->log_tasks);
	text_equal(a->http, b->http);
	assert_int_equal(a->limit_message, b->limit_message);
	assert_int_equal(a->limit_connections, b->limit_connections);
	assert_int_equal(a->limit_queue, b->limit_queue);
	assert_int_equal(a->limit_memory, b->limit_memory);
	assert_int_equal(a->limit_requests, b->limit_requests);
	assert_int_equal(a->limit_output, b->limit_output);
	assert_int_equal(a->limit_user_pending, b->limit_user_pending);
	assert_int_equal(a->limit_user_bytes, b->limit_user_bytes);
	assert_int_equal(a->limit_user_connections, b->limit_user_connections);
	assert_int_equal(a->client_pools, b->client_pools);
	assert_int_equal(a->client_pools_workers, b->client_pools_workers);
	assert_int_equal(a->client_pools_max, b->client_pools_max);
	assert_int_equal(a->pools, b->pools);
	for (i = 0; i < a->pools; i++)
		pool_equal(&a->pool[i], &b->pool[i]);
}

/* --- what holds without a file, and what a file says --- */

static void
defaults_are_those_of_the_design(void **state)
{
	struct config *c = config_default();
	const struct config_pool *p;

	(void)state;
	assert_non_null(c);
	assert_null(c->path);
	assert_int_equal(c->socket_mode, 0600);
	assert_false(config_is_shared(c));
	assert_int_equal(c->admins.count + c->read_only.count, 0);
	assert_int_equal(c->allow_commands.count, 1);
	assert_int_equal(c->allow_commands.item[0].kind, CONFIG_ALL);
	assert_int_equal(c->listens, 0);
	assert_string_equal(c->store, "sqlite");
	assert_string_equal(c->sync, "full");
	assert_null(c->state_dir);
	assert_string_equal(c->cgroup, "auto");
	assert_int_equal(c->retain_us, 3600u * 1000000u);
	assert_int_equal(c->stop_timeout_us, 10u * 1000000u);
	assert_string_equal(c->log_level, "info");
	assert_string_equal(c->log_format, "text");
	assert_string_equal(c->log_tasks, "none");
	assert_null(c->http);
	assert_int_equal(c->limit_message, 64u * MIB);
	assert_int_equal(c->limit_connections, 4096);
	assert_int_equal(c->limit_queue, 1000000);
	assert_int_equal(c->limit_memory, 2048u * MIB);
	assert_int_equal(c->limit_requests, 100000);
	assert_int_equal(c->limit_output, 64u * MIB);
	assert_int_equal(c->limit_user_pending, 500000);
	assert_int_equal(c->limit_user_bytes, 1024u * MIB);
	assert_int_equal(c->limit_user_connections, 2048);
	assert_true(c->client_pools);
	assert_int_equal(c->client_pools_workers, 0);
	assert_int_equal(c->client_pools_max, 64);
	assert_int_equal(c->pools, 3);
	assert_string_equal(c->pool[1].name, "py");
	assert_int_equal(c->pool[1].kind, CONFIG_PROCESS);
	assert_string_equal(c->pool[1].runtime.item[0], "python");
	assert_string_equal(c->pool[2].name, "pythread");
	assert_int_equal(c->pool[2].kind, CONFIG_THREAD);
	p = &c->pool[0];
	assert_string_equal(p->name, "shell");
	assert_int_equal(p->kind, CONFIG_COMMAND);
	assert_int_equal(p->runtime.count, 0);
	assert_int_equal(p->workers, 0);
	assert_int_equal(p->output, MIB);
	assert_int_equal(p->spill, 1024u * MIB);
	assert_int_equal(p->queue, 1000000);
	assert_int_equal(p->grace_us, 5000000);
	assert_int_equal(p->timeout_us, 0);
	assert_int_equal(p->retain_us, c->retain_us);
	assert_false(p->has_retain);
	assert_int_equal(p->idle_timeout_us, 0);
	assert_int_equal(p->max_rss, 0);
	assert_int_equal(p->initargs_len, 1);
	assert_int_equal(p->initargs[0], 0x90);
	assert_null(p->cwd);
	assert_int_equal(p->umask, CONFIG_NO_UMASK);
	assert_int_equal(p->nice, 0);
	assert_false(p->no_new_privs);
	for (size_t i = 0; i < CONFIG_LIMITS; i++)
		assert_true(p->limit[i] == CONFIG_NO_LIMIT);
	config_free(c);
	config_free(NULL);
}

static void
ones_own_daemon_keeps_results_for_a_week_and_opens_many_pools(void **state)
{
	struct config *standard = config_default(), *own = config_personal();

	(void)state;
	assert_non_null(own);
	assert_int_equal(own->retain_us, 7 * 24 * UINT64_C(3600000000));
	assert_int_equal(own->pool[0].retain_us, own->retain_us);
	assert_int_equal(own->client_pools_workers, 1000);
	assert_int_equal(own->client_pools_max, 1000);
	assert_false(config_is_shared(own));
	own->retain_us = standard->retain_us;
	own->client_pools_workers = standard->client_pools_workers;
	own->client_pools_max = standard->client_pools_max;
	for (size_t i = 0; i < own->pools; i++)
		own->pool[i].retain_us = standard->pool[i].retain_us;
	config_equal(own, standard);
	config_free(own);
	config_free(standard);
}

static void
an_empty_file_is_the_defaults(void **state)
{
	static const char *const empty[] = {"", "\n", "# nothing\n", "---\n", "{}", "null", "\xef\xbb\xbf"};
	struct config *standard = config_default();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
		struct config *c = parse_good(empty[i]);

		assert_string_equal(c->path, "t.yaml");
		config_equal(c, standard);
		config_free(c);
	}
	config_free(standard);
}

static char *
sample_text(size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	config_sample(out);
	fclose(out);
	return text;
}

static void
the_sample_parses_back_to_the_defaults(void **state)
{
	size_t len;
	char *text = sample_text(&len);
	struct config *sample = parse_good(text), *standard = config_default();

	(void)state;
	config_equal(sample, standard);
	config_free(sample);
	config_free(standard);
	free(text);
}

static void
the_checked_in_sample_is_what_config_sample_writes(void **state)
{
	size_t len, n;
	char *text = sample_text(&len), *file = calloc(1, len + 2);
	FILE *in = fopen("config/futured.yaml", "r");

	(void)state;
	assert_non_null(in);
	n = fread(file, 1, len + 1, in);
	fclose(in);
	assert_string_equal(file, text);
	assert_int_equal(n, len);
	free(file);
	free(text);
}

static bool
manual_has(const char *manual, const struct key *k)
{
	char line[120];

	if (k->standard && !k->standard_text)
		snprintf(line, sizeof(line), "\n.It Ic %s : Li %s", k->name, k->standard);
	else
		snprintf(line, sizeof(line), "\n.It Ic %s", k->name);
	return strstr(manual, line) != NULL;
}

static void
the_manual_has_every_key_and_its_default(void **state)
{
	static char manual[1 << 16];
	FILE *in = fopen("docs/futured.yaml.5", "r");
	size_t i;

	(void)state;
	assert_non_null(in);
	assert_in_range(fread(manual, 1, sizeof(manual) - 1, in), 1, sizeof(manual) - 2);
	fclose(in);
	for (i = 0; i < config_key_count; i++)
		if (!manual_has(manual, &config_keys[i]))
			fail_msg("%s", config_keys[i].name);
	for (i = 0; i < POOL_KEYS; i++)
		if (!manual_has(manual, &pool_keys[i]))
			fail_msg("pools: %s", pool_keys[i].name);
}

/* The lines between .Bd -literal and .Ed. */
static void
the_example_in_the_manual_is_good(void **state)
{
	FILE *in = fopen("docs/futured.yaml.5", "r"), *out;
	char *text = NULL, *line = NULL;
	size_t size = 0, len = 0;
	bool inside = false;

	(void)state;
	assert_non_null(in);
	out = open_memstream(&text, &len);
	while (getline(&line, &size, in) > 0) {
		if (!strcmp(line, ".Ed\n"))
			inside = false;
		if (inside)
			fputs(line, out);
		if (!strcmp(line, ".Bd -literal\n"))
			inside = true;
	}
	fclose(in);
	fclose(out);
	assert_true(len > 500);
	config_free(parse_good(text));
	free(line);
	free(text);
}

/* Takes the '#' off each line of the sample that shows an example of a key: it must then still be a known key. */
static void
the_examples_in_the_sample_name_real_keys(void **state)
{
	size_t len, examples = 0;
	char *text = sample_text(&len), *at, *errors = NULL;
	struct config *c;

	(void)state;
	for (at = text; (at = strchr(at, '#')) != NULL; at++) {
		if (at[1] == ' ')
			continue;
		*at = ' ';
		memmove(at, at + 1, strlen(at));
		examples++;
	}
	assert_true(examples > 8);
	c = parse_bytes(text, strlen(text), &errors);
	assert_null(c); /* most are not for the kind command, some are there twice now */
	assert_null(strstr(errors, "known key"));
	assert_null(strstr(errors, "YAML"));
	free(errors);
	free(text);
}

static void
every_kind_of_listener_is_read(void **state)
{
	struct config *c = parse_good("tokens: /t\nshared_uid: true\nlisten: [unix:/s, tcp:127.0.0.1:1, {address: tcp:h:2, plaintext: true}, 'tcp:[::1]:3',\n"
		"  {address: tls:h:4, cert: /c}, {address: tls:h:5, cert: /c, key: /k, client_ca: /a, role: read-only},\n"
		"  {address: tls:h:6, cert: /c, client_ca: /a, auth: token, min_version: 1.2}]\n");
	static const enum config_auth auth[] = { CONFIG_AUTH_PEER, CONFIG_AUTH_TOKEN, CONFIG_AUTH_TOKEN, CONFIG_AUTH_TOKEN, CONFIG_AUTH_TOKEN,
		CONFIG_AUTH_CERTIFICATE, CONFIG_AUTH_TOKEN };
	const struct config_listen *l = c->listen;
	size_t i;

	(void)state;
	assert_string_equal(c->tokens, "/t");
	assert_true(config_is_shared(c));
	assert_int_equal(c->listens, 7);
	for (i = 0; i < c->listens; i++)
		assert_int_equal(l[i].auth, auth[i]);
	assert_string_equal(l[3].address, "tcp:[::1]:3");
	assert_true(l[2].plaintext && !l[1].plaintext);
	assert_string_equal(l[4].key, "/c"); /* in the same file */
	assert_string_equal(l[4].min_version, "1.3");
	assert_string_equal(l[5].key, "/k");
	assert_string_equal(l[5].role, "read-only");
	assert_string_equal(l[6].client_ca, "/a");
	assert_string_equal(l[6].min_version, "1.2");
	config_free(c);
}

static void
every_kind_of_pool_is_read(void **state)
{
	struct config *c = parse_good("listen: [unix:/run/futured/futured.sock, /run/b.sock]\n"
		"store: memory\nretain: 90m\nlimits: {message: 32MiB, queue: 50}\nclient_pools: false\nstate_dir: /var/lib/f\n"
		"pools:\n"
		"  shell: {kind: command, workers: auto, output: 2MiB, env: {A: 1, B: 'x y', C: true}, timeout: 1.5h}\n"
		"  io:    {kind: thread, workers: 32, runtime: native, modules: [/usr/lib/fetch.so]}\n"
		"  cpu:   {kind: process, modules: /usr/lib/a.so, initializer: warm_up, max_tasks_per_worker: 10000, queue: 7}\n"
		"  lua:   {kind: interpreter, script: /etc/tasks.lua, memory: 64MiB, retain: 0}\n"
		"  py:    {kind: process, runtime: [python3, -m, futured.worker], idle_timeout: 0, modules: [json]}\n"
		"  py2:   {kind: thread, runtime: python, cwd: null}\n");
	const struct config_pool *p = c->pool;

	(void)state;
	assert_int_equal(c->listens, 2);
	assert_string_equal(c->listen[0].address, "unix:/run/futured/futured.sock");
	assert_string_equal(c->listen[1].address, "unix:/run/b.sock");
	assert_int_equal(c->retain_us, 5400u * 1000000ul);
	assert_false(c->client_pools);
	assert_string_equal(c->state_dir, "/var/lib/f");
	assert_int_equal(c->pools, 6);
	assert_int_equal(p[0].env.count, 3);
	assert_string_equal(p[0].env.item[0], "A=1");
	assert_string_equal(p[0].env.item[1], "B=x y");
	assert_string_equal(p[0].env.item[2], "C=true");
	assert_int_equal(p[0].timeout_us, 5400u * 1000000ul);
	assert_int_equal(p[0].queue, 50); /* from limits */
	assert_int_equal(p[0].retain_us, c->retain_us);
	assert_int_equal(p[1].workers, 32);
	assert_string_equal(p[1].runtime.item[0], "native");
	assert_int_equal(p[1].idle_timeout_us, 0);
	assert_int_equal(p[2].modules.count, 1);
	assert_string_equal(p[2].modules.item[0], "/usr/lib/a.so");
	assert_string_equal(p[2].initializer, "warm_up");
	assert_int_equal(p[2].idle_timeout_us, 60u * 1000000u);
	assert_int_equal(p[2].queue, 7);
	assert_string_equal(p[3].runtime.item[0], "lua");
	assert_true(p[3].has_retain);
	assert_int_equal(p[3].retain_us, 0);
	assert_int_equal(p[4].runtime.count, 3);
	assert_string_equal(p[4].runtime.item[2], "futured.worker");
	assert_int_equal(p[4].idle_timeout_us, 0);
	assert_string_equal(p[4].modules.item[0], "json");
	assert_string_equal(p[5].runtime.item[0], "python");
	assert_string_equal(config_kind_name(p[5].kind), "thread");
	config_free(c);
}

static void
client_pools_is_a_bool_or_a_map(void **state)
{
	struct config *c = parse_good("client_pools: {enabled: false, workers: 8, max: 2}");

	(void)state;
	assert_false(c->client_pools);
	assert_int_equal(c->client_pools_workers, 8);
	assert_int_equal(c->client_pools_max, 2);
	config_free(c);
	c = parse_good("client_pools: true");
	assert_true(c->client_pools);
	config_free(c);
}

static void
http_is_for_this_machine(void **state)
{
	static const char *const good[] = {"unix:/run/x", "tcp:127.0.0.1:80", "tcp:127.255.0.9:65535", "tcp:[::1]:1", "tcp:localhost:7713"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		char yaml[100];
		struct config *c;

		snprintf(yaml, sizeof(yaml), "http: '%s'", good[i]);
		c = parse_good(yaml);
		assert_string_equal(c->http, good[i]);
		config_free(c);
	}
}

static void
a_credential_is_where_the_service_manager_put_it(void **state)
{
	struct config *c;

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	c = parse_good("state_dir: credential:key.pem");
	assert_string_equal(c->state_dir, "/run/credentials/futured.service/key.pem");
	config_free(c);
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/futured@a.service", 1);
	c = parse_good("state_dir: credential:key.pem");
	assert_string_equal(c->state_dir, "/run/credentials/futured@a.service/key.pem");
	config_free(c);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void
initargs_become_messagepack_by_the_core_schema(void **state)
{
	static const uint8_t expected[] =
		"\xdd\0\0\0\x0e\xc0\xc0\xc3\xc2\x05\xd3\xff\xff\xff\xff\xff\xff\xff\xfb\x08\xcf\0\0\0\0\0\0\0\xff"
		"\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcb\x3f\xf8\0\0\0\0\0\0\xcb\x7f\xf0\0\0\0\0\0\0"
		"\xdb\0\0\0\x01" "5\xdb\0\0\0\x01" "a"
		"\xdf\0\0\0\x01\xdb\0\0\0\x01k\xdd\0\0\0\x01\xdb\0\0\0\0";
	struct config *c = parse_good("pools: {p: {kind: interpreter, initializer: f, initargs: "
		"[null, ~, true, FALSE, 5, -5, 0o10, 0xff, 18446744073709551615, 1.5, .inf, '5', a, {k: ['']}]}}");

	(void)state;
	assert_int_equal(c->pool[0].initargs_len, sizeof(expected) - 1);
	assert_memory_equal(c->pool[0].initargs, expected, sizeof(expected) - 1);
	config_free(c);
}

/* What looks like a number and is none is a str; each encoded str begins with db. */
static void
initargs_keep_what_is_no_number_a_string(void **state)
{
	static const char *const texts[] = {"1_000", "0x", "0o8", "1e", "1e+", ".", "+.", "yes", "NULl", "1.2.3", "0b1",
		"1:30", "nan", "inf", "2024-01-01", "tRUE"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char yaml[120];
		struct config *c;

		snprintf(yaml, sizeof(yaml), "pools: {p: {kind: interpreter, initializer: f, initargs: [\n  %s\n]}}", texts[i]);
		c = parse_good(yaml);
		assert_int_equal(c->pool[0].initargs_len, 5 + 5 + strlen(texts[i]));
		assert_int_equal(c->pool[0].initargs[5], 0xdb);
		assert_memory_equal(c->pool[0].initargs + 10, texts[i], strlen(texts[i]));
		config_free(c);
	}
}

#define C(member) offsetof(struct config, member), sizeof(((struct config *)0)->member), false
#define P(member) offsetof(struct config_pool, member), sizeof(((struct config_pool *)0)->member), true

/* Written apart from the table in config/keys.c, so that a changed bound is noticed. below NULL: the least is 0. */
static const struct limit {
	const char *before; /* the text around the value */
	const char *after;
	const char *key;
	size_t offset;
	size_t size;
	bool is_pool;
	const char *below;
	const char *least_text;
	uint64_t least;
	const char *most_text;
	uint64_t most;
	const char *above;
} limits[] = {
#define TOP(name, member, ...) {name ": ", "", name, C(member), __VA_ARGS__}
#define IN(group, name, member, ...) {group ": {" name ": ", "}", group "." name, C(member), __VA_ARGS__}
#define POOL(name, kind, member, ...) \
	{"pools: {p: {kind: " kind ", " name ": ", "}}", "pools.p." name, P(member), __VA_ARGS__}
#define LONGEST "0", 0, "1000000000s", UINT64_C(1000000000000000), "1000000000.000001"
	TOP("retain", retain_us, "-1", LONGEST),
	TOP("stop_timeout", stop_timeout_us, "-1", LONGEST),
	IN("limits", "message", limit_message, "1023", "1024", 1024, "1GiB", 1u << 30, "1073741825"),
	IN("limits", "connections", limit_connections, "0", "1", 1, "1000000", 1000000, "1000001"),
	IN("limits", "queue", limit_queue, "0", "1", 1, "1000000000", 1000000000, "1000000001"),
	IN("limits", "memory", limit_memory, "1048575", "1MiB", MIB, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	IN("limits", "requests", limit_requests, "0", "1", 1, "1000000000", 1000000000, "1000000001"),
	IN("limits", "output", limit_output, "1023", "1KiB", 1024, "1TiB", UINT64_C(1) << 40, "1099511627777"),
	IN("client_pools", "workers", client_pools_workers, "0", "1", 1, "1024", 1024, "1025"),
	IN("client_pools", "max", client_pools_max, "0", "1", 1, "4096", 4096, "4097"),
	POOL("workers", "command", workers, "0", "1", 1, "1024", 1024, "1025"),
	POOL("output", "command", output, "-1", "0", 0, "1GiB", 1u << 30, "1073741825"),
	POOL("spill", "command", spill, "-1", "0", 0, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	POOL("queue", "command", queue, "0", "1", 1, "1000000000", 1000000000, "1000000001"),
	POOL("grace", "command", grace_us, "-1", LONGEST),
	POOL("timeout", "command", timeout_us, "-1", LONGEST),
	POOL("retain", "command", retain_us, "-1", LONGEST),
	POOL("idle_timeout", "command", idle_timeout_us, "-1", LONGEST),
	POOL("max_tasks_per_worker", "command", max_tasks_per_worker, "-1", "0", 0, "1000000000", 1000000000, "1000000001"),
	POOL("max_rss", "command", max_rss, "-1", "0", 0, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	POOL("nice", "command", nice, "-1", "0", 0, "19", 19, "20"),
#define BOUND(name, id, ...) {"pools: {p: {limits: {" name ": ", "}}}", "pools.p.limits." name, P(limit[CONFIG_LIMIT_##id]), __VA_ARGS__}
	BOUND("memory", MEMORY, "1023KiB", "1MiB", MIB, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	BOUND("processes", PROCESSES, "0", "1", 1, "4194304", 4194304, "4194305"),
	BOUND("cpus", CPUS, "0.009", "0.01", 10000, "4096", UINT64_C(4096000000), "4096.1"),
	BOUND("cpu", CPU, "0.5", "1s", 1000000, "1000000000s", UINT64_C(1000000000000000), "1000000001"),
	BOUND("files", FILES, "15", "16", 16, "1000000000", 1000000000, "1000000001"),
	BOUND("file_size", FILE_SIZE, "-1", "0", 0, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	BOUND("core", CORE, "-1", "0", 0, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	BOUND("stack", STACK, "65535", "64KiB", 65536, "16TiB", UINT64_C(16) << 40, "17592186044417"),
	BOUND("memory", MEMORY, "nothing", "none", UINT64_MAX, "1GiB", 1u << 30, "[1]"),
	POOL("memory", "interpreter", memory, "-1", "0", 0, "16TiB", UINT64_C(16) << 40, "17592186044417"),
};

static void
limit_accepts(const struct limit *l, const char *text, uint64_t value)
{
	char yaml[200];
	struct config *c;
	const char *object;
	uint64_t stored = 0;

	snprintf(yaml, sizeof(yaml), "%s%s%s", l->before, text, l->after);
	c = parse_good(yaml);
	object = l->is_pool ? (const char *)c->pool : (const char *)c;
	memcpy(&stored, object + l->offset, l->size); /* little end first, as on every machine this is built for */
	assert_int_equal(stored, value);
	config_free(c);
}

static void
limit_refuses(const struct limit *l, const char *text)
{
	char yaml[200], expected[300];

	snprintf(yaml, sizeof(yaml), "\n%s%s%s", l->before, text, l->after);
	snprintf(expected, sizeof(expected), "t.yaml:2:%zu: %s: expected ", strlen(l->before) + 1, l->key);
	refused_text(yaml, expected);
}

static void
every_number_is_bounded_on_both_sides(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		const struct limit *l = &limits[i];

		limit_refuses(l, l->below);
		limit_accepts(l, l->least_text, l->least);
		limit_accepts(l, l->most_text, l->most);
		limit_refuses(l, l->above);
	}
}

/* A pool's name has 1 to 64 characters, there are 1 to 256 pools, a list has up to 1,024 strings. */
static void
names_and_lists_are_bounded(void **state)
{
	struct config *c;
	char *text = NULL;
	size_t size, i, extra;

	(void)state;
	c = parse_good("pools: {aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1._-: {}}");
	assert_int_equal(strlen(c->pool[0].name), 64);
	config_free(c);
	for (extra = 0; extra < 2; extra++) {
		FILE *out = open_memstream(&text, &size);

		fputs("pools:\n", out);
		for (i = 0; i < 256 + extra; i++)
			fprintf(out, "  p%zu: {}\n", i);
		fclose(out);
		if (extra)
			refused(text, size, "t.yaml:2:3: pools: expected 1 to 256 pools, got 257");
		else
			config_free(parse_good(text));
		free(text);
		out = open_memstream(&text, &size);
		fputs("pools: {p: {kind: process, runtime: [", out);
		for (i = 0; i < 1024 + extra; i++)
			fputs("a,", out);
		fputs("]}}", out);
		fclose(out);
		if (extra)
			refused(text, size, "t.yaml:1:37: pools.p.runtime: expected a list of at most 1024, got a list");
		else
			config_free(parse_good(text));
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(ones_own_daemon_keeps_results_for_a_week_and_opens_many_pools),
		cmocka_unit_test(an_empty_file_is_the_defaults),
		cmocka_unit_test(the_sample_parses_back_to_the_defaults),
		cmocka_unit_test(the_checked_in_sample_is_what_config_sample_writes),
		cmocka_unit_test(the_manual_has_every_key_and_its_default),
		cmocka_unit_test(the_example_in_the_manual_is_good),
		cmocka_unit_test(the_examples_in_the_sample_name_real_keys),
		cmocka_unit_test(every_kind_of_listener_is_read),
		cmocka_unit_test(every_kind_of_pool_is_read),
		cmocka_unit_test(client_pools_is_a_bool_or_a_map),
		cmocka_unit_test(http_is_for_this_machine),
		cmocka_unit_test(a_credential_is_where_the_service_manager_put_it),
		cmocka_unit_test(initargs_become_messagepack_by_the_core_schema),
		cmocka_unit_test(initargs_keep_what_is_no_number_a_string),
		cmocka_unit_test(every_number_is_bounded_on_both_sides),
		cmocka_unit_test(names_and_lists_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

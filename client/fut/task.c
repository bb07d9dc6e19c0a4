/* The options that describe a task. */
#include "client/fut/task.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/fut/pools.h"

extern char **environ;

void
task_init(struct task *t, struct fut *f)
{
	memset(t, 0, sizeof *t);
	t->fut = f;
	t->pool = "shell";
	t->timeout = t->deadline = t->delay = t->retry_delay = t->retain = -1;
}

void
task_clear(struct task *t)
{
	free(t->tags);
	free(t->env);
	free(t->limits);
	free(t->after);
}

static void
push(const char ***list, size_t *n, const char *value)
{
	*list = need(realloc(*list, (*n + 1) * sizeof **list));
	(*list)[(*n)++] = value;
}

static int
take_limit(struct task *t, const char *value)
{
	static const char *const names[] = { "memory", "processes", "cpus", "cpu", "files", "file_size", "core", "stack", NULL };
	const char *equals = strchr(value, '=');
	size_t i = 0;
	uint64_t size;

	if (equals == NULL || equals == value) {
		args_wrong(t->fut, "--limit: expected WHAT=NUMBER, got '%s'", value);
		return -1;
	}
	while (names[i] != NULL && (strlen(names[i]) != (size_t)(equals - value) || memcmp(names[i], value, (size_t)(equals - value)) != 0))
		i++;
	if (names[i] == NULL) {
		args_wrong(t->fut, "--limit: expected memory, processes, cpus, cpu, files, file_size, core or stack, got '%.*s'", (int)(equals - value), value);
		return -1;
	}
	if (!args_size(t->fut, "--limit", equals + 1, &size))
		return -1;
	push(&t->limits, &t->limit_count, value);
	return 1;
}

static int
took(bool well)
{
	return well ? 1 : -1;
}

static int
take_text(struct task *t, int key, const char *value)
{
	switch (key) {
	case 'p':
		t->pool = value;
		return 1;
	case 'n':
		t->name = value;
		return 1;
	case 'C':
		t->cwd = value;
		return 1;
	case 'i':
		t->stdin_path = value;
		return 1;
	case TASK_KEY:
		t->key = value;
		return 1;
	case 'T':
		push(&t->tags, &t->tag_count, value);
		return 1;
	case 'e':
		if (strchr(value, '=') == NULL || *value == '=') {
			args_wrong(t->fut, "--env: expected NAME=VALUE, got '%s'", value);
			return -1;
		}
		push(&t->env, &t->env_count, value);
		return 1;
	default:
		return 0;
	}
}

int
task_take(struct task *t, int key, const char *value)
{
	struct fut *f = t->fut;

	switch (key) {
	case TASK_SHELL:
		t->shell = true;
		return 1;
	case TASK_ENV_CLEAR:
		t->env_clear = true;
		return 1;
	case TASK_BLOCK:
		t->block = true;
		return 1;
	case TASK_TIMEOUT:
		return took(args_bound(f, "--timeout", value, &t->timeout));
	case TASK_DEADLINE:
		return took(args_bound(f, "--deadline", value, &t->deadline));
	case TASK_DELAY:
		return took(args_duration(f, "--delay", value, &t->delay));
	case TASK_RETRY_DELAY:
		return took(args_duration(f, "--retry-delay", value, &t->retry_delay));
	case TASK_RETAIN:
		return took(args_duration(f, "--retain", value, &t->retain));
	case TASK_PRIORITY:
		return took(t->has_priority = args_int(f, "--priority", value, -32768, 32767, &t->priority));
	case TASK_NICE:
		return took(t->has_nice = args_int(f, "--nice", value, -20, 19, &t->nice));
	case TASK_RETRIES:
		return took(args_int(f, "--retries", value, 0, 1000000, &t->retries));
	case TASK_AFTER:
		return took(args_ids(f, "--after", value, &t->after, &t->after_count));
	case TASK_LIMIT:
		return take_limit(t, value);
	default:
		return take_text(t, key, value);
	}
}

/* ---- for the daemon ---- */

static bool
same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

/* Whether -e says something else about it. */
static bool
is_overridden(const struct task *t, const char *entry)
{
	for (size_t i = 0; i < t->env_count; i++)
		if (same_name(entry, t->env[i]))
			return true;
	return false;
}

static bool
is_last_of_its_name(const struct task *t, size_t i)
{
	for (size_t j = i + 1; j < t->env_count; j++)
		if (same_name(t->env[i], t->env[j]))
			return false;
	return true;
}

/* What tells a task who it is does not go to its children: they are told by the daemon. */
static bool
is_ours(const char *entry)
{
	static const char *const names[] = { "FUTURED_ID", "FUTURED_ATTEMPT", "FUTURED_TASK", NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		if (same_name(entry, names[i]))
			return true;
	return false;
}

static void
pack_entry(struct futured_pack *p, const char *entry)
{
	size_t name = strcspn(entry, "=");

	futured_packf(p, "St", entry, name, entry + name + 1);
}

/* The caller's own, where it is sent at all, under what -e says. */
static void
set_env(struct task *t, struct futured_options *o, bool send)
{
	struct futured_pack *entries = need(futured_pack_new()), *p = need(futured_pack_new());
	struct futured_value cursor, item;
	size_t n = 0;

	for (char **e = environ; send && *e != NULL; e++)
		if (strchr(*e, '=') != NULL && **e != '=' && !is_ours(*e) && !is_overridden(t, *e)) {
			pack_entry(entries, *e);
			n++;
		}
	for (size_t i = 0; i < t->env_count; i++)
		if (is_last_of_its_name(t, i)) {
			pack_entry(entries, t->env[i]);
			n++;
		}
	futured_pack_map(p, n);
	for (cursor = futured_pack_value(entries); futured_value_next(&cursor, &item);)
		futured_pack_copy(p, item);
	if (n > 0)
		futured_options_set(o, "env", "v", futured_pack_value(p));
	futured_pack_free(entries);
	futured_pack_free(p);
}

/* A directory that the daemon can make sense of. */
static bool
set_cwd(struct task *t, struct futured_options *o, bool send)
{
	char here[PATH_MAX], path[2 * PATH_MAX];

	if (t->cwd == NULL && !send)
		return true;
	if (t->cwd != NULL && (*t->cwd == '/' || !send)) {
		futured_options_set(o, "cwd", "t", t->cwd);
		return true;
	}
	if (getcwd(here, sizeof here) == NULL) {
		fut_say(t->fut, "cannot tell where we are: %s", strerror(errno));
		return false;
	}
	if (t->cwd == NULL)
		snprintf(path, sizeof path, "%s", here);
	else
		snprintf(path, sizeof path, "%s/%s", here, t->cwd);
	futured_options_set(o, "cwd", "t", path);
	return true;
}

static void
set_limits(struct task *t, struct futured_options *o)
{
	struct futured_pack *p = need(futured_pack_new());

	futured_pack_map(p, t->limit_count);
	for (size_t i = 0; i < t->limit_count; i++) {
		size_t name = strcspn(t->limits[i], "=");
		uint64_t n = 0;

		args_size(t->fut, "--limit", t->limits[i] + name + 1, &n);
		if (name == 4 && memcmp(t->limits[i], "cpus", 4) == 0) /* the only one with a fraction */
			futured_packf(p, "Sd", t->limits[i], name, strtod(t->limits[i] + name + 1, NULL));
		else
			futured_packf(p, "Su", t->limits[i], name, n);
	}
	if (t->limit_count > 0)
		futured_options_set(o, "limits", "v", futured_pack_value(p));
	futured_pack_free(p);
}

static void
set_lists(struct task *t, struct futured_options *o)
{
	struct futured_pack *p = need(futured_pack_new());

	if (t->tag_count > 0) {
		futured_pack_array(p, t->tag_count);
		for (size_t i = 0; i < t->tag_count; i++)
			futured_pack_str(p, t->tags[i]);
		futured_options_set(o, "tags", "v", futured_pack_value(p));
	}
	if (t->after_count > 0) {
		futured_pack_reset(p);
		futured_pack_array(p, t->after_count);
		for (size_t i = 0; i < t->after_count; i++)
			futured_pack_uint(p, t->after[i]);
		futured_options_set(o, "after", "v", futured_pack_value(p));
	}
	futured_pack_free(p);
}

static void
set_seconds(struct futured_options *o, const char *key, double seconds)
{
	if (seconds >= 0)
		futured_options_set(o, key, "d", seconds);
}

static void
set_texts(struct task *t, struct futured_options *o)
{
	if (t->name != NULL)
		futured_options_set(o, "name", "s", t->name);
	if (t->key != NULL)
		futured_options_set(o, "key", "s", t->key);
}

struct futured_options *
task_options(struct task *t)
{
	struct futured_options *o = need(futured_options_new());
	bool own = futured_is_own(t->fut->c);
	mode_t mask;

	set_texts(t, o);
	set_lists(t, o);
	set_seconds(o, "timeout", t->timeout);
	set_seconds(o, "deadline", t->deadline);
	set_seconds(o, "delay", t->delay);
	set_seconds(o, "retry_delay", t->retry_delay);
	set_seconds(o, "retain", t->retain);
	if (t->has_priority)
		futured_options_set(o, "priority", "I", t->priority);
	if (t->retries > 0)
		futured_options_set(o, "retries", "I", t->retries);
	if (t->has_nice)
		futured_options_set(o, "nice", "I", t->nice);
	if (t->block)
		futured_options_set(o, "block", "b", 1);
	set_limits(t, o);
	set_env(t, o, own && !t->env_clear);
	if (own) {
		mask = umask(077);
		umask(mask);
		futured_options_set(o, "umask", "i", (int)mask);
	}
	if (set_cwd(t, o, own))
		return o;
	futured_options_free(o);
	return NULL;
}

/* The operands of --shell are words of one line, as ssh takes them. */
static char *
joined(char **operands, int count)
{
	char *text = NULL;
	size_t size;
	FILE *out = need(open_memstream(&text, &size));

	for (int i = 0; i < count; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", operands[i]);
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

const char *
task_command(const struct task *t, char **operands, int count, struct futured_pack *args)
{
	char *line;

	if (t->shell) {
		line = joined(operands, count);
		futured_packf(args, "[st]", "-c", line);
		free(line);
		return "/bin/sh";
	}
	futured_pack_array(args, (size_t)count - 1);
	for (int i = 1; i < count; i++)
		futured_pack_text(args, operands[i], strlen(operands[i]));
	return operands[0];
}

/* ---- refusals ---- */

int
task_refused(struct fut *f, const char *pool, enum futured_status status, const struct futured_reply *reply)
{
	char *text = need(strdup(futured_error_text(f->c))), *kind = status == FUTURED_UNSUPPORTED ? pools_kind(f, pool) : NULL;
	int result = fut_failed(f);

	if (kind != NULL && strcmp(kind, "command") != 0)
		fut_error(f, status, "pool %s is of kind %s: it runs functions, not commands; `fut call %s FN ARG…` calls one", pool, kind, pool);
	else if (reply != NULL)
		result = fut_refused(f, reply);
	else if (status == FUTURED_UNKNOWN_POOL)
		result = pools_unknown(f, pool);
	else if (status < FUTURED_TASK && !f->json)
		fut_say(f, "%s: %s", futured_status_name(status), text);
	else
		fut_error(f, status, "%s", text);
	free(text);
	free(kind);
	return result;
}

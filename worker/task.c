/* The strings of a message are not terminated, so they are copied: into one piece of memory that is reserved beforehand. A str
 * or bin of n bytes takes at least n + 1 bytes in the message, hence what the message has left is always enough, and pointers
 * into it stay good. */
#include "worker/task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	STRING_MAX = 128 * 1024 - 1, /* the kernel takes no longer argument or environment string (MAX_ARG_STRLEN) */
	UMASK_MAX = 0777,
	NICE_MAX = 39,
	KEEP_MAX = 1024 * 1024, /* more than that is not kept for the next task */
};

/* Where programs are looked for when the environment has no PATH. */
static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

struct limit_name {
	const char *name;
	int resource;
};

static const struct limit_name limit_names[] = {
	{ "memory", RLIMIT_AS },
	{ "cpu", RLIMIT_CPU },
	{ "files", RLIMIT_NOFILE },
	{ "file_size", RLIMIT_FSIZE },
	{ "core", RLIMIT_CORE },
	{ "stack", RLIMIT_STACK },
	{ "processes", RLIMIT_NPROC },
	{ "cpus", PROCESS_LIMIT_CPUS },
};

void
task_init(struct task *t)
{
	memset(t, 0, sizeof *t);
	buf_init(&t->text);
	buf_init(&t->pointers);
}

void
task_clear(struct task *t)
{
	buf_clear(&t->text);
	buf_clear(&t->pointers);
	task_init(t);
}

/* A terminated copy in t->text. */
static char *
copy(struct task *t, const char *s, size_t len)
{
	char *place = (char *)t->text.data + t->text.len;

	memcpy(place, s, len);
	place[len] = '\0';
	t->text.len += len + 1;
	return place;
}

/* The next str or bin, checked and copied. `what` and `index` name it in the sentence. */
static char *
take(struct task *t, struct reader *r, const char *what, size_t index, char *why, size_t why_size)
{
	const char *s;
	size_t len;

	if (!read_text(r, &s, &len)) {
		snprintf(why, why_size, "%s %zu: expected str or bin, got %s", what, index, reader_type_name(reader_peek(r)));
		return NULL;
	}
	if (memchr(s, '\0', len) != NULL) {
		snprintf(why, why_size, "%s %zu contains a NUL byte", what, index);
		return NULL;
	}
	if (len > STRING_MAX) {
		snprintf(why, why_size, "%s %zu is longer than the 128 KiB that the kernel passes to a program", what, index);
		return NULL;
	}
	return copy(t, s, len);
}

static bool
add_pointer(struct task *t, char *p)
{
	return buf_append(&t->pointers, &p, sizeof p);
}

static bool
read_argv(struct task *t, const struct run *run, char *why, size_t why_size)
{
	struct reader r = run->args;
	char *arg;

	if (run->fn_len == 0 || memchr(run->fn, '\0', run->fn_len) != NULL || run->fn_len > STRING_MAX) {
		snprintf(why, why_size, "fn: expected the name of a program, got %s",
		         run->fn_len == 0 ? "an empty one" : "one that cannot be a file's");
		return false;
	}
	add_pointer(t, copy(t, run->fn, run->fn_len));
	for (uint32_t i = 0; i < run->arg_count; i++) {
		arg = take(t, &r, "argument", i, why, why_size);
		if (arg == NULL)
			return false;
		add_pointer(t, arg);
	}
	add_pointer(t, NULL);
	return true;
}

static bool
read_env(struct task *t, struct reader *r, char *why, size_t why_size)
{
	uint32_t count;
	char *entry;

	if (!read_array(r, &count)) {
		snprintf(why, why_size, "env: expected an array, got %s", reader_type_name(reader_peek(r)));
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		entry = take(t, r, "env", i, why, why_size);
		if (entry == NULL)
			return false;
		if (entry[0] == '=' || strchr(entry, '=') == NULL) {
			snprintf(why, why_size, "env %u: expected NAME=value", (unsigned)i);
			return false;
		}
		if (strncmp(entry, "PATH=", 5) == 0 && t->plan.path == default_path)
			t->plan.path = entry + 5; /* the first, as getenv finds it */
		add_pointer(t, entry);
	}
	return true;
}

static bool
read_cwd(struct task *t, struct reader *r, char *why, size_t why_size)
{
	t->plan.cwd = take(t, r, "cwd", 0, why, why_size);
	if (t->plan.cwd != NULL && t->plan.cwd[0] != '\0')
		return true;
	snprintf(why, why_size, "cwd: expected the name of a directory");
	return false;
}

static bool
read_whole_number(struct reader *r, const char *what, int64_t least, int64_t most, int64_t *v, char *why, size_t why_size)
{
	if (read_int(r, v) && *v >= least && *v <= most)
		return true;
	snprintf(why, why_size, "%s: expected %lld to %lld", what, (long long)least, (long long)most);
	return false;
}

/* One limit. The hard one is set as well, or the task could lift it; for `cpu` one second higher, so that the task is told by
 * SIGXCPU before it is killed. */
static bool
read_limit(struct task *t, struct reader *r, char *why, size_t why_size)
{
	struct process_limit *limit;
	const char *name;
	size_t len, i, names = sizeof limit_names / sizeof limit_names[0];
	double v;

	if (!read_str(r, &name, &len)) {
		snprintf(why, why_size, "limits: expected str keys");
		return false;
	}
	for (i = 0; i < names; i++)
		if (strlen(limit_names[i].name) == len && memcmp(limit_names[i].name, name, len) == 0)
			break;
	if (i == names || t->plan.limit_count == PROCESS_LIMITS_MAX) {
		snprintf(why, why_size, "limits: no limit is called %.*s, or it was given twice", (int)(len < 64 ? len : 64), name);
		return false;
	}
	if (!read_number(r, &v) || !(v >= 0 && v < (limit_names[i].resource == PROCESS_LIMIT_CPUS ? 0x1p43 : 0x1p63))) {
		snprintf(why, why_size, "limits: %s: expected a number from 0 to 2^63", limit_names[i].name);
		return false;
	}
	limit = &t->plan.limit[t->plan.limit_count++];
	limit->name = limit_names[i].name;
	limit->resource = limit_names[i].resource;
	if (limit->resource == PROCESS_LIMIT_CPUS)
		v *= 1e6;
	limit->value.rlim_cur = (rlim_t)ceil(v);
	limit->value.rlim_max = limit->value.rlim_cur + (limit->resource == RLIMIT_CPU ? 1 : 0);
	return true;
}

static bool
read_limits(struct task *t, struct reader *r, char *why, size_t why_size)
{
	uint32_t pairs;

	if (!read_map(r, &pairs)) {
		snprintf(why, why_size, "limits: expected a map, got %s", reader_type_name(reader_peek(r)));
		return false;
	}
	while (pairs-- > 0)
		if (!read_limit(t, r, why, why_size))
			return false;
	return true;
}

static bool
read_stdin(struct task *t, struct reader *r, char *why, size_t why_size)
{
	const char *bytes;
	bool open;

	if (read_text(r, &bytes, &t->len)) {
		t->bytes = (const uint8_t *)bytes;
		t->in = TASK_STDIN_BYTES;
		return true;
	}
	if (read_bool(r, &open)) {
		t->in = open ? TASK_STDIN_OPEN : TASK_STDIN_NONE;
		return true;
	}
	snprintf(why, why_size, "stdin: expected bin or true, got %s", reader_type_name(reader_peek(r)));
	return false;
}

/* One option; those of later versions and of other runtimes are passed over. */
static bool
read_option(struct task *t, struct reader *r, char *why, size_t why_size)
{
	int64_t v;

	if (read_is(r, "cwd"))
		return read_nil(r) || read_cwd(t, r, why, why_size);
	if (read_is(r, "env"))
		return read_nil(r) || read_env(t, r, why, why_size);
	if (read_is(r, "limits"))
		return read_nil(r) || read_limits(t, r, why, why_size);
	if (read_is(r, "stdin"))
		return read_nil(r) || read_stdin(t, r, why, why_size);
	if (read_is(r, "umask")) {
		if (read_nil(r))
			return true;
		if (!read_whole_number(r, "umask", 0, UMASK_MAX, &v, why, why_size))
			return false;
		t->plan.has_umask = true;
		t->plan.umask = (mode_t)v;
		return true;
	}
	if (read_is(r, "nice")) {
		if (read_nil(r))
			return true;
		if (!read_whole_number(r, "nice", -NICE_MAX, NICE_MAX, &v, why, why_size))
			return false;
		t->plan.nice = (int)v;
		return true;
	}
	return read_skip(r) && read_skip(r);
}

static bool
read_options(struct task *t, const struct run *run, char *why, size_t why_size)
{
	struct reader r = run->options;

	for (uint32_t i = 0; i < run->option_count; i++) {
		snprintf(why, why_size, "options: malformed");
		if (!read_option(t, &r, why, why_size))
			return false;
	}
	add_pointer(t, NULL); /* ends env, of which there may be none */
	return true;
}

/* Empties it for the next task; memory is kept unless it became much. */
static void
reuse(struct task *t)
{
	struct buf text = t->text, pointers = t->pointers;

	if (text.failed || text.cap > KEEP_MAX)
		buf_clear(&text);
	if (pointers.failed || pointers.cap > KEEP_MAX)
		buf_clear(&pointers);
	task_init(t);
	text.len = 0;
	pointers.len = 0;
	t->text = text;
	t->pointers = pointers;
}

bool
task_read(struct task *t, const struct run *run, char *why, size_t why_size)
{
	size_t room = (size_t)((const char *)run->options.end - run->fn) + 1;

	reuse(t);
	t->id = run->id;
	t->attempt = run->attempt;
	t->plan.path = default_path;
	if (!buf_reserve(&t->text, room)) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	if (!read_argv(t, run, why, why_size) || !read_options(t, run, why, why_size))
		return false;
	if (t->pointers.failed) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	t->plan.argv = (char *const *)(void *)t->pointers.data;
	t->plan.env = t->plan.argv + run->arg_count + 2;
	return true;
}

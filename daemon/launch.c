#include "daemon/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/box.h"
#include "daemon/fault.h"
#include "daemon/identity.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/program.h"
#include "daemon/run.h"
#include "proto/board.h"
#include "proto/pack.h"
#include "proto/worker.h"

enum { UMASK_DEFAULT = 022, FILES_BESIDE = 256, COMMON_MAX = 8, EXECUTABLE = 0x10 /* MFD_EXEC */ };

bool
launch_find(const char *name, char *path, size_t size)
{
	static const char *const places[] = { "/../libexec", "/../libexec/futured", "/../lib/futured" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return false;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(path, size, "%s%s/%s", self, places[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	snprintf(path, size, "%s%s/%s", self, places[0], name);
	return true;
}

/* A program named without a slash is looked for in PATH, as execvp does. */
static bool
find_program(const char *name, const char *dirs, char *path, size_t size)
{

	if (strchr(name, '/')) {
		snprintf(path, size, "%s", name);
		return true;
	}
	while (*dirs) {
		size_t len = strcspn(dirs, ":");
		snprintf(path, size, "%.*s/%s", (int)len, dirs, name);
		if (access(path, X_OK) == 0)
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return true; /* the last one tried: exec says what is wrong with it */
}

/* The Python package, beside us in the build tree or where it is installed; NULL: Python may know it by itself. */
static const char *
python_path(void)
{
	static const char *const places[] = { "/../client/python", "/../../client/python", "/../lib/futured/python" };
	static char path[PATH_MAX + 64];
	char self[PATH_MAX], module[PATH_MAX + 96];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return NULL;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(path, sizeof path, "%s%s", self, places[i]);
		snprintf(module, sizeof module, "%s/futured/worker.py", path);
		if (access(module, R_OK) == 0)
			return path;
	}
	return NULL;
}

static bool
is_python(const struct config_strings *runtime)
{
	return runtime->count == 1 && !strcmp(runtime->item[0], "python");
}

static bool
is_builtin(const struct config_strings *runtime)
{
	return !runtime->count || (runtime->count == 1 && (!strcmp(runtime->item[0], "native") || !strcmp(runtime->item[0], "lua")));
}

static char **
make_argv(const struct config_strings *runtime, const char *dirs)
{
	static char *python_item[] = { (char *)"python3", (char *)"-m", (char *)"futured.worker" };
	static const struct config_strings python = { python_item, 3 };
	if (is_python(runtime))
		runtime = &python;
	bool builtin = is_builtin(runtime);
	size_t count = builtin ? 1 : runtime->count;
	char **argv = calloc(count + 1, sizeof *argv), path[PATH_MAX + 64];

	if (!argv)
		return NULL;
	if (builtin ? launch_find("futured-worker", path, sizeof path) : find_program(runtime->item[0], dirs, path, sizeof path))
		argv[0] = strdup(path);
	for (size_t i = 1; argv[0] && i < count; i++)
		argv[i] = strdup(runtime->item[i]);
	return argv;
}

/* Whether it has a variable of that name ("NAME=value"). */
static bool
has_name(char *const *env, size_t count, const char *text)
{
	size_t len = strcspn(text, "=") + 1;

	for (size_t i = 0; i < count; i++)
		if (env[i] && !strncmp(env[i], text, len))
			return true;
	return false;
}

/* The first of a name counts, as getenv has it: what a host needs, then what the pool says, then what all have. */
static char **
make_env(const struct pool *p, unsigned slots, bool boxed)
{
	const struct config_strings *own = &p->config->env;
	const char *python = is_python(&p->config->runtime) ? python_path() : NULL;
	char *const *common = identity_env(identity_of(p->config));
	char **env = calloc(COMMON_MAX + own->count + 6, sizeof *env);
	size_t n = 0;

	if (!env)
		return NULL;
	n += asprintf(&env[n], "FUTURED_SLOTS=%u", slots) > 0;
	n += asprintf(&env[n], "FUTURED_ADDRESS=%s", run_address()) > 0;
	n += asprintf(&env[n], "FUTURED_LOCK_FD=%u", WORKER_SLOT_FD + slots) > 0;
	if (boxed)
		n += asprintf(&env[n], "FUTURED_BOX_FD=%u", WORKER_SLOT_FD + slots + 1) > 0;
	for (size_t i = 0; p->config->kind != CONFIG_COMMAND && i < own->count; i++)
		if (!has_name(env, n, own->item[i]) && (env[n] = strdup(own->item[i])))
			n++;
	if (python && !has_name(env, n, "PYTHONPATH="))
		n += asprintf(&env[n], "PYTHONPATH=%s", python) > 0;
	bool whole = p->program && p->program->env.count; /* made from the common one already, and may lack some of it */
	for (size_t i = 0; !whole && common[i]; i++)
		if (!has_name(env, n, common[i]) && (env[n] = strdup(common[i])))
			n++;
	return env;
}

static void
limit(struct become *b, int resource, uint64_t value)
{
	if (value != CONFIG_NO_LIMIT && b->limits < BECOME_LIMITS)
		b->limit[b->limits++] = (struct become_limit){ .resource = (uint32_t)resource, .value = value };
}

/* A command's limits are its own and come with it; a host of functions has them itself. */
static void
prepare_become(const struct config_pool *c, unsigned slots, const struct box *box, bool boxed, struct become *b)
{
	uint32_t fds = WORKER_SLOT_FD - WORKER_CONTROL_FD + slots + 1; /* and the lock */

	*b = (struct become){ .fds = fds, .umask = UMASK_DEFAULT, .no_new_privs = c->no_new_privs, .files = BECOME_FILES };
	if (b->files < fds + FILES_BESIDE)
		b->files = fds + FILES_BESIDE;
	if (c->kind == CONFIG_COMMAND) {
		b->fds += boxed ? WORKER_BOX_FDS : 0;
		return;
	}
	if (c->umask != CONFIG_NO_UMASK)
		b->umask = c->umask;
	b->nice = c->nice;
	if (!box || !box_holds(CONFIG_LIMIT_MEMORY))
		limit(b, RLIMIT_AS, c->limit[CONFIG_LIMIT_MEMORY]);
	if (!box || !box_holds(CONFIG_LIMIT_PROCESSES))
		limit(b, RLIMIT_NPROC, c->limit[CONFIG_LIMIT_PROCESSES]);
	limit(b, RLIMIT_NOFILE, c->limit[CONFIG_LIMIT_FILES]);
	limit(b, RLIMIT_FSIZE, c->limit[CONFIG_LIMIT_FILE_SIZE]);
	limit(b, RLIMIT_CORE, c->limit[CONFIG_LIMIT_CORE]);
	limit(b, RLIMIT_STACK, c->limit[CONFIG_LIMIT_STACK]);
}

/* A command host of another user holds descriptors of its box that this user could not open: with cgroup.procs alone it could put any process of ours
 * there, and end it. Its tasks have the same user, and so could take them from it, as from any process of theirs, from the moment of its exec on; but not
 * from one whose program they may not read. */
static int sealed = -2; /* -2: not tried */

static int
copy_program(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("futured-worker", MFD_CLOEXEC | EXECUTABLE), copy = -1;
	char self[40];
	ssize_t n = -1;

	if (to < 0 && errno == EINVAL) /* a kernel before 6.3: all are */
		to = memfd_create("futured-worker", MFD_CLOEXEC);
	while (from >= 0 && to >= 0 && (n = sendfile(to, from, NULL, 1 << 30)) > 0)
		;
	snprintf(self, sizeof self, "/proc/self/fd/%d", to);
	if (n == 0)
		copy = open(self, O_RDONLY | O_CLOEXEC); /* what is open for writing cannot be executed */
	if (copy >= 0 && fchmod(copy, 0111)) {
		close(copy);
		copy = -1;
	}
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return copy;
}

int
launch_sealed_worker(void)
{
	char path[PATH_MAX + 64];

	if (sealed != -2)
		return sealed;
	sealed = launch_find("futured-worker", path, sizeof path) ? copy_program(path) : -1;
	if (sealed < 0)
		log_warn("launcher", "no unreadable copy of futured-worker (%s): tasks of other users are killed process by process", strerror(errno));
	return sealed;
}

void
launch_forget_sealed_worker(void)
{
	log_warn("launcher", "the unreadable copy of futured-worker cannot be executed: tasks of other users are killed process by process");
	close(sealed);
	sealed = -1;
}

bool
launch_prepare(const struct pool *p, unsigned slots, const struct box *box, struct launch *out)
{
	const struct identity *i = identity_of(p->config);

	if (identity_place(i) == IDENTITY_NOBODY) {
		*out = (struct launch){ .argv = NULL };
		errno = EPERM;
		return false;
	}
	out->argv = make_argv(&p->config->runtime, identity_env(i)[0] + strlen("PATH="));
	out->identity = identity_place(i);
	bool boxed = box && p->config->kind == CONFIG_COMMAND;
	out->program = boxed && out->identity >= 0 && !FAULT(worker_readable) ? launch_sealed_worker() : -1;
	boxed = boxed && (out->identity < 0 || out->program >= 0 || FAULT(worker_readable));
	out->env = make_env(p, slots, boxed);
	out->cgroup = box && !FAULT(box_not_joined) ? box_procs(box) : -1;
	prepare_become(p->config, slots, box, boxed, &out->become);
	if (out->argv && out->argv[0] && out->env)
		return true;
	launch_clear(out);
	return false;
}

static void
free_strings(char **strings)
{
	for (size_t i = 0; strings && strings[i]; i++)
		free(strings[i]);
	free(strings);
}

void
launch_clear(struct launch *l)
{
	free_strings(l->argv);
	free_strings(l->env);
}

static void
pack_strings(struct buf *b, const struct config_strings *s)
{
	pack_array(b, s->count);
	for (size_t i = 0; i < s->count; i++)
		pack_cstr(b, s->item[i]);
}

static void
pack_options(struct buf *b, const struct config_pool *c)
{
	pack_map(b, 6);
	pack_key(b, "runtime");
	pack_strings(b, &c->runtime);
	pack_key(b, "modules");
	pack_strings(b, &c->modules);
	pack_key(b, "script");
	if (c->script)
		pack_cstr(b, c->script);
	else
		pack_nil(b);
	pack_key(b, "cwd");
	if (c->cwd)
		pack_cstr(b, c->cwd);
	else
		pack_nil(b);
	pack_key(b, "memory");
	pack_uint(b, c->memory);
	pack_key(b, "output");
	pack_uint(b, c->output);
}

void
launch_pack_hello(const struct pool *p, unsigned slots, uint64_t rings, struct buf *b)
{
	const struct config_pool *c = p->config;

	pack_map(b, 11);
	pack_key(b, "protocol");
	pack_uint(b, WORKER_PROTOCOL);
	pack_key(b, "pool");
	pack_cstr(b, p->name);
	pack_key(b, "kind");
	pack_cstr(b, pool_kind_name(p));
	pack_key(b, "slots");
	pack_uint(b, slots);
	pack_key(b, "board");
	pack_uint(b, BOARD_ENTRIES);
	pack_key(b, "rings");
	pack_uint(b, rings);
	pack_key(b, "message");
	pack_uint(b, run_host_limit());
	pack_key(b, "address");
	pack_cstr(b, run_address());
	pack_key(b, "options");
	pack_options(b, c);
	pack_key(b, "initializer");
	if (c->initializer)
		pack_cstr(b, c->initializer);
	else
		pack_nil(b);
	pack_key(b, "initargs");
	if (bytes_len(&p->initargs))
		pack_raw(b, bytes_data(&p->initargs), bytes_len(&p->initargs));
	else if (c->initargs && c->initargs_len)
		pack_raw(b, c->initargs, c->initargs_len);
	else
		pack_array(b, 0);
}

uint64_t
launch_oom_kills(void)
{
	FILE *f = fopen("/proc/vmstat", "re");
	char line[128];
	unsigned long long count = 0;

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "oom_kill %llu", &count) == 1)
			break;
	if (f)
		fclose(f);
	return count;
}

/* One futured_task per slot, one table of functions for all. Per task: find the function (the last one again, most of the
 * time), call it, turn what it said into the answer. Nothing is allocated. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pack.h"
#include "proto/worker.h"
#include "worker/crew.h"
#include "worker/native.h"
#include "worker/native_stdout.h"
#include "worker/native_table.h"
#include "worker/native_task.h"

enum { MODULES_MAX = 256, PATH_SIZE = 4096 };

/* What a slot keeps between tasks. */
struct native_slot {
	struct futured_task task;
	const struct native_table *table;
	const struct native_entry *last; /* what ran last; NULL at first */
};

static const struct native_entry *
find(struct native_slot *n, const struct run *run)
{
	const struct native_entry *e = n->last;

	if (e != NULL && e->len == run->fn_len && memcmp(e->name, run->fn, run->fn_len) == 0)
		return e;
	e = native_table_find(n->table, run->fn, run->fn_len);
	if (e != NULL)
		n->last = e;
	return e;
}

static void
native_run(struct slot *s)
{
	struct native_slot *n = s->state;
	const struct native_entry *e = find(n, &s->task);

	if (e == NULL) {
		slot_fail(s, "NameError", "no module of this pool has a function \"%.*s\"",
			(int)(s->task.fn_len < 255 ? s->task.fn_len : 255), s->task.fn);
		return;
	}
	if (slot_has_kwargs(s)) {
		slot_fail(s, "UnsupportedError", "functions in C take no keyword arguments");
		return;
	}
	native_task_begin(&n->task);
	native_task_finish(&n->task, e->call(&n->task));
	native_stdout_flush();
}

static bool
native_open(void *shared, struct host *h, struct slot *s, struct buf *error)
{
	struct native_slot *n = calloc(1, sizeof *n);

	if (n == NULL) {
		slot_pack_error(error, 0, "MemoryError", "out of memory", strlen("out of memory"));
		return false;
	}
	n->table = shared;
	n->task.slot = s;
	n->task.host = h;
	s->state = n;
	s->run = native_run;
	s->settle = native_stdout_settle;
	native_stdout_attach(s);
	return true;
}

static void
native_close(struct slot *s)
{
	native_stdout_detach(s);
	free(s->state);
	s->state = NULL;
}

static bool
load_modules(struct host *h, struct native_table *table)
{
	char path[PATH_SIZE], why[PATH_SIZE + 1024];
	struct reader r;
	const char *s;
	size_t len;
	uint32_t count;

	if (!host_option(h, "modules", &r) || !read_array(&r, &count) || count == 0 || count > MODULES_MAX) {
		host_failed(h, "ImportError", "a pool of native functions needs `modules`: a list of 1 to %d shared objects", MODULES_MAX);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!read_text(&r, &s, &len) || len == 0 || len >= sizeof path || memchr(s, '\0', len) != NULL) {
			host_failed(h, "ImportError", "`modules`: element %u is not the path of a file", i + 1);
			return false;
		}
		memcpy(path, s, len);
		path[len] = '\0';
		if (!native_table_load(table, path, why, sizeof why)) {
			host_failed(h, "ImportError", "%s", why);
			return false;
		}
	}
	return true;
}

/* The names for `ready`, in the modules' order; NULL without memory, and then the host just does not say. */
static const char **
names_of(const struct native_table *table)
{
	const char **names = calloc(table->count, sizeof *names);
	size_t count = 0;

	for (size_t m = 0; names != NULL && m < table->modules; m++)
		for (const struct futured_function *f = table->module[m].module->functions; f->name != NULL; f++)
			names[count++] = f->name;
	return names;
}

int
native_serve(struct host *h)
{
	bool per_thread = strcmp(h->kind, "thread") == 0;
	struct crew_runtime runtime = {
		.ready = {.name = "native", .depth = BOARD_ENTRIES, .ring = true, .grow = per_thread},
		.open = native_open,
		.close = native_close,
	};
	struct native_table table;
	const char **names;
	int status = 1;

	if (!native_stdout_open(per_thread)) {
		host_failed(h, "OSError", "cannot capture what tasks print: %s", strerror(errno));
		return 1;
	}
	native_table_init(&table);
	if (load_modules(h, &table)) {
		names = names_of(&table);
		runtime.shared = &table;
		runtime.ready.functions = names;
		runtime.ready.function_count = table.count;
		status = crew_serve(h, &runtime);
		free(names);
	}
	native_table_clear(&table);
	return status;
}

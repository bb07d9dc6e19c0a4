/* Loading modules. What a module says of itself is checked before anything of it is called: a shared object that is no module,
 * one for another ABI, or a table with holes is told apart here. One that crashes in a constructor or in init takes
 * the host with it; the daemon sees that, and what it wrote to descriptor 2. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/native_table.h"

enum { NAME_MAX_LEN = 255, FUNCTIONS_MAX = 65536 };

void
native_table_init(struct native_table *t)
{
	memset(t, 0, sizeof *t);
}

void
native_table_clear(struct native_table *t)
{
	while (t->modules > 0) {
		struct native_module *m = &t->module[--t->modules];

		if (m->module->fini != NULL)
			m->module->fini();
		free(m->path);
	}
	free(t->module);
	free(t->slot);
	native_table_init(t);
}

/* FNV-1a: names are short, and a table has tens of them. */
static uint32_t
hash_of(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

/* Where the name is, or where it would go. */
static struct native_entry *
probe(const struct native_table *t, const char *name, size_t len, uint32_t hash)
{
	size_t i = hash & (t->size - 1);

	while (t->slot[i].name != NULL) {
		const struct native_entry *e = &t->slot[i];

		if (e->hash == hash && e->len == len && memcmp(e->name, name, len) == 0)
			break;
		i = (i + 1) & (t->size - 1);
	}
	return &t->slot[i];
}

const struct native_entry *
native_table_find(const struct native_table *t, const char *name, size_t len)
{
	const struct native_entry *e;

	if (t->count == 0)
		return NULL;
	e = probe(t, name, len, hash_of(name, len));
	return e->name == NULL ? NULL : e;
}

static bool
grow(struct native_table *t)
{
	struct native_table bigger = *t;

	bigger.size = t->size == 0 ? 64 : t->size * 2;
	bigger.slot = calloc(bigger.size, sizeof *bigger.slot);
	if (bigger.slot == NULL)
		return false;
	for (size_t i = 0; i < t->size; i++)
		if (t->slot[i].name != NULL)
			*probe(&bigger, t->slot[i].name, t->slot[i].len, t->slot[i].hash) = t->slot[i];
	free(t->slot);
	*t = bigger;
	return true;
}

static bool
add(struct native_table *t, const struct futured_function *f, const char *path, char *why, size_t size)
{
	size_t len = f->name == NULL ? 0 : strnlen(f->name, NAME_MAX_LEN + 1);
	struct native_entry *e;

	if (len == 0 || len > NAME_MAX_LEN || f->call == NULL) {
		snprintf(why, size, "module %s: a function's name is empty or longer than %d bytes, or its pointer is NULL", path,
			NAME_MAX_LEN);
		return false;
	}
	if (2 * t->count >= t->size && !grow(t)) {
		snprintf(why, size, "module %s: out of memory", path);
		return false;
	}
	e = probe(t, f->name, len, hash_of(f->name, len));
	if (e->name != NULL) {
		snprintf(why, size, "module %s: the function \"%s\" is already in %s", path, f->name, e->module);
		return false;
	}
	*e = (struct native_entry){f->name, len, hash_of(f->name, len), f->call, path};
	t->count++;
	return true;
}

/* The module that the shared object describes, checked. */
static const struct futured_module *
module_of(void *object, const char *path, char *why, size_t size)
{
	const struct futured_module *m = dlsym(object, "futured_module");

	if (m == NULL)
		snprintf(why, size, "module %s: it has no symbol \"futured_module\", so it is no task module", path);
	else if (m->abi != FUTURED_TASK_ABI)
		snprintf(why, size, "module %s: it was built for ABI %u of futured_task.h, this host has %u", path, (unsigned)m->abi,
			(unsigned)FUTURED_TASK_ABI);
	else if (m->size < sizeof *m)
		snprintf(why, size, "module %s: its futured_module has %u bytes, expected %zu", path, (unsigned)m->size, sizeof *m);
	else if (m->functions == NULL || m->functions[0].name == NULL)
		snprintf(why, size, "module %s: it has no functions", path);
	else
		return m;
	return NULL;
}

static bool
keep(struct native_table *t, const char *path, const struct futured_module *m)
{
	struct native_module *more = realloc(t->module, (t->modules + 1) * sizeof *more);
	char *copy = strdup(path);

	if (more != NULL)
		t->module = more;
	if (more == NULL || copy == NULL) {
		free(copy);
		return false;
	}
	t->module[t->modules++] = (struct native_module){copy, m};
	return true;
}

/* Puts its functions into the table. The module must stay: nothing undoes this. */
static bool
add_all(struct native_table *t, const struct futured_module *m, const char *path, char *why, size_t size)
{
	for (size_t i = 0; m->functions[i].name != NULL; i++) {
		if (i >= FUNCTIONS_MAX) {
			snprintf(why, size, "module %s: its table of functions has no end", path);
			return false;
		}
		if (!add(t, &m->functions[i], path, why, size))
			return false;
	}
	return true;
}

bool
native_table_load(struct native_table *t, const char *path, char *why, size_t size)
{
	/* Its own symbols stay its own: two modules may have helpers of the same name. */
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct futured_module *m;
	const char *refused = NULL;

	if (object == NULL) {
		snprintf(why, size, "module %s: %s", path, dlerror());
		return false;
	}
	m = module_of(object, path, why, size);
	if (m == NULL)
		goto fail_object;
	if (m->init != NULL)
		refused = m->init();
	if (refused != NULL) {
		snprintf(why, size, "module %s: %s", path, refused);
		goto fail_object;
	}
	if (!keep(t, path, m)) {
		snprintf(why, size, "module %s: out of memory", path);
		return false;
	}
	return add_all(t, m, t->module[t->modules - 1].path, why, size);

fail_object:
	dlclose(object);
	return false;
}

/* The task modules of a native host, and their functions by name.
 *
 * Filled before the host says `ready`, read-only from then on: any thread may look names up. */
#ifndef FUTURED_WORKER_NATIVE_TABLE_H
#define FUTURED_WORKER_NATIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/futured_task.h"

struct native_entry {
	const char *name; /* the module's */
	size_t len;
	uint32_t hash;
	futured_function_fn *call;
	const char *module; /* the path it came from, the table's */
};

struct native_table {
	struct native_entry *slot; /* open addressing; an empty one has name NULL */
	size_t size;               /* a power of two, more than count */
	size_t count;
	struct native_module {
		char *path;
		const struct futured_module *module;
	} *module;
	size_t modules;
};

void native_table_init(struct native_table *t);
/* Calls every module's fini, last loaded first. Modules are not unloaded: threads and atexit handlers may still be theirs. */
void native_table_clear(struct native_table *t);
/* Loads a module, calls its init and adds its functions. On failure a sentence that names the module is written to why. */
bool native_table_load(struct native_table *t, const char *path, char *why, size_t size);
/* NULL if there is none. */
const struct native_entry *native_table_find(const struct native_table *t, const char *name, size_t len);

#endif

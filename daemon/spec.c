#include "daemon/spec.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/store.h"

struct spec *
spec_hold(struct spec *spec)
{
	spec->count++;
	return spec;
}

/* What counts as held from now on, instead of what did. */
static void
count_as_held(struct spec *spec, uint64_t apart, uint64_t charged)
{
	bytes_account((int64_t)(apart - spec->apart));
	if (spec->owner)
		spec->owner->bytes += charged - spec->charged;
	spec->apart = apart;
	spec->charged = charged;
}

void
spec_charge(struct spec *spec)
{
	uint64_t apart = spec->fn_len + (spec->name ? strlen(spec->name) : 0) + bytes_len(&spec->after) + bytes_len(&spec->run) + bytes_len(&spec->env);

	apart = apart > SPEC_FREE ? apart - SPEC_FREE : 0;
	count_as_held(spec, apart, apart + bytes_len(&spec->stdin_bytes) + bytes_len(&spec->kwargs) + bytes_len(&spec->tags));
}

struct spec *
spec_unbound(struct spec *from)
{
	if (!from->bound_to && !from->watch && !from->block && from->settings == from->pool->settings)
		return spec_hold(from);
	struct spec *spec = malloc(sizeof *spec);
	if (!spec)
		return NULL;
	*spec = *from;
	spec->count = 1;
	spec->row = spec->gate = 0;
	spec->charged = spec->apart = 0; /* the original is, as long as there is one that shares its bytes */
	spec->original = spec_hold(from);
	spec->bound_to = 0;
	spec->watch = spec->block = false;
	pool_hold(spec->pool);
	owner_hold(spec->owner);
	spec->tags = bytes_share(from->tags);
	spec->kwargs = bytes_share(from->kwargs);
	spec->after = bytes_share(from->after);
	spec->run = bytes_share(from->run);
	spec->env = bytes_share(from->env);
	spec->stdin_bytes = bytes_share(from->stdin_bytes);
	return spec;
}

void
spec_drop(struct spec *spec)
{
	if (!spec || --spec->count)
		return;
	store_spec_gone(spec);
	pool_drop(spec->pool);
	count_as_held(spec, 0, 0);
	owner_drop(spec->owner);
	if (!spec->original) {
		free(spec->fn);
		free(spec->name);
	}
	bytes_drop(&spec->tags);
	bytes_drop(&spec->kwargs);
	bytes_drop(&spec->after);
	bytes_drop(&spec->run);
	bytes_drop(&spec->env);
	bytes_drop(&spec->stdin_bytes);
	spec_drop(spec->original);
	free(spec);
}

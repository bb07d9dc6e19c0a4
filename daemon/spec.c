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

void
spec_charge(struct spec *spec)
{
	spec->charged = bytes_len(&spec->stdin_bytes) + bytes_len(&spec->kwargs);
	spec->owner->bytes += spec->charged;
}

struct spec *
spec_unbound(struct spec *from)
{
	if (!from->bound_to && !from->watch && !from->block)
		return spec_hold(from);
	struct spec *spec = malloc(sizeof *spec);
	if (!spec)
		return NULL;
	*spec = *from;
	spec->count = 1;
	spec->row = spec->gate = 0;
	spec->charged = 0; /* the bytes are shared */
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
	spec->fn = strndup(from->fn, from->fn_len);
	spec->name = from->name ? strdup(from->name) : NULL;
	if (spec->fn && (spec->name || !from->name))
		return spec;
	spec_drop(spec);
	return NULL;
}

void
spec_drop(struct spec *spec)
{
	if (!spec || --spec->count)
		return;
	store_spec_gone(spec);
	pool_drop(spec->pool);
	if (spec->owner)
		spec->owner->bytes -= spec->charged;
	owner_drop(spec->owner);
	free(spec->fn);
	free(spec->name);
	bytes_drop(&spec->tags);
	bytes_drop(&spec->kwargs);
	bytes_drop(&spec->after);
	bytes_drop(&spec->run);
	bytes_drop(&spec->env);
	bytes_drop(&spec->stdin_bytes);
	free(spec);
}

/* The pools that there are. */
#include "client/fut/pools.h"

#include <stdlib.h>
#include <string.h>

#include "client/fut/writer.h"

char *
pools_kind(struct fut *f, const char *name)
{
	struct futured_value inside, map, v;
	struct futured_reply *reply = NULL;
	char *kind = NULL;
	size_t n;

	if (futured_callf(f->c, &reply, "pools", "") == FUTURED_OK && futured_value_array(futured_reply_value(reply), &n, &inside))
		while (kind == NULL && futured_value_next(&inside, &map))
			if (futured_value_find(map, "name", &v) && futured_value_is_str(v, name))
				kind = cell_text(map, "kind");
	futured_reply_free(reply);
	return kind;
}

bool
pools_is_command(struct fut *f, const char *name)
{
	char *kind = pools_kind(f, name);
	bool is = kind != NULL && strcmp(kind, "command") == 0;

	free(kind);
	return is;
}

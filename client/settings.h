#ifndef FUTURED_CLIENT_SETTINGS_H
#define FUTURED_CLIENT_SETTINGS_H

#include "client/packer.h"

/* Options of a call: the pairs of a map whose size is known only when it is used. */
struct futured_options {
	struct futured_pack pairs;
	size_t count;
};

bool options_has(const struct futured_options *o, const char *key);
/* A copy of its own; `o` NULL: an empty one. NULL: no memory. */
struct futured_options *options_copy(const struct futured_options *o);

#endif

#ifndef FUTURED_CLIENT_SETTINGS_H
#define FUTURED_CLIENT_SETTINGS_H

#include "client/packer.h"

/* Options of a call: the pairs of a map whose size is known only when it is used. */
struct futured_options {
	struct futured_pack pairs;
	size_t count;
};

#endif

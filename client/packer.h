/* What the rest of the library sees of a pack. */
#ifndef FUTURED_CLIENT_PACKER_H
#define FUTURED_CLIENT_PACKER_H

#include "client/futured.h"
#include "proto/buf.h"

struct futured_pack {
	struct buf buf;
	uint64_t owed;   /* values that open containers still want; which one does not matter */
	uint64_t values; /* whole or begun at the top */
	bool wrong;      /* a format was wrong, or a container got too few */
};

void packer_init(struct futured_pack *p);
void packer_clear(struct futured_pack *p);

#endif

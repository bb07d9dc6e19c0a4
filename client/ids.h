/* Arrays of ids on the wire: runs of consecutive ones are written as pairs [first, count]. */
#ifndef FUTURED_CLIENT_IDS_H
#define FUTURED_CLIENT_IDS_H

#include "client/futured.h"

/* Appends one value: the array. The order stays. */
void ids_pack(struct futured_pack *p, const uint64_t *ids, size_t n);

#endif

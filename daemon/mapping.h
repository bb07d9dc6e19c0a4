/* A map: one future per element, all accepted or none, in one step for everybody who looks, in slices for the loop. */
#ifndef FUTURED_DAEMON_MAPPING_H
#define FUTURED_DAEMON_MAPPING_H

#include "daemon/submission.h"

/* Goes on with a map that may enter; answers the request. The submission stays the caller's, its contents are taken as needed. */
void mapping_begin(struct request *r, struct submission *s);

#endif

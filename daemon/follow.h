/* Following outputs: a connection is told what a task prints, as it prints it and as the connection has room. */
#ifndef FUTURED_DAEMON_FOLLOW_H
#define FUTURED_DAEMON_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/output.h"

struct conn;

/* From these offsets on; UINT64_MAX: not this stream. False without memory. */
bool follow_add(struct conn *c, struct future *f, const uint64_t offset[OUTPUT_STREAMS]);
/* Says what there is to say and room for. */
void follow_say(struct conn *c);
/* Whether there is something to say of a task that is over. */
bool follow_is_owed(const struct conn *c);
void follow_clear(struct conn *c);

#endif

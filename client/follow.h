/* Who follows the output of a future. */
#ifndef FUTURED_CLIENT_FOLLOW_H
#define FUTURED_CLIENT_FOLLOW_H

#include "client/core.h"

/* An `output` notification; false if nobody follows that future. */
bool follow_output(struct core *k, const struct message *m);
/* Another connection to the same daemon: goes on where it was. */
enum futured_status follow_resume(struct core *k);
/* The connection has ended: tells everybody. */
void follow_end(struct core *k, const struct futured_reply *reply);
void follow_clear(struct core *k);

/* As futured_follow. */
enum futured_status follow_add(struct core *k, uint64_t id, const char *streams, uint64_t offset,
	void (*heard)(struct futured *c, uint64_t id, const struct futured_output *output, void *data), void *data);

#endif

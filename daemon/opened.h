/* Pools that clients opened, as they are stored: a MessagePack map of what open_pool said. */
#ifndef FUTURED_DAEMON_OPENED_H
#define FUTURED_DAEMON_OPENED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

struct pool;
struct replay_text;

void opened_pack(const struct pool *p, struct buf *b);
/* Opens it again, under its name. False if the pool that it is like is not there, if another has its name, or something of it is damaged, or without
 * memory. */
bool opened_restore(uint64_t row, struct replay_text name, struct replay_text what);

#endif

/* Pools that clients opened, as they are stored: a MessagePack map of what open_pool said. */
#ifndef FUTURED_DAEMON_OPENED_H
#define FUTURED_DAEMON_OPENED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

struct pool;

void opened_pack(const struct pool *p, struct buf *b);
/* Opens it again, under its name. False if the pool that it is like is not there, or without memory. */
bool opened_restore(uint64_t row, const char *name, size_t name_len, const uint8_t *what, size_t len);

#endif

/* Listeners: where clients connect. A Unix socket has its permissions before anybody can see it; a stale one is told from a live one. */
#ifndef FUTURED_DAEMON_LISTENER_H
#define FUTURED_DAEMON_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/address.h"

/* Listens there. False, with a sentence. */
bool listener_add(const struct address *a, char *why, size_t why_size);
/* Stops listening everywhere and removes the sockets. */
void listener_close_all(void);

#endif

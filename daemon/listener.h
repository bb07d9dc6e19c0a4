/* Listeners: where clients connect. A Unix socket has its permissions before anybody can see it; a stale one is told from a live one. */
#ifndef FUTURED_DAEMON_LISTENER_H
#define FUTURED_DAEMON_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/address.h"

/* What Unix sockets are made with; gid UINT32_MAX is the daemon's. */
void listener_set_permissions(uint32_t mode, uint32_t gid);
/* Whether others than our own user and root can connect anywhere: to a Unix socket that its mode opens to them, or over a network. */
bool listener_is_shared(void);
/* Listens there. False, with a sentence. */
bool listener_add(const struct address *a, char *why, size_t why_size);
/* Listens at a socket that listens already, and whose file is somebody else's. Takes fd, also on failure. */
bool listener_adopt(enum address_type type, int fd, char *why, size_t why_size);
/* Stops listening everywhere and removes the sockets that it made. */
void listener_close_all(void);

#endif

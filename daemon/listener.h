/* Listeners: where clients connect. A Unix socket has its permissions before anybody can see it; a stale one is told from a live one. */
#ifndef FUTURED_DAEMON_LISTENER_H
#define FUTURED_DAEMON_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "proto/address.h"

struct ssl_ctx_st;

/* What Unix sockets are made with; gid UINT32_MAX is the daemon's. */
void listener_set_permissions(uint32_t mode, uint32_t gid);
/* Whether others than our own user and root can connect anywhere: to a Unix socket that its mode opens to them, or over a network. */
bool listener_is_shared(void);
/* Listens there, as `config` says, which is kept (NULL: a Unix socket for our own user). False, with a sentence. */
bool listener_add(const struct address *a, const struct config_listen *config, char *why, size_t why_size);
/* Listens at a socket that listens already, and whose file is somebody else's (NULL: a Unix socket). Takes fd, also on failure. */
bool listener_adopt(int fd, const struct config_listen *config, char *why, size_t why_size);
/* Reads the certificates anew, to be used from listener_commit on. False, with a sentence; all is then as before. */
bool listener_prepare(const struct config *c, char *why, size_t why_size);
void listener_commit(const struct config *c);
/* Forgets what was prepared. */
void listener_discard(void);
/* What holds for an address now, and its TLS (NULL: none); NULL if nobody listens there. */
const struct config_listen *listener_config(const char *address, struct ssl_ctx_st **context);
/* Stops listening everywhere and removes the sockets that it made. */
void listener_close_all(void);

#endif

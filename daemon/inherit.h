/* Sockets that the service manager opened for us (sd_listen_fds(3)): socket activation.
 *
 * They come in any order, so they are known by name (FileDescriptorName=): `unix`, `tcp` and `tls` for clients, `http` for who watches. A Unix socket
 * whose name says nothing (no name, or that of its unit, NAME.socket) is for clients. They are the manager's: we never remove their files. */
#ifndef FUTURED_DAEMON_INHERIT_H
#define FUTURED_DAEMON_INHERIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INHERIT_MAX = 64 };

enum inherit_use { INHERIT_UNIX, INHERIT_TCP, INHERIT_TLS, INHERIT_HTTP, INHERIT_USES };

/* Takes them, and what told of them out of the environment. False, with a sentence: one of them is not what its name says. */
bool inherit_open(char *why, size_t why_size);
/* One that was not taken yet, and is the caller's from now on; -1: none. With a path, only a Unix socket that is bound there; with a port, only a
 * network socket of that port. */
int inherit_take(enum inherit_use use, const char *path, uint16_t port);
/* The path of the first Unix socket for clients, taken or not; NULL: none. */
const char *inherit_unix_path(void);
/* Closes those that nobody took. */
void inherit_close(void);

#endif

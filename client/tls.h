/* TLS for a connection to a daemon: OpenSSL, which is loaded when the first tls: address is connected to, and not before. */
#ifndef FUTURED_CLIENT_TLS_H
#define FUTURED_CLIENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/futured.h"

struct tls;

struct tls_files {
	const char *ca;   /* who may have signed the daemon's certificate; NULL: whom the system trusts */
	const char *cert; /* our own; NULL: none */
	const char *key;  /* NULL: in cert */
};

/* Shakes hands on a connected, non-blocking socket, which stays the caller's; waits for it, `timeout` seconds at most. The daemon's
 * certificate must be good, and for this host. *out is new on FUTURED_OK; else `why` has a sentence: FUTURED_AUTHENTICATION for
 * certificates, on either side, FUTURED_UNSUPPORTED without OpenSSL. */
enum futured_status tls_connect(int fd, const char *host, const struct tls_files *files, double timeout, struct tls **out, char *why,
	size_t size);
/* Before the socket is closed. `farewell`: the other side is told that this is the end. NULL is fine. */
void tls_free(struct tls *t, bool farewell);
/* As recv and send without blocking, and without SIGPIPE. What has come is read in whole records, so that nothing is left inside if
 * room is at least 16 KiB. */
ssize_t tls_recv(struct tls *t, void *into, size_t room);
ssize_t tls_send(struct tls *t, const void *bytes, size_t len);
/* Why the last of them failed otherwise than by EAGAIN. */
const char *tls_why(const struct tls *t);

#endif

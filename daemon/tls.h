/* TLS on a socket: contexts made from a listener's files, and sessions. The only file here that knows OpenSSL's TLS.
 *
 * A session reads and writes its socket itself, without blocking, in the manner of recv and send, so that a stream needs to know of it
 * in two places only. */
#ifndef FUTURED_DAEMON_TLS_H
#define FUTURED_DAEMON_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

struct ssl_ctx_st; /* SSL_CTX */
struct tls;

/* Reads the listener's files. NULL, with a sentence that names the file. */
struct ssl_ctx_st *tls_context_new(const struct config_listen *l, char *why, size_t size);
void tls_context_drop(struct ssl_ctx_st *context);

/* A session on a connected socket, which stays the caller's and must not block. NULL without memory. It outlives the context. */
struct tls *tls_new(struct ssl_ctx_st *context, int fd);
/* Says goodbye, if there was a handshake, and frees it; before the socket is closed. NULL is fine. */
void tls_free(struct tls *t);

enum tls_step { TLS_DONE, TLS_READ, TLS_WRITE, TLS_FAILED };
/* A step of the handshake: done, or what the socket must be good for before the next, or why it failed (tls_why). */
enum tls_step tls_handshake(struct tls *t);
/* Why it failed, in a sentence. */
const char *tls_why(const struct tls *t);
/* As recv; what has come is taken in whole records, so that nothing is left inside, if room is at least 16 KiB. errno EAGAIN: see
 * tls_wants_write. */
ssize_t tls_read(struct tls *t, void *into, size_t room);
/* As send. After EAGAIN the same bytes must be offered again, with no fewer behind them. */
ssize_t tls_write(struct tls *t, const void *bytes, size_t len);
/* The last tls_read cannot go on before the socket takes more. */
bool tls_wants_write(const struct tls *t);

/* The common name of the client's certificate, checked with who signed it: 1 to 64 of the characters A-Z a-z 0-9 _ . @ - and space. False if
 * there is none such. */
bool tls_peer_name(const struct tls *t, char *out, size_t size);
/* Whether the client's certificate is still one that the context takes. */
bool tls_peer_is_good(const struct tls *t, struct ssl_ctx_st *context);

#endif

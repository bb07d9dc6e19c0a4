/* HTTP for those who watch the daemon: /metrics for Prometheus, /healthz, /readyz. On this machine only: whoever asks is answered. */
#ifndef FUTURED_DAEMON_HTTP_H
#define FUTURED_DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* Serves at "unix:PATH" or "tcp:HOST:PORT". False, with a sentence. */
bool http_listen(const char *address, char *why, size_t why_size);
/* Serves at a socket that listens already: a Unix socket, or of a loopback address. Takes fd, also on failure. */
bool http_adopt(int fd, char *why, size_t why_size);
/* Stops serving, and removes the sockets that it made. */
void http_close(void);

#endif

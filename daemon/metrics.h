/* The metrics: what the daemon counts, as text for Prometheus. */
#ifndef FUTURED_DAEMON_METRICS_H
#define FUTURED_DAEMON_METRICS_H

#include <stdbool.h>

struct evbuffer;

/* False without memory. */
bool metrics_write(struct evbuffer *out);

#endif

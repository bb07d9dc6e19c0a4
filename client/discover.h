/* Finding a daemon and connecting to it. */
#ifndef FUTURED_CLIENT_DISCOVER_H
#define FUTURED_CLIENT_DISCOVER_H

#include "client/futured.h"

/* Connects to `wanted`, else to $FUTURED_ADDRESS, else to the user's own daemon, else to the system's. Returns a non-blocking,
 * close-on-exec descriptor in *fd (tls: before its handshake), and writes whom it reached to `address`. On failure `why` has a sentence with every place
 * that was tried. */
enum futured_status discover(const char *wanted, double timeout, int *fd, char *address, size_t address_size, char *why,
	size_t why_size);

#endif

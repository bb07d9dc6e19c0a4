/* What `listen` may say. Only the syntax: binding is the daemon's. */
#ifndef FUTURED_CONFIG_LISTEN_H
#define FUTURED_CONFIG_LISTEN_H

#include <stddef.h>

enum { LISTEN_PATH_MAX = 107 }; /* sun_path without its NUL */

/* The path of a unix: address ("" if it has none), borrowed from text; NULL if it is another address or none. */
const char *listen_unix_path(const char *text);
/* Writes what was expected in place of an address that is no unix: address. */
void listen_refuse(const char *text, char *expected, size_t size);

#endif

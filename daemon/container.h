/* From an embedded member back to what it is embedded in. */
#ifndef FUTURED_DAEMON_CONTAINER_H
#define FUTURED_DAEMON_CONTAINER_H

#include <stddef.h>

#define container(ptr, type, field) ((type *)(void *)((char *)(ptr) - offsetof(type, field)))

#endif

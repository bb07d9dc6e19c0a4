/* What we tell the service manager: lines of NAME=value in a datagram to $NOTIFY_SOCKET, as sd_notify(3) writes them. Our own few lines rather
 * than libsystemd, with all that it links. */
#ifndef FUTURED_DAEMON_NOTIFY_H
#define FUTURED_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks for a manager, and takes what concerned it out of the environment. False, with a sentence: $NOTIFY_SOCKET makes no sense. */
bool notify_open(char *why, size_t why_size);
/* Somebody listens. */
bool notify_is_on(void);
/* How often the manager wants to hear WATCHDOG=1 at least; 0: not at all. */
uint64_t notify_watchdog_us(void);
/* Sends one datagram. Without a manager, nothing happens. */
void notify_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void notify_close(void);

#endif

/* The systemd journal, in its own protocol: one datagram of NAME=value lines per entry. */
#ifndef FUTURED_DAEMON_JOURNAL_H
#define FUTURED_DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a descriptor is the stream to the journal that the service manager gave us ($JOURNAL_STREAM). */
bool journal_is_at(int fd);
/* False: there is no journal to be reached. */
bool journal_open(void);
/* False: it did not take the entry. */
bool journal_send(const char *entry, size_t len);

#endif

/* Who comes when there is no room. */
#ifndef FUTURED_DAEMON_ADMISSION_H
#define FUTURED_DAEMON_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

/* Whether there are enough descriptors beside this one: the last are for pipes, workers and files. */
bool admission_leaves_reserve(int fd);
/* Says why, in clear if that is `plain`, as far as the socket takes it, and closes it; told to the log once a second. */
void admission_refuse(int fd, bool plain, const char *why, uint64_t limit);
/* How many were, since the start. */
uint64_t admission_refused(void);

#endif

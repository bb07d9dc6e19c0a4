/* How many CPUs this process may use: affinity and the cgroup's quota counted. */
#ifndef FUTURED_DAEMON_CPUS_H
#define FUTURED_DAEMON_CPUS_H

/* At least 1. */
unsigned cpus_usable(void);

#endif

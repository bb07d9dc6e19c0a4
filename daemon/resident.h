/* Resident memory of a process, as the kernel counts it. */
#ifndef FUTURED_DAEMON_RESIDENT_H
#define FUTURED_DAEMON_RESIDENT_H

#include <stdint.h>
#include <sys/types.h>

/* 0 if it is not there. */
uint64_t resident_bytes(pid_t pid);

#endif

/* Captures what C functions print on `stdout`, so that it reaches their task.
 *
 * process: descriptor 1 becomes a pipe, which also catches write(1, …) and child processes. A thread hands on what comes
 * while the task runs; what is left when it ends is handed on by settle, before the answer.
 * thread: the C stream is replaced by one that finds the slot of the thread that prints.
 *
 * Descriptor 2 is left alone: its last lines must reach the daemon even when the process dies the next moment.
 * There is one per process, as there is one stdout. */
#ifndef FUTURED_WORKER_NATIVE_STDOUT_H
#define FUTURED_WORKER_NATIVE_STDOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/slot.h"

/* Once, before any module is loaded. False, with errno set, if it cannot be had. */
bool native_stdout_open(bool per_thread);
/* On the slot's thread: from now on what it prints is this slot's, or nobody's. */
void native_stdout_attach(struct slot *s);
void native_stdout_detach(struct slot *s);
/* On the slot's thread, at the end of a task: empties what is buffered in this process. */
void native_stdout_flush(void);
/* For slot->settle: hands on what is still in the pipe. */
void native_stdout_settle(struct slot *s);
/* Prints as if by the task's own printf, so that the order is kept. */
void native_stdout_write(struct slot *s, const void *bytes, size_t len);

#endif

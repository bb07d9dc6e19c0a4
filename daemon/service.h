/* The service manager, as we meet it: it hears when we are ready, reload, stop, and how we are, and its watchdog is fed by the turning of the loop.
 * Without a manager all of this does nothing. */
#ifndef FUTURED_DAEMON_SERVICE_H
#define FUTURED_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before anything else. False, with a sentence. */
bool service_init(char *why, size_t why_size);
/* Start-up or the end takes longer than the manager may have thought: it waits for so long from now. */
void service_extend(uint64_t us);
/* All listeners listen. The watchdog is fed from now on. */
void service_ready(void);
void service_reloading(void);
/* The reload is over, well or not. */
void service_reloaded(void);
/* We have begun to end. */
void service_stopping(void);
/* Once per turn: tells the manager what there is to do, when that changed, at most once a second. */
void service_look(void);
void service_close(void);

#endif

/* The memory behind claim boards: shared with a host, and for a durable store a file in the runtime directory, so that after a crash of the daemon
 * the next one can read which tasks had begun. The files of an earlier boot are not believed: the machine may have lost what was last written. */
#ifndef FUTURED_DAEMON_BOARDS_H
#define FUTURED_DAEMON_BOARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/board.h"

/* From here on boards are files below this directory, which is made; `mark` tells daemons apart. False with errno. */
bool boards_use_directory(const char *directory, const char *mark);
/* The number of the next host: never one that an earlier daemon's boards have. */
uint64_t boards_next_number(void);
/* Memory of that size for a host's boards, zeroed, mapped; `fd` is for the host. NULL with errno. Should somebody make it shorter, the daemon
 * sees zeroes there. */
void *boards_map(uint64_t number, size_t size, int *fd);
/* The host is gone; the file stays until boards_forget. */
void boards_unmap(void *at, size_t size);
/* What its board said is not needed any more; any thread. */
void boards_forget(uint64_t number);
/* An earlier daemon's board. False if it is not there. */
bool boards_read(uint64_t number, unsigned slot, struct board *out);
/* Removes what earlier daemons left, once nobody needs it. */
void boards_forget_earlier(void);

#endif

/* The state directory: where output that is too large for memory goes. */
#ifndef FUTURED_DAEMON_PATHS_H
#define FUTURED_DAEMON_PATHS_H

#include <stdbool.h>
#include <stddef.h>

/* Makes it, private, and empties it of what an earlier daemon left: `configured`, or (NULL) $STATE_DIRECTORY, $XDG_STATE_HOME/futured or
 * ~/.local/state/futured, with a directory of its own for each socket. False, with a sentence. */
bool paths_state(const char *configured, char *why, size_t why_size);

#endif

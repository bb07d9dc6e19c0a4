/* The state directory: where the store is, and output that is too large for memory. */
#ifndef FUTURED_DAEMON_PATHS_H
#define FUTURED_DAEMON_PATHS_H

#include <stdbool.h>
#include <stddef.h>

/* Makes it, private: `configured`, or (NULL) $STATE_DIRECTORY, $XDG_STATE_HOME/futured or ~/.local/state/futured. False, with a sentence. */
bool paths_state(const char *configured, char *out, size_t out_size, char *why, size_t why_size);
/* Makes the directory for output in it, one for each lock, and empties it of what an earlier daemon left unless that is to be kept. */
bool paths_output(const char *state, bool keep, char *why, size_t why_size);
/* Where claim boards are: $RUNTIME_DIRECTORY, else where our socket is, else the state directory. */
void paths_runtime(const char *socket_path, const char *state, char *out, size_t out_size);

#endif

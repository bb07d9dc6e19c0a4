/* Getting to a daemon. */
#ifndef FUT_REACH_H
#define FUT_REACH_H

#include "client/fut/fut.h"

enum reach { REACH_ONLY, REACH_OR_START };

/* Connects f->c; with REACH_OR_START and nothing named, starts the user's own daemon if none answers. EXIT_OK, or what to exit
 * with, said. */
int reach(struct fut *f, enum reach how);
/* Starts the user's own daemon in the background and waits until it answers. EXIT_OK too if another fut was faster. */
int start_own(struct fut *f);
/* The directory of the user's own socket. */
void own_directory_path(char *path, size_t size);
/* Connects to the user's own daemon only, without a word: for start_own. */
enum futured_status reach_own(struct fut *f);

#endif

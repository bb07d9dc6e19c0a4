/* The Lua runtime: functions of a script, in one isolated Lua 5.4 state per slot, for the kind `interpreter`. */
#ifndef FUTURED_WORKER_LUA_H
#define FUTURED_WORKER_LUA_H

#include "worker/host.h"

/* Loads the script of the hello's options into a state per slot and serves until the daemon ends the host. Returns the exit
 * status. */
int lua_serve(struct host *h);

#endif

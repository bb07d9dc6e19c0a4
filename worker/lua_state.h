/* One isolated Lua state of a slot: its memory bound, the hook that stops a task, its streams, and what scripts see. */
#ifndef FUTURED_WORKER_LUA_STATE_H
#define FUTURED_WORKER_LUA_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <lua5.4/lua.h>

#include "worker/host.h"
#include "worker/slot.h"

/* Belongs to the slot's thread, whole. */
struct lua_slot {
	lua_State *L;
	struct slot *slot;
	struct host *host;
	size_t memory_used;
	size_t memory_max;         /* 0: no bound */
	uint64_t interrupted_us;   /* when the running task was first interrupted; 0: it was not */
	FILE *out, *err;           /* the task's own stdout and stderr */
};

/* A state with its libraries, without a script. False without memory, or within too little of it. */
bool lua_state_open(struct lua_slot *ls, struct slot *s, struct host *h, size_t memory_max);
void lua_state_close(struct lua_slot *ls);
/* The slot that a state, or a coroutine of it, belongs to. */
struct lua_slot *lua_state_slot(lua_State *L);
/* Raises the error that ends a task as cancelled. */
int lua_state_give_up(lua_State *L);
/* Whether the value is that error. */
bool lua_state_is_give_up(lua_State *L, int index);
/* After a task: forgets that it was interrupted, and hands on what is buffered of its output. */
void lua_state_settle(struct lua_slot *ls);

/* lua_lib.c: opens the standard libraries less what reaches beyond the state, print, exec, eval and the table `futured`. */
void lua_lib_open(lua_State *L);
/* Raises an error table of type and message, as tasks do. fmt as in lua_pushfstring. */
int lua_lib_raise(lua_State *L, const char *type, const char *fmt, ...);

#endif

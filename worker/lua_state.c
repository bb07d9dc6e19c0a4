/* How a task is stopped: every HOOK_COUNT instructions the hook looks at the claim board, and raises an error once the
 * daemon has asked. A task may catch it and clean up; it is raised again after as many instructions. After GRACE_US it is raised
 * at every instruction, so that a loop around pcall, wherever it catches, meets the next one in its own frame. What sits
 * inside a C function has no instructions to count: then the daemon ends the host. */
#include <stdlib.h>
#include <string.h>

#include <stdio_ext.h>

#include <lua5.4/lauxlib.h>

#include "worker/lua_state.h"

enum { HOOK_COUNT = 10000, GRACE_US = 100000, STREAM_BUFFER = 8192 };

/* Its address is the error that means "gave up". */
static char give_up_mark;

struct lua_slot *
lua_state_slot(lua_State *L)
{
	struct lua_slot *ls;

	memcpy(&ls, lua_getextraspace(L), sizeof ls);
	return ls;
}

/* ---- memory ---- */

static void *
on_alloc(void *ud, void *ptr, size_t old_size, size_t new_size)
{
	struct lua_slot *ls = ud;
	size_t had = ptr == NULL ? 0 : old_size; /* for a new object old_size tells its type */
	size_t others = ls->memory_used - had;
	void *moved;

	if (new_size == 0) {
		free(ptr);
		ls->memory_used = others;
		return NULL;
	}
	if (new_size > had && ls->memory_max > 0 && (others > ls->memory_max || new_size > ls->memory_max - others))
		return NULL; /* Lua collects its garbage and asks again, then raises an error */
	moved = realloc(ptr, new_size);
	if (moved != NULL)
		ls->memory_used = others + new_size;
	return moved;
}

/* ---- stopping ---- */

int
lua_state_give_up(lua_State *L)
{
	lua_pushlightuserdata(L, &give_up_mark);
	return lua_error(L);
}

bool
lua_state_is_give_up(lua_State *L, int index)
{
	return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &give_up_mark;
}

static void
on_count(lua_State *L, lua_Debug *event)
{
	struct lua_slot *ls = lua_state_slot(L);
	uint64_t now;

	(void)event;
	if (!slot_is_stopped(ls->slot)) {
		if (lua_gethookcount(L) != HOOK_COUNT) /* a coroutine that an earlier task left behind */
			lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
		return;
	}
	now = now_us();
	if (ls->interrupted_us == 0)
		ls->interrupted_us = now;
	if (now - ls->interrupted_us >= GRACE_US) {
		lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
		lua_sethook(ls->L, on_count, LUA_MASKCOUNT, 1);
	}
	lua_state_give_up(L);
}

void
lua_state_settle(struct lua_slot *ls)
{
	if (ls->interrupted_us != 0) {
		ls->interrupted_us = 0;
		lua_sethook(ls->L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
	}
	if (__fpending(ls->out) > 0)
		fflush(ls->out);
	if (__fpending(ls->err) > 0)
		fflush(ls->err);
}

/* ---- streams ---- */

static ssize_t
on_out(void *cookie, const char *bytes, size_t len)
{
	slot_output(cookie, SLOT_STDOUT, bytes, len);
	return (ssize_t)len;
}

static ssize_t
on_err(void *cookie, const char *bytes, size_t len)
{
	slot_output(cookie, SLOT_STDERR, bytes, len);
	return (ssize_t)len;
}

static FILE *
open_stream(struct slot *s, cookie_write_function_t *on_write)
{
	FILE *f = fopencookie(s, "w", (cookie_io_functions_t){.write = on_write});

	if (f != NULL)
		setvbuf(f, NULL, _IOLBF, STREAM_BUFFER);
	return f;
}

/* ---- opening ---- */

static int
open_libraries(lua_State *L)
{
	lua_lib_open(L);
	return 0;
}

bool
lua_state_open(struct lua_slot *ls, struct slot *s, struct host *h, size_t memory_max)
{
	memset(ls, 0, sizeof *ls);
	ls->slot = s;
	ls->host = h;
	ls->memory_max = memory_max;
	ls->out = open_stream(s, on_out);
	ls->err = open_stream(s, on_err);
	ls->L = ls->out == NULL || ls->err == NULL ? NULL : lua_newstate(on_alloc, ls);
	if (ls->L == NULL)
		goto fail;
	memcpy(lua_getextraspace(ls->L), &ls, sizeof ls);
	lua_sethook(ls->L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
	lua_pushcfunction(ls->L, open_libraries);
	if (lua_pcall(ls->L, 0, 0, 0) == LUA_OK)
		return true;
fail:
	lua_state_close(ls);
	return false;
}

void
lua_state_close(struct lua_slot *ls)
{
	if (ls->L != NULL)
		lua_close(ls->L);
	if (ls->out != NULL)
		fclose(ls->out);
	if (ls->err != NULL)
		fclose(ls->err);
	memset(ls, 0, sizeof *ls);
}

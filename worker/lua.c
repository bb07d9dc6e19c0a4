/* One state per slot, opened on the slot's thread with the pool's script in it, and kept from task to task.
 *
 * A task runs in three protected steps, because each may fail by memory or be interrupted by the hook: look the function up, push
 * the arguments and call it, with a handler that adds the traceback while the stack is still there; if that fails, turn the error
 * object into an error map (its __tostring and __index are the script's code); if that fails too, say so. */
#include <stdlib.h>
#include <string.h>

#include <lua5.4/lauxlib.h>

#include "proto/pack.h"
#include "proto/worker.h"
#include "worker/crew.h"
#include "worker/lua.h"
#include "worker/lua_state.h"
#include "worker/lua_value.h"

enum { PATH_SIZE = 4096, TRACEBACK_MAX = 16 * 1024, ARGS_MAX = 100000 };

struct lua_settings {
	char script[PATH_SIZE]; /* "": none */
	uint64_t memory;        /* bytes per state; 0: no bound */
};

/* ---- errors ---- */

/* The message handler: keeps the traceback beside the error object, which stays what it is. */
static int
add_traceback(lua_State *L)
{
	const char *message = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;

	luaL_traceback(L, L, message, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, "futured.traceback");
	lua_settop(L, 1);
	return 1;
}

/* The field of an error table as text; NULL if it has none. Leaves the string on the stack. */
static const char *
field(lua_State *L, int index, const char *name, size_t *len)
{
	if (!lua_istable(L, index) || lua_getfield(L, index, name) == LUA_TNIL)
		return NULL;
	return luaL_tolstring(L, -1, len);
}

static void
pack_data(lua_State *L, struct buf *b, size_t max)
{
	struct lua_value_error why;
	size_t start = b->len;

	if (lua_value_pack(L, -1, b, max, &why))
		return;
	b->len = start;
	lua_pushfstring(L, "(data%s: %s)", why.path, why.why);
	pack_text(b, lua_tostring(L, -1), lua_rawlen(L, -1));
}

/* (lua_slot, buf, error object): appends the error map. */
static int
pack_error_object(lua_State *L)
{
	struct lua_slot *ls = lua_touserdata(L, 1);
	struct buf *b = lua_touserdata(L, 2);
	const char *type, *message, *traceback;
	size_t type_len, len, traceback_len;
	bool has_data, has_traceback;

	if (lua_istable(L, 3))
		lua_getfield(L, 3, "data"); /* at 4 */
	else
		lua_pushnil(L);
	has_data = !lua_isnil(L, 4);
	has_traceback = lua_getfield(L, LUA_REGISTRYINDEX, "futured.traceback") == LUA_TSTRING;
	traceback = has_traceback ? lua_tolstring(L, -1, &traceback_len) : "";
	type = field(L, 3, "type", &type_len);
	message = field(L, 3, "message", &len);
	if (message == NULL)
		message = luaL_tolstring(L, 3, &len);
	slot_pack_error(b, (size_t)has_data + (size_t)has_traceback, type == NULL ? "LuaError" : type, message, len);
	if (has_traceback) {
		pack_key(b, "traceback");
		pack_text(b, traceback, traceback_len < TRACEBACK_MAX ? traceback_len : TRACEBACK_MAX);
	}
	if (has_data) {
		pack_key(b, "data");
		lua_pushvalue(L, 4);
		pack_data(L, b, ls->slot->message_max);
	}
	return 0;
}

/* Appends the error map for what a protected call left on the stack, and pops it. */
static void
pack_error(struct lua_slot *ls, int status, struct buf *b)
{
	static const char no_memory[] = "the worker's Lua state has no memory left within its bound";
	static const char no_words[] = "the error object could not be turned into an error";
	lua_State *L = ls->L;
	size_t start = b->len;

	if (status == LUA_ERRMEM) {
		slot_pack_error(b, 0, "MemoryError", no_memory, strlen(no_memory));
		lua_pop(L, 1);
		return;
	}
	lua_pushcfunction(L, pack_error_object);
	lua_insert(L, -2);
	lua_pushlightuserdata(L, ls);
	lua_insert(L, -2);
	lua_pushlightuserdata(L, b);
	lua_insert(L, -2);
	if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
		lua_pop(L, 1);
		b->len = start;
		slot_pack_error(b, 0, "LuaError", no_words, strlen(no_words));
	}
}

/* ---- calling ---- */

static int
raise_unknown(lua_State *L, const struct run *run, const char *what)
{
	lua_pushlstring(L, run->fn, run->fn_len < 255 ? run->fn_len : 255);
	return lua_lib_raise(L, "NameError", "%s \"%s\"", what, lua_tostring(L, -1));
}

/* Pushes the function that a dotted name stands for. */
static void
push_function(lua_State *L, const struct run *run)
{
	const char *at = run->fn, *end = run->fn + run->fn_len, *dot;

	lua_pushglobaltable(L);
	do {
		dot = memchr(at, '.', (size_t)(end - at));
		if (dot == NULL)
			dot = end;
		if (!lua_istable(L, -1))
			raise_unknown(L, run, "this pool's script has no function");
		lua_pushlstring(L, at, (size_t)(dot - at));
		lua_gettable(L, -2);
		lua_remove(L, -2);
		at = dot + 1;
	} while (dot < end);
	if (lua_isnil(L, -1))
		raise_unknown(L, run, "this pool's script has no function");
	if (lua_isfunction(L, -1))
		return;
	if (luaL_getmetafield(L, -1, "__call") == LUA_TNIL)
		raise_unknown(L, run, "not a function:");
	lua_pop(L, 1);
}

static void
push_args(lua_State *L, const struct run *run)
{
	struct lua_value_error why;
	struct reader r = run->args;

	if (run->arg_count > ARGS_MAX || !lua_checkstack(L, (int)run->arg_count + LUA_MINSTACK))
		lua_lib_raise(L, "ValueError", "%d arguments are more than a Lua function takes", (int)run->arg_count);
	for (uint32_t i = 0; i < run->arg_count; i++)
		if (!lua_value_push(L, &r, &why))
			lua_lib_raise(L, why.type, "argument %d%s: %s", (int)i + 1, why.path, why.why);
}

/* Packs what the function returned: nothing is nil, several values are an array. */
static void
pack_results(lua_State *L, struct slot *s, int first)
{
	int count = lua_gettop(L) - first + 1;
	struct buf *b = slot_ok(s);
	struct lua_value_error why;

	if (count == 0)
		pack_nil(b);
	if (count > 1)
		pack_array(b, (size_t)count);
	for (int i = 0; i < count; i++) {
		if (lua_value_pack(L, first + i, b, s->message_max, &why))
			continue;
		lua_pushstring(L, "result");
		if (count > 1)
			lua_pushfstring(L, "%s[%d]", lua_tostring(L, -1), i + 1);
		lua_lib_raise(L, why.type, "%s%s: %s", lua_tostring(L, -1), why.path, why.why);
	}
}

/* (lua_slot): the task, as one protected call. */
static int
call_task(lua_State *L)
{
	struct lua_slot *ls = lua_touserdata(L, 1);
	const struct run *run = &ls->slot->task;

	push_function(L, run);
	push_args(L, run);
	lua_call(L, (int)run->arg_count, LUA_MULTRET);
	pack_results(L, ls->slot, 2);
	return 0;
}

/* Calls a C function of one argument, the lua_slot, under the handler. The error object stays on the stack. */
static int
call_protected(struct lua_slot *ls, lua_CFunction f)
{
	lua_State *L = ls->L;
	int status;

	lua_settop(L, 0);
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, "futured.traceback");
	lua_pushcfunction(L, add_traceback);
	lua_pushcfunction(L, f);
	lua_pushlightuserdata(L, ls);
	status = lua_pcall(L, 1, 0, 1);
	return status;
}

static void
lua_run(struct slot *s)
{
	struct lua_slot *ls = s->state;
	int status;

	if (slot_has_kwargs(s)) {
		slot_fail(s, "UnsupportedError", "functions in Lua take no keyword arguments");
		return;
	}
	status = call_protected(ls, call_task);
	if (status != LUA_OK && slot_is_stopped(s) && (ls->interrupted_us != 0 || lua_state_is_give_up(ls->L, -1)))
		slot_cancelled(s);
	else if (status != LUA_OK && lua_state_is_give_up(ls->L, -1))
		slot_fail(s, "CancelledError", "the task gave up, but nobody had asked it to stop");
	else if (status != LUA_OK)
		pack_error(ls, status, slot_error(s));
	lua_settop(ls->L, 0);
	lua_state_settle(ls);
}

/* ---- opening ---- */

/* `require` looks beside the script first. */
static void
prepend_path(lua_State *L, const char *script)
{
	const char *slash = strrchr(script, '/');

	if (slash == NULL)
		return;
	lua_getglobal(L, "package");
	lua_pushlstring(L, script, (size_t)(slash - script));
	lua_getfield(L, -2, "path");
	lua_pushfstring(L, "%s/?.lua;%s", lua_tostring(L, -2), lua_tostring(L, -1));
	lua_setfield(L, -4, "path");
	lua_pop(L, 3);
}

/* (settings, lua_slot): loads and runs the script. */
static int
load_script(lua_State *L)
{
	const char *script = lua_tostring(L, lua_upvalueindex(1));

	prepend_path(L, script);
	if (luaL_loadfilex(L, script, "t") != LUA_OK)
		return lua_lib_raise(L, "ImportError", "%s", lua_tostring(L, -1));
	lua_call(L, 0, 0);
	return 0;
}

static int
push_load_script(lua_State *L)
{
	struct lua_settings *settings = lua_touserdata(L, 1);

	lua_pushstring(L, settings->script);
	lua_pushcclosure(L, load_script, 1);
	return 1;
}

/* Runs the script under the handler; the status as of lua_pcall. */
static int
run_script(struct lua_slot *ls, struct lua_settings *settings)
{
	lua_State *L = ls->L;
	int status;

	lua_pushcfunction(L, add_traceback);
	lua_pushcfunction(L, push_load_script);
	lua_pushlightuserdata(L, settings);
	status = lua_pcall(L, 1, 1, 1);
	if (status == LUA_OK)
		status = lua_pcall(L, 0, 0, 1);
	return status;
}

static void
lua_close_slot(struct slot *s)
{
	struct lua_slot *ls = s->state;

	lua_state_close(ls);
	free(ls);
	s->state = NULL;
}

static bool
lua_open_slot(void *shared, struct host *h, struct slot *s, struct buf *error)
{
	static const char no_memory[] = "a Lua state with its libraries does not fit into its memory bound";
	struct lua_settings *settings = shared;
	struct lua_slot *ls = calloc(1, sizeof *ls);
	int status;

	if (ls == NULL || !lua_state_open(ls, s, h, settings->memory)) {
		slot_pack_error(error, 0, "MemoryError", no_memory, strlen(no_memory));
		free(ls);
		return false;
	}
	s->state = ls;
	s->run = lua_run;
	status = settings->script[0] == '\0' ? LUA_OK : run_script(ls, settings);
	if (status != LUA_OK) {
		pack_error(ls, status, error);
		lua_close_slot(s);
		return false;
	}
	lua_settop(ls->L, 0);
	lua_state_settle(ls);
	return true;
}

static bool
take_settings(struct host *h, struct lua_settings *settings)
{
	struct reader r;
	const char *s;
	size_t len;

	memset(settings, 0, sizeof *settings);
	if (host_option(h, "script", &r) && !read_nil(&r)) {
		if (!read_text(&r, &s, &len) || len == 0 || len >= sizeof settings->script || memchr(s, '\0', len) != NULL) {
			host_failed(h, "ImportError", "`script` is not the path of a file");
			return false;
		}
		memcpy(settings->script, s, len);
	}
	if (host_option(h, "memory", &r) && !read_nil(&r) && !read_uint(&r, &settings->memory)) {
		host_failed(h, "ValueError", "`memory` is not a number of bytes");
		return false;
	}
	return true;
}

int
lua_serve(struct host *h)
{
	struct lua_settings settings;
	struct crew_runtime runtime = {
		.ready = {.name = "lua", .depth = BOARD_ENTRIES, .ring = true, .grow = true},
		.shared = &settings,
		.open = lua_open_slot,
		.close = lua_close_slot,
	};

	if (!take_settings(h, &settings))
		return 1;
	return crew_serve(h, &runtime);
}

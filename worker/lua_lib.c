/* What a script finds: Lua's own libraries, and `futured`.
 *
 * The states of a host share one process, so what changes the process, or reaches into the interpreter's memory, is taken away:
 * os.exit and os.setlocale, package.loadlib, binary chunks (load, loadfile and dofile take text only), and of debug all but
 * traceback and getinfo. This keeps workers from disturbing one another by accident; it is no jail, since io and os.execute are
 * there: whoever may submit to the pool may do what its user may. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lua5.4/lauxlib.h>
#include <lua5.4/lualib.h>

#include "worker/lua_state.h"
#include "worker/lua_value.h"

int
lua_lib_raise(lua_State *L, const char *type, const char *fmt, ...)
{
	va_list ap;

	lua_createtable(L, 0, 2);
	luaL_setmetatable(L, "futured.error");
	lua_pushstring(L, type);
	lua_setfield(L, -2, "type");
	va_start(ap, fmt);
	lua_pushvfstring(L, fmt, ap);
	va_end(ap);
	lua_setfield(L, -2, "message");
	return lua_error(L);
}

/* ---- the table futured ---- */

static int
lib_progress(lua_State *L)
{
	double done = luaL_checknumber(L, 1), total = luaL_optnumber(L, 2, -1);
	size_t len;
	const char *note = luaL_optlstring(L, 3, "", &len);

	slot_progress(lua_state_slot(L)->slot, done, total, note, len);
	return 0;
}

static int
lib_stopped(lua_State *L)
{
	lua_pushboolean(L, slot_is_stopped(lua_state_slot(L)->slot));
	return 1;
}

static int
lib_log(lua_State *L)
{
	static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
	const char *level = lua_gettop(L) < 2 ? "info" : levels[luaL_checkoption(L, 1, "info", levels)];

	host_log(lua_state_slot(L)->host, level, "%s", luaL_checkstring(L, lua_gettop(L) < 2 ? 1 : 2));
	return 0;
}

static int
lib_bin(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_newuserdatauv(L, 0, 1);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, 1);
	luaL_setmetatable(L, LUA_VALUE_BIN);
	return 1;
}

static int
lib_map(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	luaL_setmetatable(L, LUA_VALUE_MAP);
	return 1;
}

/* futured.id and the like: looked up when they are asked for, so that a task which does not ask pays nothing. */
static int
lib_index(lua_State *L)
{
	struct lua_slot *ls = lua_state_slot(L);
	const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
	char secret[256];

	if (strcmp(key, "id") == 0) {
		lua_pushinteger(L, (lua_Integer)ls->slot->task.id);
	} else if (strcmp(key, "attempt") == 0) {
		lua_pushinteger(L, (lua_Integer)ls->slot->task.attempt);
	} else if (strcmp(key, "pool") == 0) {
		lua_pushstring(L, ls->host->pool);
	} else if (strcmp(key, "address") == 0) {
		lua_pushstring(L, ls->host->address);
	} else if (strcmp(key, "secret") == 0) {
		slot_secret(ls->slot, secret, sizeof secret);
		lua_pushstring(L, secret);
	} else {
		lua_pushnil(L);
	}
	return 1;
}

static void
open_futured(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"progress", lib_progress},
		{"stopped", lib_stopped},
		{"give_up", lua_state_give_up},
		{"log", lib_log},
		{"bin", lib_bin},
		{"map", lib_map},
		{NULL, NULL},
	};

	luaL_newmetatable(L, LUA_VALUE_MAP);
	luaL_newmetatable(L, LUA_VALUE_BIN);
	lua_pop(L, 2);
	luaL_newlib(L, functions);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, lib_index);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_setglobal(L, "futured");
}

/* ---- print, exec, eval ---- */

static int
lib_print(lua_State *L)
{
	FILE *out = lua_state_slot(L)->out;
	int n = lua_gettop(L);
	const char *s;
	size_t len;

	for (int i = 1; i <= n; i++) {
		s = luaL_tolstring(L, i, &len);
		if (i > 1)
			fputc('\t', out);
		fwrite(s, 1, len, out);
		lua_pop(L, 1);
	}
	fputc('\n', out);
	return 0;
}

static int
raise_syntax_error(lua_State *L)
{
	return lua_lib_raise(L, "SyntaxError", "%s", lua_tostring(L, -1));
}

/* exec(source, ...): runs it in this state and returns nothing. */
static int
lib_exec(lua_State *L)
{
	size_t len;
	const char *source = luaL_checklstring(L, 1, &len);

	if (luaL_loadbufferx(L, source, len, "=exec", "t") != LUA_OK)
		return raise_syntax_error(L);
	lua_replace(L, 1);
	lua_call(L, lua_gettop(L) - 1, 0);
	return 0;
}

/* eval(source, ...): the value of an expression, or of a chunk that says return. */
static int
lib_eval(lua_State *L)
{
	size_t len;
	const char *source = luaL_checklstring(L, 1, &len);

	lua_pushliteral(L, "return ");
	lua_pushvalue(L, 1);
	lua_concat(L, 2);
	if (luaL_loadbufferx(L, lua_tostring(L, -1), len + strlen("return "), "=eval", "t") != LUA_OK) {
		lua_pop(L, 1);
		if (luaL_loadbufferx(L, source, len, "=eval", "t") != LUA_OK)
			return raise_syntax_error(L);
	}
	lua_replace(L, 1);
	lua_settop(L, lua_gettop(L) - 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

static int
lib_no_exit(lua_State *L)
{
	return luaL_error(L, "os.exit is not available in a worker: return a value or raise an error");
}

static int
error_tostring(lua_State *L)
{
	lua_getfield(L, 1, "message");
	return 1;
}

/* ---- the standard libraries ---- */

static const char text_only[] =
	"local load0, loadfile0 = load, loadfile\n"
	"function load(chunk, name, mode, ...) return load0(chunk, name, 't', ...) end\n"
	"function loadfile(name, mode, ...) return loadfile0(name, 't', ...) end\n"
	"function dofile(name) return assert(loadfile(name))() end\n"
	"for name in pairs(debug) do\n"
	"	if name ~= 'traceback' and name ~= 'getinfo' then debug[name] = nil end\n"
	"end\n"
	"os.setlocale, package.loadlib = nil, nil\n";

static int
stream_close(lua_State *L)
{
	luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);

	stream->closef = stream_close; /* as Lua's own standard streams: it stays open */
	luaL_pushfail(L);
	lua_pushliteral(L, "cannot close a standard stream");
	return 2;
}

/* Puts a file object for f into the library at the top of the stack, and leaves it above. */
static void
set_stream(lua_State *L, const char *name, FILE *f)
{
	luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);

	stream->f = f;
	stream->closef = stream_close;
	luaL_setmetatable(L, LUA_FILEHANDLE);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, name);
}

static void
open_streams(lua_State *L)
{
	struct lua_slot *ls = lua_state_slot(L);

	lua_getglobal(L, "io");
	set_stream(L, "stderr", ls->err);
	lua_pop(L, 1);
	set_stream(L, "stdout", ls->out);
	lua_setfield(L, LUA_REGISTRYINDEX, "_IO_output"); /* where liolib keeps what io.write writes to */
	lua_pop(L, 1);
}

static void
on_warning(void *ud, const char *text, int more)
{
	struct lua_slot *ls = ud;

	fputs(text, ls->err);
	if (!more)
		fputc('\n', ls->err);
}

void
lua_lib_open(lua_State *L)
{
	luaL_openlibs(L);
	lua_getglobal(L, "os");
	lua_pushcfunction(L, lib_no_exit);
	lua_setfield(L, -2, "exit");
	lua_pop(L, 1);
	luaL_newmetatable(L, "futured.error");
	lua_pushcfunction(L, error_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
	open_streams(L);
	open_futured(L);
	lua_register(L, "print", lib_print);
	lua_register(L, "exec", lib_exec);
	lua_register(L, "eval", lib_eval);
	lua_setwarnf(L, on_warning, lua_state_slot(L));
	if (luaL_dostring(L, text_only) != LUA_OK)
		lua_error(L);
}

/* Both ways recurse, at most as deep as a value may nest. The path of an error is put together on the way out, each level
 * writing its key in front, so that what goes well pays nothing for it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lua5.4/lauxlib.h>

#include "proto/frame.h"
#include "proto/pack.h"
#include "proto/worker.h"
#include "worker/lua_value.h"

enum { STACK_PER_LEVEL = 8, KEY_SHOWN = 40 };

static const char type_error[] = "TypeError", value_error[] = "ValueError";

static bool
refuse(struct lua_value_error *e, const char *type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool
refuse(struct lua_value_error *e, const char *type, const char *fmt, ...)
{
	va_list ap;

	e->type = type;
	e->path[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(e->why, sizeof e->why, fmt, ap);
	va_end(ap);
	return false;
}

/* Writes a piece in front of the path; what does not fit falls off its end. */
static bool
in_front(struct lua_value_error *e, const char *piece)
{
	size_t len = strnlen(piece, sizeof e->path - 1);

	memmove(e->path + len, e->path, sizeof e->path - len);
	memcpy(e->path, piece, len);
	e->path[sizeof e->path - 1] = '\0';
	return false;
}

static bool
in_key(lua_State *L, int index, struct lua_value_error *e)
{
	char piece[KEY_SHOWN + 16];

	if (lua_type(L, index) == LUA_TSTRING)
		snprintf(piece, sizeof piece, ".%.*s", KEY_SHOWN, lua_tostring(L, index));
	else if (lua_isinteger(L, index))
		snprintf(piece, sizeof piece, "[%lld]", lua_tointeger(L, index));
	else if (lua_type(L, index) == LUA_TNUMBER)
		snprintf(piece, sizeof piece, "[%g]", lua_tonumber(L, index));
	else
		snprintf(piece, sizeof piece, "[%s]", lua_toboolean(L, index) ? "true" : "false");
	return in_front(e, piece);
}

static bool
in_element(uint32_t i, struct lua_value_error *e)
{
	char piece[16];

	snprintf(piece, sizeof piece, "[%u]", i);
	return in_front(e, piece);
}

/* ---- MessagePack to Lua ---- */

static bool push(lua_State *L, struct reader *r, unsigned depth, struct lua_value_error *e);

/* A value inside a container: nil is futured.null there. */
static bool
push_inner(lua_State *L, struct reader *r, unsigned depth, struct lua_value_error *e)
{
	if (!read_nil(r))
		return push(L, r, depth, e);
	lua_pushlightuserdata(L, NULL);
	return true;
}

static bool
push_array(lua_State *L, struct reader *r, unsigned depth, struct lua_value_error *e)
{
	uint32_t count;

	read_array(r, &count);
	lua_createtable(L, (int)(count < 1 << 24 ? count : 1 << 24), 0);
	for (uint32_t i = 1; i <= count; i++) {
		if (!push_inner(L, r, depth + 1, e)) {
			lua_pop(L, 1);
			return in_element(i, e);
		}
		lua_rawseti(L, -2, i);
	}
	return true;
}

static bool
push_key(lua_State *L, struct reader *r, unsigned depth, struct lua_value_error *e)
{
	enum reader_type type = reader_peek(r);

	if (type != READER_STR && type != READER_BIN && type != READER_INT && type != READER_FLOAT && type != READER_BOOL)
		return refuse(e, value_error, "a map's key is %s; a table's may be a string, a number or a boolean", reader_type_name(type));
	if (!push(L, r, depth, e))
		return false;
	if (type == READER_FLOAT && isnan(lua_tonumber(L, -1))) {
		lua_pop(L, 1);
		return refuse(e, value_error, "a map's key is NaN, which a table's may not be");
	}
	return true;
}

static bool
push_map(lua_State *L, struct reader *r, unsigned depth, struct lua_value_error *e)
{
	uint32_t pairs;

	read_map(r, &pairs);
	lua_createtable(L, 0, (int)(pairs < 1 << 24 ? pairs : 1 << 24));
	if (pairs == 0)
		luaL_setmetatable(L, LUA_VALUE_MAP);
	for (; pairs > 0; pairs--) {
		if (!push_key(L, r, depth + 1, e)) {
			lua_pop(L, 1);
			return false;
		}
		if (!push_inner(L, r, depth + 1, e)) {
			in_key(L, -1, e);
			lua_pop(L, 2);
			return false;
		}
		lua_rawset(L, -3);
	}
	return true;
}

static bool
push_scalar(lua_State *L, struct reader *r, enum reader_type type, struct lua_value_error *e)
{
	const char *s;
	size_t len;
	int64_t i;
	double d;
	bool b;

	if (type == READER_NIL && read_nil(r))
		lua_pushnil(L);
	else if (type == READER_BOOL && read_bool(r, &b))
		lua_pushboolean(L, b);
	else if (type == READER_INT && read_int(r, &i))
		lua_pushinteger(L, i);
	else if (type == READER_INT)
		return refuse(e, value_error, "an integer above 2^63-1 does not fit");
	else if (type == READER_FLOAT && read_number(r, &d))
		lua_pushnumber(L, d);
	else if ((type == READER_STR || type == READER_BIN) && read_text(r, &s, &len))
		lua_pushlstring(L, s, len);
	else
		return refuse(e, value_error, "%s cannot become a Lua value", reader_type_name(type));
	return true;
}

static bool
push(lua_State *L, struct reader *r, unsigned depth, struct lua_value_error *e)
{
	enum reader_type type = reader_peek(r);

	if (depth > FRAME_DEPTH_MAX || !lua_checkstack(L, STACK_PER_LEVEL))
		return refuse(e, value_error, "nested too deep");
	if (type == READER_ARRAY)
		return push_array(L, r, depth, e);
	if (type == READER_MAP)
		return push_map(L, r, depth, e);
	return push_scalar(L, r, type, e);
}

bool
lua_value_push(lua_State *L, struct reader *r, struct lua_value_error *error)
{
	return push(L, r, 0, error);
}

/* ---- Lua to MessagePack ---- */

struct packer {
	lua_State *L;
	struct buf *b;
	size_t max;
	struct lua_value_error *error;
};

static bool pack(struct packer *p, int index, unsigned depth);

static void
pack_string(struct buf *b, const char *s, size_t len)
{
	if (utf8_is_valid(s, len))
		pack_str(b, s, len);
	else
		pack_bin(b, s, len);
}

/* Counts a table's pairs; true if its keys are exactly 1..count: n different integers from 1 on of which the largest is n. */
static bool
count_pairs(lua_State *L, int index, size_t *count)
{
	lua_Integer key, largest = 0;
	bool integers = true;
	size_t n = 0;

	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		n++;
		lua_pop(L, 1);
		if (!integers || !lua_isinteger(L, -1)) {
			integers = false;
			continue;
		}
		key = lua_tointeger(L, -1);
		integers = key >= 1;
		if (key > largest)
			largest = key;
	}
	*count = n;
	return integers && (size_t)largest == n;
}

static bool
is_map(lua_State *L, int index)
{
	bool map;

	if (!lua_getmetatable(L, index))
		return false;
	luaL_getmetatable(L, LUA_VALUE_MAP);
	map = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return map;
}

static bool
pack_table_array(struct packer *p, int index, size_t count, unsigned depth)
{
	pack_array(p->b, count);
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(p->L, index, (lua_Integer)i);
		if (!pack(p, lua_gettop(p->L), depth))
			return in_element((uint32_t)i, p->error);
		lua_pop(p->L, 1);
	}
	return true;
}

static bool
pack_table_map(struct packer *p, int index, size_t count, unsigned depth)
{
	lua_State *L = p->L;
	int key = lua_gettop(L) + 1, type;

	pack_map(p->b, count);
	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		type = lua_type(L, key);
		if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
			return refuse(p->error, type_error, "a %s cannot be a key", luaL_typename(L, key));
		if (!pack(p, key, depth))
			return false;
		if (!pack(p, key + 1, depth))
			return in_key(L, key, p->error);
		lua_pop(L, 1);
	}
	return true;
}

static bool
pack_table(struct packer *p, int index, unsigned depth)
{
	size_t count;
	bool array;

	if (depth >= WORKER_VALUE_DEPTH)
		return refuse(p->error, value_error, "nested deeper than %d tables (or a cycle)", WORKER_VALUE_DEPTH);
	array = count_pairs(p->L, index, &count) && !is_map(p->L, index);
	if (count > UINT32_MAX)
		return refuse(p->error, value_error, "%zu elements are too many", count);
	return array ? pack_table_array(p, index, count, depth + 1) : pack_table_map(p, index, count, depth + 1);
}

static bool
pack_userdata(struct packer *p, int index)
{
	const char *s;
	size_t len;

	if (luaL_testudata(p->L, index, LUA_VALUE_BIN) == NULL)
		return refuse(p->error, type_error, "a userdata cannot leave Lua");
	lua_getiuservalue(p->L, index, 1);
	s = lua_tolstring(p->L, -1, &len);
	pack_bin(p->b, s, len);
	lua_pop(p->L, 1);
	return true;
}

/* The value at an absolute index. On false the stack is left as it is: the caller unwinds it whole. */
static bool
pack(struct packer *p, int index, unsigned depth)
{
	lua_State *L = p->L;
	const char *s;
	size_t len;

	if (p->b->len > p->max)
		return refuse(p->error, value_error, "it is larger than a message may be, %zu bytes", p->max);
	if (!lua_checkstack(L, STACK_PER_LEVEL))
		return refuse(p->error, value_error, "no room on the stack");
	switch (lua_type(L, index)) {
	case LUA_TNIL: pack_nil(p->b); return true;
	case LUA_TBOOLEAN: pack_bool(p->b, lua_toboolean(L, index)); return true;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			pack_int(p->b, lua_tointeger(L, index));
		else
			pack_double(p->b, lua_tonumber(L, index));
		return true;
	case LUA_TSTRING:
		s = lua_tolstring(L, index, &len);
		pack_string(p->b, s, len);
		return true;
	case LUA_TTABLE: return pack_table(p, index, depth);
	case LUA_TUSERDATA: return pack_userdata(p, index);
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(L, index) == NULL) {
			pack_nil(p->b);
			return true;
		}
		/* fall through */
	default: return refuse(p->error, type_error, "a %s cannot leave Lua", luaL_typename(L, index));
	}
}

bool
lua_value_pack(lua_State *L, int index, struct buf *b, size_t max, struct lua_value_error *error)
{
	struct packer p = {L, b, max, error};
	int top = lua_gettop(L);
	bool ok = pack(&p, lua_absindex(L, index), 0);

	lua_settop(L, top);
	return ok;
}

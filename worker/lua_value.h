/* Values between MessagePack and Lua, both ways.
 *
 *	MessagePack          Lua
 *	nil                  nil; inside an array or a map: futured.null, since a table cannot hold nil
 *	bool                 boolean
 *	int                  integer; above 2^63-1: refused
 *	float                float (so 1.0 stays 1.0; NaN and infinities are allowed)
 *	str, bin             string
 *	array                table 1..n
 *	map                  table; keys are strings, integers, floats or booleans; an empty one stays a map on the way back
 *	ext                  refused
 *
 *	Lua                  MessagePack
 *	nil, futured.null    nil
 *	integer, float       int, float
 *	string               str if it is valid UTF-8, else bin; futured.bin(s): always bin
 *	table                array if its keys are exactly 1..n (so {} is an array), else a map; futured.map(t): always a map
 *	function, userdata, coroutine, a table nested deeper than 24 (a cycle): refused, naming the path
 */
#ifndef FUTURED_WORKER_LUA_VALUE_H
#define FUTURED_WORKER_LUA_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include <lua5.4/lua.h>

#include "proto/buf.h"
#include "proto/reader.h"

#define LUA_VALUE_MAP "futured.map" /* metatables in the registry */
#define LUA_VALUE_BIN "futured.bin"

/* What went wrong, and where: path is "[3].name", written from the inside out. */
struct lua_value_error {
	const char *type; /* "TypeError": no such values there; "ValueError": too large, too deep, out of range */
	char path[160];
	char why[160];
};

/* Pushes the next value. May raise a Lua error (memory); on false nothing is pushed, and *error says why. */
bool lua_value_push(lua_State *L, struct reader *r, struct lua_value_error *error);
/* Appends the value at index to b, which is not to grow beyond max bytes. Raises nothing but memory errors; on false b has a
 * piece of it. */
bool lua_value_pack(lua_State *L, int index, struct buf *b, size_t max, struct lua_value_error *error);

#endif

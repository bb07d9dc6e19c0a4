#include "tests/fuzz/mutate.h"

#include <stdbool.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/pack.h"
#include "tests/fuzz/rows.h"
#include "tests/fuzz/stored.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

enum { STEPS_MAX = 256, HEAD = 4, CALL_MAX = 1500 };

static uint32_t state;

/* xorshift */
static uint32_t
draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

/* ---- values: a letter says which ---- */

static const char *const pools[] = { "shell", "one", "fn", "thr", "lua", "fn-1", "shell-1", "thr-1", "nosuch", "" };
static const char *const words[] = { "PENDING", "RUNNING", "CANCELLED", "FINISHED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED", "kill", "ask", "no", "leave",
	"stdout", "stderr", "x", "", "0123456789abcdef0123456789abcdef" };

/* Options of all methods, and what they take. */
static const struct {
	const char *key;
	char type;
} options[] = {
	{ "name", 's' }, { "tags", 'S' }, { "priority", 'n' }, { "timeout", 't' }, { "deadline", 't' }, { "delay", 't' }, { "after", 'I' }, { "retries", 'n' },
	{ "retry_delay", 't' }, { "key", 's' }, { "block", 'v' }, { "bound", 'b' }, { "watch", 'b' }, { "retain", 't' }, { "kwargs", 'm' }, { "cwd", 's' }, { "env", 'm' },
	{ "umask", 'n' }, { "nice", 'n' }, { "limits", 'm' }, { "stdin", 'v' }, { "result", 'b' }, { "release", 'b' }, { "running", 's' }, { "grace", 't' }, { "state", 's' },
	{ "limit", 'n' }, { "pool", 'p' }, { "seen", 'b' }, { "follow", 'b' }, { "eof", 'b' }, { "like", 'p' }, { "workers", 'n' }, { "initializer", 's' }, { "initargs", 'a' },
	{ "cancel_futures", 'b' }, { "terminate", 'b' }, { "kill", 'b' }, { "protocol", 'n' }, { "client", 's' }, { "token", 's' }, { "task", 's' }, { "offset", 'n' },
	{ "tag", 's' }, { "owner", 's' }, { "before", 'i' }, { "fields", 'S' }, { "mode", 's' }, { "stream", 's' }, { "wait", 'b' }, { "env_unset", 'S' }, { "nosuch", 'v' },
};

static const struct {
	const char *name, *params;
} methods[] = {
	{ "submit", "pfao" }, { "submit", "pfa" }, { "call", "pfao" }, { "map", "pfAo" }, { "map", "pfA" }, { "result", "ito" }, { "exception", "it" }, { "state", "I" },
	{ "wait", "Ist" }, { "watch", "Io" }, { "unwatch", "I" }, { "cancel", "I" }, { "cancel", "Io" }, { "release", "I" }, { "retry", "I" }, { "list", "o" }, { "show", "i" },
	{ "failures", "o" }, { "output", "io" }, { "input", "iBo" }, { "pools", "" }, { "pause", "p" }, { "resume", "p" }, { "resize", "pn" }, { "open_pool", "o" },
	{ "close_pool", "po" }, { "events", "o" }, { "stats", "" }, { "drain", "to" }, { "hello", "o" }, { "ping", "v" }, { "reload", "" },
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The marker that core.c puts an id in for; always of eight bytes. */
static void
put_id(struct buf *b)
{
	uint8_t bytes[9] = { 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, (uint8_t)draw(12) };
	buf_append(b, bytes, sizeof bytes);
}

static void
put_number(struct buf *b)
{
	static const int64_t edges[] = { 0, 1, -1, 2, 3, 7, 64, 255, 256, 1000, 65535, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
	pack_int(b, draw(3) ? (int64_t)draw(6) : edges[draw(COUNT(edges))]);
}

static void
put_seconds(struct buf *b)
{
	static const double some[] = { 0, 0.0001, 0.001, 0.005, 0.05, 1, 1e9, 1e10, -1, 1e-300 };
	if (draw(4))
		pack_double(b, some[draw(COUNT(some))]);
	else
		pack_nil(b);
}

static void put(struct buf *b, char type, unsigned depth);

static void
put_options(struct buf *b, unsigned depth)
{
	unsigned n = draw(5);

	pack_map(b, n);
	while (n--) {
		unsigned i = draw(COUNT(options));
		pack_cstr(b, options[i].key);
		put(b, draw(10) ? options[i].type : 'v', depth + 1);
	}
}

static void
put_list(struct buf *b, char of, unsigned depth)
{
	unsigned n = draw(5);
	pack_array(b, n);
	while (n--)
		put(b, of, depth + 1);
}

static void
put_ids(struct buf *b)
{
	unsigned n = draw(4);

	pack_array(b, n);
	while (n--) {
		if (draw(2)) {
			pack_array(b, 2);
			put_id(b);
			pack_uint(b, draw(5));
		} else {
			put_id(b);
		}
	}
}

/* A reference to a future. */
static void
put_reference(struct buf *b)
{
	uint8_t bytes[10] = { 0xd7, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, (uint8_t)draw(6) };
	buf_append(b, bytes, sizeof bytes);
}

static void
put_anything(struct buf *b, unsigned depth)
{
	static const char types[] = "nntsbBifpPrIoamS";
	if (depth > 3)
		pack_nil(b);
	else
		put(b, types[draw(sizeof types - 1)], depth);
}

static void
put(struct buf *b, char type, unsigned depth)
{
	static const uint8_t filler[300];

	switch (type) {
	case 'p': pack_cstr(b, pools[draw(draw(4) ? 5 : COUNT(pools))]); break;
	case 's': pack_cstr(b, words[draw(COUNT(words))]); break;
	case 'f': pack_cstr(b, draw(8) ? "f" : ""); break;
	case 'n': put_number(b); break;
	case 't': put_seconds(b); break;
	case 'b': pack_bool(b, draw(2)); break;
	case 'B': pack_bin(b, filler, draw(sizeof filler)); break;
	case 'i': put_id(b); break;
	case 'I': put_ids(b); break;
	case 'r': put_reference(b); break;
	case 'o': put_options(b, depth); break;
	case 'm': put_options(b, depth); break;
	case 'a': put_list(b, draw(3) ? 'n' : draw(2) ? 'r' : 'v', depth); break;
	case 'A': put_list(b, 'a', depth); break;
	case 'S': put_list(b, 's', depth); break;
	case 'P': pack_nil(b); break;
	default: put_anything(b, depth + 1); break;
	}
}

static void
put_call(struct buf *b)
{
	unsigned i = draw(COUNT(methods));
	size_t most = strlen(methods[i].params), n = draw(3) ? most : draw((uint32_t)most + 1);

	pack_array(b, 4);
	pack_uint(b, 0);
	pack_uint(b, draw(4));
	pack_cstr(b, methods[i].name);
	pack_array(b, n);
	for (size_t p = 0; p < n; p++)
		put(b, draw(12) ? methods[i].params[p] : 'v', 0);
}

/* What workers say, the right way round most of the time. */
static void
put_answer(struct buf *b, bool control)
{
	static const char *const said[] = { "ok", "error", "cancelled", "progress", "output", "exit" };
	static const char *const heard[] = { "ready", "failed", "taken", "log" };
	const char *verb = control ? heard[draw(4)] : said[draw(6)];
	uint8_t running[9] = { 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, (uint8_t)(128 + draw(4)) };
	unsigned n = 1 + draw(4);

	pack_array(b, 1 + n);
	pack_cstr(b, verb);
	for (unsigned i = 0; i < n; i++) {
		if (i == 0 && !control && draw(10))
			buf_append(b, running, sizeof running);
		else
			put(b, "vomsBnb"[draw(7)], 0);
	}
}

/* ---- what is in a store ---- */

static void
put_bytes(struct buf *b, unsigned n)
{
	while (n--) {
		uint8_t byte = (uint8_t)(draw(3) ? draw(8) : draw(256));
		buf_append(b, &byte, 1);
	}
}

/* Few of a row's columns are unusual, and most of those have what fits. */
static void
put_row(struct buf *b)
{
	for (unsigned n = draw(4); n; n--) {
		uint8_t column = (uint8_t)draw(24), kind = draw(3) ? ROWS_SAMPLE : (uint8_t)draw(ROWS_VALUES), which = (uint8_t)draw(32);
		buf_append(b, &column, 1);
		buf_append(b, &kind, 1);
		if (kind != ROWS_NULL)
			buf_append(b, &which, 1);
		if (kind == ROWS_TEXT || kind == ROWS_BLOB)
			put_bytes(b, which);
		else if (kind == ROWS_LARGE)
			put_bytes(b, 7);
	}
}

static void
put_stored(struct buf *b, unsigned what)
{
	uint8_t number = (uint8_t)draw(4);

	if (what == STORED_ROW) {
		put_row(b);
	} else if (what == STORED_DAMAGE) {
		put_bytes(b, 3 + draw(8));
	} else if (what == STORED_FILE || what == STORED_BOARD) {
		buf_append(b, &number, 1);
		put_bytes(b, 4 * draw(4));
	}
}

/* ---- steps ---- */

struct steps {
	size_t at[STEPS_MAX + 1]; /* where each begins; the last: where all end */
	unsigned count;
};

static void
find_steps(const uint8_t *data, size_t size, struct steps *s)
{
	size_t at = 0;

	for (s->count = 0; at + HEAD <= size && s->count < STEPS_MAX; s->count++) {
		size_t len = (size_t)data[at + 2] | (size_t)data[at + 3] << 8;
		s->at[s->count] = at;
		at += HEAD + (len < size - at - HEAD ? len : size - at - HEAD);
	}
	s->at[s->count] = at;
}

/* Puts bytes in place of data[from, to). Returns the new size; the old one if there is no room. */
static size_t
splice(uint8_t *data, size_t size, size_t max, size_t from, size_t to, const uint8_t *bytes, size_t len)
{
	if (size - (to - from) + len > max)
		return size;
	memmove(data + from + len, data + to, size - to);
	if (len)
		memcpy(data + from, bytes, len);
	return size - (to - from) + len;
}

static size_t
insert_new(uint8_t *data, size_t size, size_t max, size_t at, unsigned steps)
{
	struct buf b;
	uint8_t head[HEAD] = { CORE_SAY };

	buf_init(&b);
	buf_append(&b, head, HEAD);
	uint8_t what = draw(3) ? (uint8_t)draw(2) * CORE_SERVE : (uint8_t)draw(steps);
	if (steps > CORE_STEPS && draw(2))
		what = draw(4) ? STORED_ROW : (uint8_t)(CORE_STEPS + draw(steps - CORE_STEPS));
	if (what >= CORE_STEPS)
		put_stored(&b, what);
	else if (what == CORE_SAY)
		put_call(&b);
	else if (what == CORE_ANSWER || what == CORE_CONTROL || what == CORE_RING)
		put_answer(&b, what == CORE_CONTROL);
	else if (what == CORE_DIE || what == CORE_BOARD || what == CORE_STDERR)
		put_number(&b);
	if (!b.failed && b.len < CALL_MAX) {
		b.data[0] = what;
		b.data[1] = (uint8_t)(draw(3) ? draw(4) : draw(256));
		b.data[2] = (uint8_t)((b.len - HEAD) & 255);
		b.data[3] = (uint8_t)((b.len - HEAD) >> 8);
		size = splice(data, size, max, at, at, b.data, b.len);
	}
	buf_clear(&b);
	return size;
}

static size_t
copy_step(uint8_t *data, size_t size, size_t max, const struct steps *s, unsigned from, unsigned to)
{
	uint8_t copy[CALL_MAX];
	size_t len = s->at[from + 1] - s->at[from];

	if (len > sizeof copy)
		return size;
	memcpy(copy, data + s->at[from], len);
	return splice(data, size, max, s->at[to], s->at[to], copy, len);
}

/* The data of one step, its length kept right. */
static size_t
mutate_one(uint8_t *data, size_t size, size_t max, const struct steps *s, unsigned i)
{
	uint8_t copy[CALL_MAX];
	size_t begin = s->at[i] + HEAD, end = s->at[i + 1], len = end - begin;

	if (!len || len > sizeof copy)
		return size;
	memcpy(copy, data + begin, len);
	size_t now = LLVMFuzzerMutate(copy, len, sizeof copy), all = splice(data, size, max, begin, end, copy, now);
	if (all == size - len + now) {
		data[begin - 2] = (uint8_t)(now & 255);
		data[begin - 1] = (uint8_t)(now >> 8);
	}
	return all;
}

size_t
mutate(uint8_t *data, size_t size, size_t max, unsigned seed, unsigned steps)
{
	struct steps s;

	state = seed | 1;
	draw(1);
	find_steps(data, size, &s);
	unsigned one = s.count ? draw(s.count) : 0;
	switch (s.count ? draw(10) : 3) {
	case 0:
		return LLVMFuzzerMutate(data, size, max);
	case 1:
	case 2:
		return mutate_one(data, size, max, &s, one);
	case 3:
	case 4:
	case 5:
	case 6:
		return insert_new(data, size, max, s.at[s.count ? draw(s.count + 1) : 0], steps);
	case 7:
		return copy_step(data, size, max, &s, one, draw(s.count));
	case 8:
		return splice(data, size, max, s.at[one], s.at[one + 1], NULL, 0);
	default:
		data[s.at[one] + draw(2)] = (uint8_t)(draw(2) ? draw(steps) : draw(256));
		return size;
	}
}

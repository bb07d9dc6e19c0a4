#include "daemon/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fault.h"
#include "daemon/identity.h"
#include "daemon/pool.h"
#include "proto/pack.h"
#include "proto/utf8.h"

enum { VARIABLES_MAX = 4096, BYTES_MAX = 1024 * 1024 };

struct variable {
	const char *name;
	size_t name_len;
	const char *value; /* NULL: unset */
	size_t value_len;
	bool is_bin;
};

struct environment {
	struct variable *variable;
	unsigned count;
	size_t bytes;
};

static bool
set(struct environment *e, struct variable v)
{
	unsigned i = 0;
	while (i < e->count && (e->variable[i].name_len != v.name_len || memcmp(e->variable[i].name, v.name, v.name_len) != 0))
		i++;
	e->bytes += v.name_len + v.value_len + 2;
	if (i == VARIABLES_MAX || e->bytes > BYTES_MAX)
		return false;
	e->variable[i] = v;
	e->count += i == e->count;
	return true;
}

static bool
set_text(struct environment *e, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals)
		return true;
	return set(e, (struct variable){ .name = text, .name_len = (size_t)(equals - text), .value = equals + 1, .value_len = strlen(equals + 1) });
}

/* One pair of the option. */
static bool
set_pair(struct environment *e, struct reader *own, char *why, size_t size)
{
	struct variable v = { .value = NULL };

	if (!read_str(own, &v.name, &v.name_len) || !v.name_len || memchr(v.name, '=', v.name_len) || memchr(v.name, 0, v.name_len)) {
		snprintf(why, size, "expected names that are str, not empty, without '=' and NUL");
		return false;
	}
	v.is_bin = reader_peek(own) == READER_BIN;
	if (!read_nil(own) && (!read_text(own, &v.value, &v.value_len) || memchr(v.value, 0, v.value_len))) {
		snprintf(why, size, "%.*s: expected str or bin without NUL, or nil to unset it", (int)(v.name_len < 64 ? v.name_len : 64), v.name);
		return false;
	}
	if (v.value && !v.is_bin && !utf8_is_valid(v.value, v.value_len)) {
		snprintf(why, size, "%.*s: expected a str in UTF-8, or bin for other bytes", (int)(v.name_len < 64 ? v.name_len : 64), v.name);
		return false;
	}
	if (set(e, v))
		return true;
	snprintf(why, size, "expected at most %d variables and %d bytes", VARIABLES_MAX, BYTES_MAX);
	return false;
}

static bool
encode(const struct environment *e, struct bytes *out)
{
	struct buf b;
	unsigned count = 0;

	for (unsigned i = 0; i < e->count; i++)
		count += e->variable[i].value != NULL;
	buf_init(&b);
	pack_array(&b, count);
	for (unsigned i = 0; i < e->count; i++) {
		const struct variable *v = &e->variable[i];
		size_t len = v->name_len + 1 + v->value_len;
		if (!v->value)
			continue;
		if (v->is_bin)
			pack_bin_header(&b, len);
		else
			pack_str_header(&b, len);
		buf_append(&b, v->name, v->name_len);
		buf_append(&b, "=", 1);
		buf_append(&b, v->value, v->value_len);
	}
	bool done = bytes_take(out, &b);
	buf_clear(&b);
	return done;
}

/* What a task has without an environment of its own. */
static bool
set_base(struct environment *e, const struct pool *p)
{
	char *const *common = identity_env(identity_of(p->config));
	bool good = true;

	for (char **leak = environ; FAULT(environment_leaks) && *leak; leak++)
		set_text(e, *leak);
	for (; good && *common; common++)
		good = set_text(e, *common);
	for (size_t i = 0; good && i < p->config->env.count; i++)
		good = set_text(e, p->config->env.item[i]);
	return good;
}

bool
environment_make(const struct pool *p, struct reader own, struct bytes *out, char *why, size_t size)
{
	struct environment e = { .variable = malloc(VARIABLES_MAX * sizeof *e.variable) };
	uint32_t pairs = 0;
	bool good = e.variable != NULL && set_base(&e, p);

	snprintf(why, size, "the daemon is out of memory");
	if (good && !reader_is_at_end(&own) && !(good = read_map(&own, &pairs)))
		snprintf(why, size, "expected a map of names to str, bin or nil, got %s", reader_type_name(reader_peek(&own)));
	while (good && pairs--)
		good = set_pair(&e, &own, why, size);
	good = good && encode(&e, out);
	free(e.variable);
	return good;
}

/* ---- what of it is the task's own ---- */

static const struct variable *
find(const struct environment *e, const char *name, size_t len)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->variable[i].name_len == len && memcmp(e->variable[i].name, name, len) == 0)
			return &e->variable[i];
	return NULL;
}

/* "NAME=value" as a pair, unless the base has it. */
static bool
pack_if_own(struct buf *b, const struct environment *base, struct reader *entry, bool fresh)
{
	bool is_bin = reader_peek(entry) == READER_BIN;
	const char *text = NULL, *equals;
	size_t len = 0;

	if (!read_text(entry, &text, &len) || !(equals = memchr(text, '=', len)))
		return false;
	size_t name_len = (size_t)(equals - text), value_len = len - name_len - 1;
	const struct variable *v = find(base, text, name_len);
	if (v && (!fresh || (v->value_len == value_len && memcmp(v->value, equals + 1, value_len) == 0)))
		return false;
	pack_text(b, text, name_len);
	if (is_bin)
		pack_bin(b, equals + 1, value_len);
	else
		pack_text(b, equals + 1, value_len);
	return true;
}

static bool
has(const struct bytes *env, const struct variable *v)
{
	struct reader r;
	uint32_t count = 0;
	const char *text;
	size_t len;

	reader_init(&r, bytes_data(env), bytes_len(env));
	for (read_array(&r, &count); count && read_text(&r, &text, &len); count--)
		if (len > v->name_len && text[v->name_len] == '=' && memcmp(text, v->name, v->name_len) == 0)
			return true;
	return false;
}

bool
environment_pack_own(struct buf *b, const struct pool *p, const struct bytes *env, bool fresh, size_t most)
{
	struct environment base = { .variable = malloc(VARIABLES_MAX * sizeof *base.variable) };
	uint32_t count = 0, own = 0;
	struct reader r;
	struct buf pairs;

	buf_init(&pairs);
	bool good = base.variable && set_base(&base, p);
	reader_init(&r, bytes_data(env), bytes_len(env));
	for (good = good && read_array(&r, &count); good && count; count--)
		own += pack_if_own(&pairs, &base, &r, fresh);
	for (unsigned i = 0; good && fresh && i < base.count; i++)
		if (!has(env, &base.variable[i])) {
			pack_text(&pairs, base.variable[i].name, base.variable[i].name_len);
			pack_nil(&pairs);
			own++;
		}
	good = good && !pairs.failed && pairs.len <= most;
	if (good) {
		pack_map(b, own);
		pack_raw(b, pairs.data, pairs.len);
	}
	buf_clear(&pairs);
	free(base.variable);
	return good;
}

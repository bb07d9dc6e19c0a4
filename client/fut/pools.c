/* The pools that there are. */
#include "client/fut/pools.h"

#include <stdlib.h>
#include <string.h>

#include "client/fut/guess.h"
#include "client/fut/writer.h"

/* All of them, until `each` returns false. */
static void
each_pool(struct fut *f, bool (*each)(struct futured_value map, void *data), void *data)
{
	struct futured_value inside, map;
	struct futured_reply *reply = NULL;
	size_t n;

	if (futured_callf(f->c, &reply, "pools", "") == FUTURED_OK && futured_value_array(futured_reply_value(reply), &n, &inside))
		while (futured_value_next(&inside, &map) && each(map, data))
			;
	futured_reply_free(reply);
}

struct search {
	const char *name;
	char *kind;
};

static bool
find_kind(struct futured_value map, void *data)
{
	struct search *s = data;
	struct futured_value name;

	if (futured_value_find(map, "name", &name) && futured_value_is_str(name, s->name))
		s->kind = cell_text(map, "kind");
	return s->kind == NULL;
}

char *
pools_kind(struct fut *f, const char *name)
{
	struct search s = { .name = name };

	each_pool(f, find_kind, &s);
	return s.kind;
}

bool
pools_is_command(struct fut *f, const char *name)
{
	char *kind = pools_kind(f, name);
	bool is = kind != NULL && strcmp(kind, "command") == 0;

	free(kind);
	return is;
}

enum { NAMES_MOST = 1000 };

struct names {
	char *name[NAMES_MOST + 1]; /* ends with NULL */
	size_t count;
};

static bool
take_name(struct futured_value map, void *data)
{
	struct names *names = data;

	if ((names->name[names->count] = cell_text(map, "name")) != NULL)
		names->count++;
	return names->count < NAMES_MOST;
}

int
pools_unknown(struct fut *f, const char *name)
{
	struct names names = { .count = 0 };
	char *hint;

	if (!f->json)
		each_pool(f, take_name, &names);
	hint = f->json ? need(strdup("")) : guess_text(guess_word(name, (const char *const *)names.name), "; `fut pool ls` lists the pools");
	fut_error(f, FUTURED_UNKNOWN_POOL, "there is no pool '%s'%s", name, hint);
	free(hint);
	while (names.count > 0)
		free(names.name[--names.count]);
	return fut_failed(f);
}

void
pools_unknown_in(struct fut *f, const char *message, size_t len)
{
	const char *begin = memchr(message, '\'', len), *end = memrchr(message, '\'', len);
	char *name;

	if (begin == NULL || begin == end) {
		fut_error(f, FUTURED_UNKNOWN_POOL, "%.*s", (int)len, message);
		return;
	}
	name = need(strndup(begin + 1, (size_t)(end - begin) - 1));
	pools_unknown(f, name);
	free(name);
}

int
pools_check(struct fut *f, const char *name)
{
	char *kind = pools_kind(f, name);
	int status = kind != NULL ? EXIT_OK : pools_unknown(f, name);

	free(kind);
	return status;
}

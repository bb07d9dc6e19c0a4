/* Walking over the daemon's futures. */
#include "client/fut/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/fut/args.h"
#include "client/fut/json.h"
#include "client/fut/text.h"
#include "client/fut/writer.h"

enum { PAGE = 1000 };

static const struct {
	const char *name;
	unsigned states;
	const char *wire;
} names[] = {
	{ "pending", LIST_PENDING, "PENDING" },
	{ "running", LIST_RUNNING, "RUNNING" },
	{ "cancelled", LIST_CANCELLED, "CANCELLED" },
	{ "finished", LIST_SUCCEEDED | LIST_FAILED, "FINISHED" },
	{ "succeeded", LIST_SUCCEEDED, "FINISHED" },
	{ "failed", LIST_FAILED, "FINISHED" },
};
enum { NAMES = sizeof names / sizeof names[0] };

bool
list_states(struct fut *f, const char *text, struct list_filter *filter)
{
	const char *at = text;
	bool one = strchr(text, ',') == NULL;

	for (;;) {
		size_t len = strcspn(at, ","), i = 0;

		while (i < NAMES && (strlen(names[i].name) != len || strncasecmp(at, names[i].name, len) != 0))
			i++;
		if (i == NAMES) {
			args_wrong(f, "--state: expected pending, running, cancelled, finished, succeeded or failed, got '%.*s'", (int)len, at);
			return false;
		}
		filter->states |= names[i].states;
		filter->state = one ? names[i].wire : NULL;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

static bool
is_wanted(const struct list_filter *filter, struct futured_value map)
{
	struct futured_value state;
	bool failed = false;
	unsigned is = 0;

	if (filter->states == 0)
		return true;
	futured_find_bool(map, "failed", &failed);
	futured_value_find(map, "state", &state);
	for (size_t i = 0; i < NAMES && is == 0; i++)
		if (futured_value_is_str(state, names[i].wire))
			is = names[i].states;
	if (is == (LIST_SUCCEEDED | LIST_FAILED))
		is = failed ? LIST_FAILED : LIST_SUCCEEDED;
	return (is & filter->states) != 0;
}

static enum futured_status
ask_page(struct fut *f, const struct list_filter *filter, uint64_t after, struct futured_reply **reply)
{
	struct futured_options *o = need(futured_options_new());
	struct futured_pack *p = need(futured_pack_new());
	enum futured_status status;

	if (filter->pool != NULL)
		futured_options_set(o, "pool", "s", filter->pool);
	if (filter->tag != NULL)
		futured_options_set(o, "tag", "s", filter->tag);
	if (filter->name != NULL)
		futured_options_set(o, "name", "s", filter->name);
	if (filter->state != NULL)
		futured_options_set(o, "state", "s", filter->state);
	futured_options_set(o, "limit", "i", PAGE);
	futured_options_set(o, "after", "u", after);
	futured_options_pack(o, p);
	status = futured_call(f->c, "list", p, -1, reply);
	futured_options_free(o);
	futured_pack_free(p);
	return status;
}

/* False when no more is wanted. */
static bool
take_map(const struct list_filter *filter, struct futured_value map, bool (*each)(struct futured_value map, void *data),
	void *data, int64_t *taken)
{
	double submitted;

	if (filter->since > 0 && futured_find_number(map, "submitted", &submitted) && submitted < filter->since)
		return true;
	if (!is_wanted(filter, map))
		return true;
	if (filter->most > 0 && *taken >= filter->most)
		return false;
	++*taken;
	return each(map, data);
}

static int
walk(struct fut *f, const struct list_filter *filter, bool (*each)(struct futured_value map, void *data), void *data)
{
	int64_t taken = 0;
	uint64_t after = filter->after;
	size_t n = PAGE;
	bool more = true;

	while (n >= PAGE && more) {
		struct futured_reply *reply;
		struct futured_value inside, map;

		if (ask_page(f, filter, after, &reply) != FUTURED_OK) {
			int status = fut_refused(f, reply);

			futured_reply_free(reply);
			return status;
		}
		if (!futured_value_array(futured_reply_value(reply), &n, &inside))
			n = 0;
		while (more && futured_value_next(&inside, &map)) {
			futured_find_uint(map, "id", &after);
			more = take_map(filter, map, each, data, &taken);
		}
		futured_reply_free(reply);
	}
	return EXIT_OK;
}

/* ---- the newest ---- */

/* The first id behind this one; 0: none. False: *refused is what the daemon said, if it did. */
static bool
first_behind(struct fut *f, double timeout, uint64_t after, uint64_t *id, struct futured_reply **refused)
{
	struct futured_pack *p = need(futured_pack_new());
	struct futured_value inside, map;
	struct futured_reply *reply;
	enum futured_status called;
	size_t n;

	*id = 0;
	futured_packf(p, "{su si}", "after", after, "limit", 1);
	called = futured_call(f->c, "list", p, timeout, &reply);
	futured_pack_free(p);
	if (called != FUTURED_OK) {
		*refused = reply;
		return false;
	}
	if (futured_value_array(futured_reply_value(reply), &n, &inside) && futured_value_next(&inside, &map))
		futured_find_uint(map, "id", id);
	futured_reply_free(reply);
	return true;
}

/* Steps that double until nothing is behind them, then halves of what is between. */
bool
list_last(struct fut *f, double timeout, uint64_t *last, struct futured_reply **refused)
{
	uint64_t id, step = 1, none = 0;

	*last = 0;
	while (none == 0 || none > *last + 1) {
		uint64_t at = none == 0 ? *last + step : *last + (none - *last) / 2;

		if (!first_behind(f, timeout, at - 1, &id, refused))
			return false;
		if (id == 0)
			none = at;
		else {
			*last = id;
			step = none == 0 ? 2 * step : step;
		}
	}
	return true;
}

struct gathered {
	uint64_t *ids;
	size_t n, cap;
};

static bool gather(struct futured_value map, void *data);

/* Where to begin so that so many are left: looks at ever more of the end, as the filter may pass over most of them. */
static int
begin_of_newest(struct fut *f, const struct list_filter *filter, uint64_t *after)
{
	uint64_t last, span = 2 * (uint64_t)filter->most + PAGE;
	struct gathered g = { NULL, 0, 0 };
	struct futured_reply *refused;
	int status = EXIT_OK;

	if (!list_last(f, -1, &last, &refused)) {
		status = fut_refused(f, refused);
		futured_reply_free(refused);
	}
	for (*after = 0; status == EXIT_OK; span *= 8) {
		struct list_filter all = *filter;

		all.most = 0;
		all.after = last > span ? last - span : 0;
		g.n = 0;
		if ((status = walk(f, &all, gather, &g)) != EXIT_OK)
			break;
		if (g.n >= (size_t)filter->most)
			*after = g.ids[g.n - (size_t)filter->most] - 1;
		if (g.n >= (size_t)filter->most || all.after == 0)
			break;
	}
	free(g.ids);
	return status;
}

int
list_each(struct fut *f, const struct list_filter *filter, bool (*each)(struct futured_value map, void *data), void *data)
{
	struct list_filter from = *filter;
	int status = EXIT_OK;

	if (filter->newest && filter->most > 0)
		status = begin_of_newest(f, filter, &from.after);
	return status == EXIT_OK ? walk(f, &from, each, data) : status;
}

static bool
gather(struct futured_value map, void *data)
{
	struct gathered *g = data;

	if (g->n == g->cap)
		g->ids = need(realloc(g->ids, (g->cap = 2 * g->cap + 256) * sizeof *g->ids));
	g->n += futured_find_uint(map, "id", &g->ids[g->n]);
	return true;
}

int
list_ids(struct fut *f, const struct list_filter *filter, uint64_t **ids, size_t *n)
{
	struct gathered g = { *ids, *n, *n };
	int status = list_each(f, filter, gather, &g);

	*ids = g.ids;
	*n = g.n;
	return status;
}

/* Words as a person would type them, as far as that can be told. */
static void
print_args(FILE *out, struct futured_value args)
{
	struct futured_value inside, item;
	const char *s;
	size_t n, len;

	if (!futured_value_array(args, &n, &inside))
		return;
	while (futured_value_next(&inside, &item)) {
		fputc(' ', out);
		if (futured_value_text(item, &s, &len))
			text_shell_word(out, s, len);
		else
			jsonout_value(out, item);
	}
}

char *
list_command(struct futured_value map)
{
	struct futured_value args;
	char *text = NULL;
	const char *fn;
	size_t len;
	FILE *out;

	if (!futured_find_text(map, "fn", &fn, &len))
		return NULL;
	out = need(open_memstream(&text, &(size_t){ 0 }));
	text_shell_word(out, fn, len);
	if (futured_value_find(map, "args", &args))
		print_args(out, args);
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

char *
list_title(struct futured_value map)
{
	char *text = cell_text(map, "name");

	if (text != NULL && *text != '\0')
		return text;
	free(text);
	return list_command(map);
}

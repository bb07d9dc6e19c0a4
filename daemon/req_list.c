/* list, show, failures: futures as maps. */
#include <stdlib.h>
#include <string.h>

#include "daemon/access.h"
#include "daemon/describe.h"
#include "daemon/handlers.h"
#include "daemon/registry.h"
#include "daemon/slot.h"
#include "daemon/walk.h"
#include "proto/pack.h"

enum { LIST_MAX = 10000, LIST_BYTES = 8 * 1024 * 1024 };

struct filter {
	bool has_state;
	enum future_state state;
	char *pool, *name, *tag; /* owned; NULL: any */
	int64_t limit;
	uint64_t after;
	bool failures, see;
};

static void
filter_free(struct filter *f)
{
	free(f->pool);
	free(f->name);
	free(f->tag);
	free(f);
}

static bool
read_state(struct request *r, struct reader *value, struct filter *f)
{
	struct reader at = *value;
	const char *s;
	size_t len;

	f->has_state = true;
	if (read_str(&at, &s, &len) && future_state_find(s, len, &f->state))
		return true;
	return option_wrong(r, "state", "PENDING, RUNNING, CANCELLED or FINISHED", value);
}

static bool
read_copy(struct request *r, const char *name, struct reader *value, char **out)
{
	const char *s;
	size_t len;

	if (!option_text(r, name, value, 1024, &s, &len))
		return false;
	free(*out);
	*out = strndup(s, len);
	return *out != NULL;
}

static bool
read_after(struct request *r, struct reader *value, struct filter *f)
{
	struct reader at = *value;
	return (read_uint(&at, &f->after) && f->after <= REGISTRY_ID_MAX) || option_wrong(r, "after", "a future id", value);
}

static bool
read_filter(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	struct filter *f = arg;
	struct reader nil = *value;

	bool known = key_is(key, len, "pool") || key_is(key, len, "state") || key_is(key, len, "name") || key_is(key, len, "tag") ||
	    key_is(key, len, "limit") || key_is(key, len, "after");
	if (!known)
		return option_unknown(r, key, len);
	if (read_nil(&nil))
		return true;
	if (key_is(key, len, "pool"))
		return read_copy(r, "pool", value, &f->pool);
	if (key_is(key, len, "state"))
		return read_state(r, value, f);
	if (key_is(key, len, "name"))
		return read_copy(r, "name", value, &f->name);
	if (key_is(key, len, "tag"))
		return read_copy(r, "tag", value, &f->tag);
	if (key_is(key, len, "limit"))
		return option_int(r, "limit", value, 0, INT32_MAX, &f->limit);
	return read_after(r, value, f);
}

static bool
has_tag(const struct spec *spec, const char *tag)
{
	struct reader r;
	uint32_t count;

	reader_init(&r, bytes_data(&spec->tags), bytes_len(&spec->tags));
	if (!bytes_len(&spec->tags) || !read_array(&r, &count))
		return false;
	while (count--) {
		if (read_is(&r, tag))
			return true;
		read_skip(&r);
	}
	return false;
}

static bool
matches(const struct filter *want, struct future *f)
{
	const struct spec *spec = f->spec;

	if (want->failures)
		return f->state == FUTURE_FINISHED && f->failed && !f->seen;
	if (want->has_state) {
		slot_look(f);
		if (f->state != want->state)
			return false;
	}
	if (want->pool && strcmp(spec->pool->name, want->pool) != 0)
		return false;
	if (want->name && (!spec->name || strcmp(spec->name, want->name) != 0))
		return false;
	return !want->tag || has_tag(spec, want->tag);
}

static struct filter *
filter_of(const struct walk *w)
{
	return (struct filter *)(uintptr_t)w->a;
}

static struct future *
next_known(struct walk *w, uint64_t id)
{
	(void)w;
	uint64_t found = registry_after(id + 1);
	return found ? registry_find(found) : NULL;
}

static bool
visit(struct walk *w, struct conn *c, uint64_t id, struct future *f)
{
	struct filter *want = filter_of(w);

	if ((int64_t)w->count >= want->limit)
		return false;
	if (!access_may_see(c, f) || !matches(want, f))
		return true;
	if (want->failures && c->role != ROLE_READ_ONLY && !access_may_change(c, f))
		return true; /* an error is its owner's to look at */
	if (w->out.len > conn_message_limit() / 2 || w->out.len > LIST_BYTES)
		return false; /* the rest is had with `after` */
	describe_future(&w->out, f, want->failures ? DESCRIBE_ERROR : DESCRIBE_ROW);
	if (want->see && !ids_add(&w->ids, id, 1))
		w->out.failed = true;
	w->count++;
	return true;
}

/* Once it is said, and no sooner: the connection may have ended in between. */
static void
see_them(struct walk *w)
{
	uint64_t id;

	while (ids_next(&w->ids, &id)) {
		struct future *f = registry_find(id);
		if (f)
			future_see(f);
	}
}

/* The count is known only now: it goes in front. */
static void
finish(struct walk *w)
{
	struct buf whole;

	buf_init(&whole);
	pack_array(&whole, (size_t)w->count);
	buf_append(&whole, w->out.data, w->out.len);
	whole.failed |= w->out.failed;
	buf_clear(&w->out);
	w->out = whole;
	if (!whole.failed)
		see_them(w);
}

static void
clear(struct walk *w)
{
	filter_free(filter_of(w));
}

static void
begin(struct request *r, struct filter *f)
{
	struct walk w = { .visit = visit, .finish = finish, .next = next_known, .clear = clear, .a = (uintptr_t)f, .last = f->after };

	if (f->limit > LIST_MAX)
		f->limit = LIST_MAX;
	walk_begin(r, &w);
}

static struct filter *
new_filter(struct request *r)
{
	struct filter *f = calloc(1, sizeof *f);
	if (f)
		f->limit = LIST_MAX;
	else
		request_no_memory(r);
	return f;
}

void
req_list(struct request *r)
{
	struct filter *f = new_filter(r);

	if (!f)
		return;
	if (options_read(r, read_filter, f))
		begin(r, f);
	else
		filter_free(f);
}

static bool
read_seen(struct request *r, const char *key, size_t len, struct reader *value, void *arg)
{
	if (key_is(key, len, "seen"))
		return option_bool(r, "seen", value, arg);
	return option_unknown(r, key, len);
}

void
req_failures(struct request *r)
{
	struct filter *f = new_filter(r);

	if (!f)
		return;
	f->failures = true;
	if (options_read(r, read_seen, &f->see)) {
		f->see &= r->conn->role != ROLE_READ_ONLY;
		begin(r, f);
	} else {
		filter_free(f);
	}
}

void
req_show(struct request *r)
{
	struct buf whole;
	struct future *f;
	uint64_t id;

	if (!param_id(r, "id", &id) || !(f = request_future(r, id)))
		return;
	buf_init(&whole);
	describe_future(&whole, f, access_may_change(r->conn, f) ? DESCRIBE_OWN : DESCRIBE_WHOLE);
	conn_begin_settled(r->conn, future_is_settled(f));
	request_encoded(r, &whole);
	conn_end_settled(r->conn);
}

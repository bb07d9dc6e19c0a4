#include "daemon/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/owner.h"
#include "daemon/registry.h"
#include "daemon/server.h"
#include "daemon/spec.h"
#include "proto/error.h"
#include "proto/worker.h"

enum { FN_MAX = 1024 * 1024, DIGITS_MAX = 20 };

bool
record_is_text(struct replay_text t, size_t most)
{
	return t.at && t.len && t.len <= most && !memchr(t.at, 0, t.len) && utf8_is_valid(t.at, t.len);
}

bool
record_is_owner(struct replay_text t)
{
	return record_is_text(t, sizeof ((struct owner *)0)->name - 1);
}

bool
record_is_value(const void *data, size_t len, enum reader_type type, unsigned depth)
{
	struct reader r;

	reader_init(&r, data, len);
	if (!len || (type != READER_END && reader_peek(&r) != type) || reader_depth(&r) > depth)
		return false;
	return read_skip(&r) && reader_is_at_end(&r);
}

bool
record_is_texts(struct replay_text t, bool utf8)
{
	struct reader r;
	uint32_t count;
	const char *s;
	size_t len;

	reader_init(&r, t.at, t.len);
	if (!t.len || !read_array(&r, &count))
		return false;
	while (count--)
		if (utf8 ? !read_str(&r, &s, &len) || !utf8_is_valid(s, len) : !read_text(&r, &s, &len))
			return false;
	return reader_is_at_end(&r);
}

bool
record_is_pairs(struct replay_text t, uint64_t pairs)
{
	struct reader r;
	const char *key;
	size_t len;

	reader_init(&r, t.at, t.len);
	for (; pairs && !reader_is_at_end(&r); pairs--)
		if (!read_str(&r, &key, &len) || reader_depth(&r) > WORKER_VALUE_DEPTH || !read_skip(&r))
			return false;
	return !pairs && reader_is_at_end(&r);
}

bool
record_is_error(const void *data, size_t len)
{
	struct error_view view;
	struct reader r;

	reader_init(&r, data, len);
	return record_is_value(data, len, READER_MAP, WORKER_VALUE_DEPTH + 2) && error_read(&r, &view); /* 2: its map, and that of an error whose cause it is */
}

bool
record_read_number(struct replay_text t, size_t at, int64_t *out)
{
	char text[DIGITS_MAX + 1], *end;

	if (at > t.len || t.len - at > DIGITS_MAX || memchr(t.at + at, 0, t.len - at))
		return false;
	memcpy(text, t.at + at, t.len - at);
	text[t.len - at] = '\0';
	errno = 0;
	*out = strtoll(text, &end, 10);
	return !errno && end > text && !*end;
}

static bool
read_id(const char **at, const char *end, int64_t *out)
{
	bool negative = *at < end && **at == '-';
	const char *begin = *at += negative;
	uint64_t id = 0;

	for (; *at < end && **at >= '0' && **at <= '9' && id <= REGISTRY_ID_MAX; ++*at)
		id = id * 10 + (uint64_t)(**at - '0');
	*out = negative ? -(int64_t)id : (int64_t)id;
	return *at > begin && id >= 1 && id <= REGISTRY_ID_MAX;
}

bool
record_read_ids(struct replay_text t, int64_t *out, size_t most, size_t *count)
{
	const char *at = t.at ? t.at : "", *end = at + t.len;
	int64_t id;

	for (*count = 0; at < end && *at == (*count ? ',' : '['); ++*count) {
		at++;
		if (!read_id(&at, end, &id))
			return false;
		if (*count < most)
			out[*count] = id;
	}
	return *count && at + 1 == end && *at == ']';
}

/* ---- a spec ---- */

static bool
keep(struct replay_text *t, bool good)
{
	if (!good)
		*t = (struct replay_text){ .at = NULL };
	return good;
}

static bool
keep_within(uint64_t *us, uint64_t instead)
{
	bool good = *us <= REPLAY_LONGEST_US;
	if (!good)
		*us = instead;
	return good;
}

static bool
mend_stdin(struct replay_spec *s)
{
	bool future = s->stdin_kind == SPEC_STDIN_FUTURE;

	if (s->stdin_kind >= SPEC_STDIN_NONE && s->stdin_kind <= SPEC_STDIN_FUTURE && (!future || (s->stdin_future && s->stdin_future <= REGISTRY_ID_MAX)))
		return true;
	s->stdin_kind = SPEC_STDIN_NONE;
	return false;
}

bool
record_mend_spec(struct replay_spec *s)
{
	bool good = keep(&s->pool, record_is_text(s->pool, POOL_NAME_MAX));

	good &= keep(&s->owner, record_is_owner(s->owner));
	good &= keep(&s->fn, record_is_text(s->fn, FN_MAX));
	good &= keep(&s->kwargs, !s->kwargs.len || record_is_value(s->kwargs.at, s->kwargs.len, READER_MAP, WORKER_VALUE_DEPTH + 1));
	good &= keep(&s->env, !s->env.len || record_is_texts(s->env, false));
	if (!keep(&s->run, record_is_pairs(s->run, s->run_pairs))) {
		s->run_pairs = 0;
		good = false;
	}
	good &= mend_stdin(s);
	good &= s->retries <= SPEC_RETRIES_MAX;
	good &= keep_within(&s->timeout_us, 0);
	good &= s->deadline_us == UINT64_MAX || keep_within(&s->deadline_us, UINT64_MAX);
	good &= keep_within(&s->delay_us, 0);
	good &= keep_within(&s->retry_delay_us, 0);
	good &= keep_within(&s->retain_us, server_config()->retain_us);
	keep(&s->name, !s->name.len || record_is_text(s->name, SPEC_NAME_MAX));
	keep(&s->tags, record_is_texts(s->tags, true));
	return good;
}

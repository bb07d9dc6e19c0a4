/* Options of a call, set one at a time. */
#include "client/settings.h"

#include <stdlib.h>
#include <string.h>

#include "proto/pack.h"

struct futured_options *
futured_options_new(void)
{
	return calloc(1, sizeof(struct futured_options));
}

void
futured_options_free(struct futured_options *o)
{
	if (o != NULL)
		packer_clear(&o->pairs);
	free(o);
}

bool
options_has(const struct futured_options *o, const char *key)
{
	struct futured_value cursor, k, v;

	if (o == NULL)
		return false;
	cursor = futured_pack_value(&o->pairs);
	while (futured_value_next(&cursor, &k) && futured_value_next(&cursor, &v))
		if (futured_value_is_str(k, key))
			return true;
	return false;
}

void
futured_options_set(struct futured_options *o, const char *key, const char *format, ...)
{
	va_list ap;

	if (options_has(o, key)) {
		o->pairs.wrong = true;
		return;
	}
	futured_pack_str(&o->pairs, key);
	va_start(ap, format);
	futured_vpackf(&o->pairs, format, ap);
	va_end(ap);
	o->count++;
	if (o->pairs.values != 2 * o->count)
		o->pairs.wrong = true;
}

void
futured_options_pack(const struct futured_options *o, struct futured_pack *p)
{
	futured_pack_map(p, o == NULL ? 0 : o->count);
	if (o == NULL || o->count == 0)
		return;
	if (futured_pack_status(&o->pairs) == FUTURED_VALUE)
		p->wrong = true;
	if (o->pairs.buf.failed)
		p->buf.failed = true;
	pack_raw(&p->buf, o->pairs.buf.data, o->pairs.buf.len);
	p->owed -= 2 * (uint64_t)o->count;
}

struct futured_options *
options_copy(const struct futured_options *o)
{
	struct futured_options *copy = futured_options_new();

	if (copy == NULL || o == NULL)
		return copy;
	copy->count = o->count;
	copy->pairs.owed = o->pairs.owed;
	copy->pairs.values = o->pairs.values;
	copy->pairs.wrong = o->pairs.wrong;
	if (o->pairs.buf.len > 0)
		buf_append(&copy->pairs.buf, o->pairs.buf.data, o->pairs.buf.len);
	copy->pairs.buf.failed |= o->pairs.buf.failed;
	if (copy->pairs.buf.failed) {
		futured_options_free(copy);
		return NULL;
	}
	return copy;
}

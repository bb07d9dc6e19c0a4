/* The parameters of submit and map, and the keys that make them safe to repeat. */
#include "client/submission.h"
#include "client/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "proto/pack.h"

enum futured_status
futured_set_keys(struct futured *c, bool on)
{
	uint64_t random[2];

	if (on && c->key_prefix[0] == '\0') {
		if (getrandom(random, sizeof random, 0) != sizeof random)
			return connection_failed(c, FUTURED_SYSTEM, strerror(errno));
		snprintf(c->key_prefix, sizeof c->key_prefix, "c-%016" PRIx64 "%016" PRIx64 "-", random[0], random[1]);
	}
	c->keys = on;
	return FUTURED_OK;
}

/* The map of options, with what we add to it. */
static void
pack_options(struct futured *c, struct futured_pack *p, const struct futured_options *o, bool watch)
{
	bool key = c->keys && !options_has(o, "key") && !options_has(o, "bound");
	size_t count = o != NULL ? o->count : 0;
	char text[64];

	watch &= !options_has(o, "watch");
	futured_pack_map(p, count + watch + key);
	if (count > 0) {
		if (futured_pack_status(&o->pairs) == FUTURED_VALUE)
			p->wrong = true;
		p->buf.failed |= o->pairs.buf.failed;
		pack_raw(&p->buf, o->pairs.buf.data, o->pairs.buf.len);
		p->owed -= 2 * (uint64_t)count;
	}
	if (watch)
		futured_packf(p, "sb", "watch", 1);
	if (!key)
		return;
	snprintf(text, sizeof text, "%s%" PRIu64, c->key_prefix, ++c->key_count);
	futured_packf(p, "ss", "key", text);
}

void
submission_pack(struct futured *c, struct futured_pack *p, const char *pool, const char *fn,
	const struct futured_pack *args, const struct futured_options *options, bool watch)
{
	futured_packf(p, "ss", pool, fn);
	if (args == NULL)
		futured_pack_array(p, 0);
	else
		futured_pack_copy(p, futured_pack_value(args));
	if (args != NULL && (futured_pack_status(args) != FUTURED_OK || args->values != 1))
		p->wrong = true;
	if (args != NULL && args->buf.failed)
		p->buf.failed = true;
	pack_options(c, p, options, watch);
}

void
submission_args(struct futured_pack *args, const char *format, va_list ap)
{
	struct futured_pack values;

	packer_init(&values);
	futured_vpackf(&values, format, ap);
	futured_pack_array(args, (size_t)values.values);
	if (values.buf.len > 0)
		buf_append(&args->buf, values.buf.data, values.buf.len);
	args->owed -= values.values;
	args->wrong |= futured_pack_status(&values) == FUTURED_VALUE;
	args->buf.failed |= values.buf.failed;
	packer_clear(&values);
}

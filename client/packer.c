/* Packing values by hand. The number of values at the top is counted along the way, since they are the parameters of a call. */
#include "client/packer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/pack.h"
#include "proto/reader.h"

enum { EXT_FUTURE = 1 };

void
packer_init(struct futured_pack *p)
{
	memset(p, 0, sizeof *p);
	buf_init(&p->buf);
}

void
packer_clear(struct futured_pack *p)
{
	buf_clear(&p->buf);
	packer_init(p);
}

struct futured_pack *
futured_pack_new(void)
{
	return calloc(1, sizeof(struct futured_pack));
}

void
futured_pack_free(struct futured_pack *p)
{
	if (p != NULL)
		buf_clear(&p->buf);
	free(p);
}

void
futured_pack_reset(struct futured_pack *p)
{
	p->buf.len = 0;
	p->buf.failed = false;
	p->owed = p->values = 0;
	p->wrong = false;
}

enum futured_status
futured_pack_status(const struct futured_pack *p)
{
	if (p->buf.failed)
		return FUTURED_NO_MEMORY;
	return p->wrong || p->owed > 0 ? FUTURED_VALUE : FUTURED_OK;
}

size_t
futured_pack_size(const struct futured_pack *p)
{
	return p->buf.len;
}

struct futured_value
futured_pack_value(const struct futured_pack *p)
{
	if (p->buf.len == 0)
		return (struct futured_value){ NULL, NULL };
	return (struct futured_value){ p->buf.data, p->buf.data + p->buf.len };
}

/* One value begins, which has `inside` values of its own. */
static struct buf *
value(struct futured_pack *p, uint64_t inside)
{
	if (p->owed > 0)
		p->owed--;
	else
		p->values++;
	p->owed += inside;
	return &p->buf;
}

void
futured_pack_nil(struct futured_pack *p)
{
	pack_nil(value(p, 0));
}

void
futured_pack_bool(struct futured_pack *p, bool v)
{
	pack_bool(value(p, 0), v);
}

void
futured_pack_int(struct futured_pack *p, int64_t v)
{
	pack_int(value(p, 0), v);
}

void
futured_pack_uint(struct futured_pack *p, uint64_t v)
{
	pack_uint(value(p, 0), v);
}

void
futured_pack_double(struct futured_pack *p, double v)
{
	pack_double(value(p, 0), v);
}

void
futured_pack_str(struct futured_pack *p, const char *s)
{
	pack_cstr(value(p, 0), s);
}

void
futured_pack_bin(struct futured_pack *p, const void *bytes, size_t len)
{
	pack_bin(value(p, 0), bytes, len);
}

void
futured_pack_text(struct futured_pack *p, const char *s, size_t len)
{
	if (utf8_is_valid(s, len))
		pack_str(value(p, 0), s, len);
	else
		pack_bin(value(p, 0), s, len);
}

void
futured_pack_array(struct futured_pack *p, size_t count)
{
	pack_array(value(p, count), count);
}

void
futured_pack_map(struct futured_pack *p, size_t pairs)
{
	pack_map(value(p, 2 * (uint64_t)pairs), pairs);
}

void
futured_pack_future(struct futured_pack *p, uint64_t id)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(id >> (56 - 8 * i));
	pack_ext(value(p, 0), EXT_FUTURE, bytes, sizeof bytes);
}

void
futured_pack_copy(struct futured_pack *p, struct futured_value v)
{
	if (v.at == NULL || v.at == v.end)
		pack_nil(value(p, 0));
	else
		pack_raw(value(p, 0), v.at, (size_t)(v.end - v.at));
}

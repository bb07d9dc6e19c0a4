/* Encoding through msgpack-c's packer, whose functions are all inline: with a callback that the compiler sees, a small value
 * costs a bounds check and a store. */
#include <string.h>

#include <msgpack/pack.h>

#include "proto/pack.h"
#include "proto/utf8.h"

static inline int
write_to_buf(void *data, const char *bytes, size_t len)
{
	struct buf *b = data;

	if (len <= b->cap - b->len && !b->failed) {
		memcpy(b->data + b->len, bytes, len);
		b->len += len;
		return 0;
	}
	return buf_append(b, bytes, len) ? 0 : -1;
}

static inline msgpack_packer
packer(struct buf *b)
{
	msgpack_packer pk = { .data = b, .callback = write_to_buf };

	return pk;
}

/* MessagePack's lengths have 32 bits. */
static bool
fits(struct buf *b, size_t len)
{
	if (len > UINT32_MAX)
		b->failed = true;
	return len <= UINT32_MAX;
}

void
pack_nil(struct buf *b)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_nil(&pk);
}

void
pack_bool(struct buf *b, bool v)
{
	msgpack_packer pk = packer(b);

	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void
pack_uint(struct buf *b, uint64_t v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_uint64(&pk, v);
}

void
pack_int(struct buf *b, int64_t v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_int64(&pk, v);
}

void
pack_double(struct buf *b, double v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_double(&pk, v);
}

void
pack_number(struct buf *b, double v)
{
	if (v >= -0x1p53 && v <= 0x1p53 && (double)(int64_t)v == v)
		pack_int(b, (int64_t)v);
	else
		pack_double(b, v);
}

void
pack_str(struct buf *b, const char *s, size_t len)
{
	msgpack_packer pk = packer(b);

	if (!fits(b, len))
		return;
	msgpack_pack_str(&pk, len);
	write_to_buf(b, s, len);
}

/* How long the text is once each byte that is not part of a character has become U+FFFD. */
static size_t
text_length(const char *s, size_t len)
{
	size_t total = 0;

	while (len > 0) {
		size_t good = utf8_valid_prefix(s, len);

		total += good;
		s += good;
		len -= good;
		if (len > 0) {
			total += 3;
			s++;
			len--;
		}
	}
	return total;
}

void
pack_text(struct buf *b, const char *s, size_t len)
{
	msgpack_packer pk = packer(b);
	size_t total = text_length(s, len);

	if (!fits(b, total))
		return;
	msgpack_pack_str(&pk, total);
	while (len > 0) {
		size_t good = utf8_valid_prefix(s, len);

		buf_append(b, s, good);
		s += good;
		len -= good;
		if (len > 0) {
			buf_append(b, "\xef\xbf\xbd", 3);
			s++;
			len--;
		}
	}
}

void
pack_bin(struct buf *b, const void *bytes, size_t len)
{
	if (!fits(b, len))
		return;
	pack_bin_header(b, len);
	buf_append(b, bytes, len);
}

void
pack_bin_header(struct buf *b, size_t len)
{
	msgpack_packer pk = packer(b);

	if (fits(b, len))
		msgpack_pack_bin(&pk, len);
}

void
pack_str_header(struct buf *b, size_t len)
{
	msgpack_packer pk = packer(b);

	if (fits(b, len))
		msgpack_pack_str(&pk, len);
}

void
pack_array(struct buf *b, size_t count)
{
	msgpack_packer pk = packer(b);

	if (fits(b, count))
		msgpack_pack_array(&pk, count);
}

void
pack_map(struct buf *b, size_t pairs)
{
	msgpack_packer pk = packer(b);

	if (fits(b, pairs))
		msgpack_pack_map(&pk, pairs);
}

void
pack_ext(struct buf *b, int8_t type, const void *bytes, size_t len)
{
	msgpack_packer pk = packer(b);

	if (!fits(b, len))
		return;
	msgpack_pack_ext(&pk, len, type);
	buf_append(b, bytes, len);
}

void
pack_raw(struct buf *b, const void *bytes, size_t len)
{
	if (len > 0)
		write_to_buf(b, bytes, len);
}

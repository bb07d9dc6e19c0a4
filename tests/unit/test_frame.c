/* The scanner, whole and in pieces, against itself and against msgpack-c. msgpack-c is shown whole frames only: it allocates
 * what a header claims, which is why the scanner exists. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include <msgpack.h>

#include "proto/buf.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/pack.h"

enum { LIMIT = 1 << 20 };

/* --- helpers --- */

static enum frame_verdict
scan(const void *bytes, size_t len, uint64_t limit, size_t *used)
{
	struct frame_scan s;

	frame_scan_init(&s, limit);
	return frame_scan(&s, bytes, len, used);
}

/* A connection's life in small: bytes come in pieces, what is left unused is offered again with more behind it. The
 * pieces are copied to memory of their own length, so that reading past them is seen. */
static enum frame_verdict
scan_in_pieces(const uint8_t *bytes, size_t len, uint64_t limit, size_t piece, size_t *total)
{
	enum frame_verdict v = FRAME_MORE;
	struct frame_scan s;
	size_t at = 0, have = 0;

	frame_scan_init(&s, limit);
	while (have < len && v == FRAME_MORE) {
		uint8_t *copy;
		size_t used;

		have = have + piece < len ? have + piece : len;
		copy = malloc(have - at);
		memcpy(copy, bytes + at, have - at);
		v = frame_scan(&s, copy, have - at, &used);
		free(copy);
		at += used;
		assert_true(have - at <= 8 || v != FRAME_MORE);
		if (v == FRAME_MORE)
			assert_true(frame_scan_needs(&s) >= 1);
	}
	*total = at;
	return v;
}

static void
assert_verdict(const char *bytes, size_t len, enum frame_verdict expected)
{
	size_t used;

	assert_int_equal(scan(bytes, len, LIMIT, &used), expected);
	assert_int_equal(scan_in_pieces((const uint8_t *)bytes, len, LIMIT, 1, &used), expected);
}
#define VERDICT(bytes, v) assert_verdict((bytes), sizeof (bytes) - 1, (v))

/* One message with every kind of value in it. */
static void
make_message(struct buf *b)
{
	uint8_t big[70000];

	memset(big, 'x', sizeof big);
	buf_init(b);
	message_request(b, 4000000000u, "submit");
	pack_array(b, 3);
	pack_cstr(b, "shell");
	pack_map(b, 3);
	pack_key(b, "numbers");
	pack_array(b, 9);
	for (unsigned shift = 0; shift < 63; shift += 7)
		pack_int(b, (shift & 1 ? -1 : 1) * (int64_t)(UINT64_C(1) << shift));
	pack_key(b, "empty");
	pack_array(b, 5);
	pack_array(b, 0);
	pack_map(b, 0);
	pack_str(b, "", 0);
	pack_bin(b, "", 0);
	pack_nil(b);
	pack_key(b, "others");
	pack_array(b, 12);
	pack_bool(b, true);
	pack_double(b, 0.5);
	pack_str(b, (char *)big, 31);
	pack_str(b, (char *)big, 32);
	pack_str(b, (char *)big, 300);
	pack_bin(b, big, 20);
	pack_ext(b, 1, big, 8);
	pack_ext(b, 1, big, 3);
	pack_ext(b, 5, big, 16);
	pack_ext(b, 5, big, 300);
	pack_array(b, 1);
	pack_array(b, 1);
	pack_map(b, 1);
	pack_uint(b, UINT64_MAX);
	pack_nil(b);
	pack_uint(b, 0);
	pack_bin(b, big, 500);
	assert_false(b->failed);
}

/* --- whole and in pieces --- */

static void
every_prefix_of_a_message_is_more_and_the_whole_is_done(void **state)
{
	struct buf b;
	size_t used;

	(void)state;
	make_message(&b);
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, b.data, len);
		assert_int_equal(scan(copy, len, LIMIT, &used), FRAME_MORE);
		assert_true(used <= len && len - used <= 8);
		free(copy);
	}
	assert_int_equal(scan(b.data, b.len, LIMIT, &used), FRAME_DONE);
	assert_int_equal(used, b.len);
	buf_clear(&b);
}

static void
split_in_two_at_every_byte_is_done_at_the_same_place(void **state)
{
	struct buf b;

	(void)state;
	make_message(&b);
	for (size_t cut = 0; cut <= b.len; cut++) {
		struct frame_scan s;
		size_t first, second;

		frame_scan_init(&s, LIMIT);
		if (cut < b.len)
			assert_int_equal(frame_scan(&s, b.data, cut, &first), FRAME_MORE);
		else
			first = 0;
		assert_int_equal(frame_scan(&s, b.data + first, b.len - first, &second), FRAME_DONE);
		assert_int_equal(first + second, b.len);
	}
	buf_clear(&b);
}

static void
pieces_of_every_size_give_the_same_end(void **state)
{
	struct buf b;

	(void)state;
	make_message(&b);
	for (size_t piece = 1; piece < 64; piece++) {
		size_t total;

		assert_int_equal(scan_in_pieces(b.data, b.len, LIMIT, piece, &total), FRAME_DONE);
		assert_int_equal(total, b.len);
	}
	buf_clear(&b);
}

static void
frames_that_follow_each_other_are_found_one_by_one(void **state)
{
	struct frame_scan s;
	struct buf b, one;
	size_t used, at = 0;

	(void)state;
	make_message(&one);
	buf_init(&b);
	for (int i = 0; i < 5; i++)
		buf_append(&b, one.data, one.len);
	buf_append(&b, one.data, 10);
	frame_scan_init(&s, one.len); /* exactly as large as one */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(frame_scan(&s, b.data + at, b.len - at, &used), FRAME_DONE);
		assert_int_equal(used, one.len);
		at += used;
	}
	assert_int_equal(frame_scan(&s, b.data + at, b.len - at, &used), FRAME_MORE);
	buf_clear(&b);
	buf_clear(&one);
}

static void
each_frame_has_the_limit_to_itself(void **state)
{
	struct frame_scan s;
	size_t used;

	(void)state;
	frame_scan_init(&s, 10);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(frame_scan(&s, "\xa8" "12345678", 9, &used), FRAME_DONE);
		assert_int_equal(s.seen, 0);
		assert_int_equal(frame_scan(&s, "\x92\x01\xa6" "123456", 9, &used), FRAME_DONE);
		assert_int_equal(s.seen, 0);
	}
	assert_int_equal(frame_scan(&s, "\xaa" "1234567890", 11, &used), FRAME_TOO_LARGE);
}

static void
no_bytes_are_more_and_use_nothing(void **state)
{
	struct frame_scan s;
	size_t used = 1;

	(void)state;
	frame_scan_init(&s, LIMIT);
	assert_int_equal(frame_scan(&s, NULL, 0, &used), FRAME_MORE);
	assert_int_equal(used, 0);
	assert_int_equal(frame_scan_needs(&s), 1);
}

/* --- each header byte --- */

/* What the specification says, told a second time and differently from proto/shape.c: bytes of a value whose length
 * fields are all zero. 0: not a value. Fixed containers are counted with one-byte items. */
static size_t
specified_length(unsigned head)
{
	static const uint8_t rest[32] = { /* c0 to df */
		1, 0, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9,
		2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5,
	};

	if (head < 0x80 || head >= 0xe0)
		return 1;
	if (head < 0x90)
		return 1 + 2 * (head - 0x80);
	if (head < 0xa0)
		return 1 + (head - 0x90);
	if (head < 0xc0)
		return 1 + (head - 0xa0);
	return rest[head - 0xc0];
}

static void
each_of_the_256_header_bytes_is_as_specified(void **state)
{
	(void)state;
	for (unsigned head = 0; head < 256; head++) {
		size_t expected = specified_length(head), used;
		uint8_t bytes[64] = { (uint8_t)head };

		if (expected == 0) {
			assert_int_equal(head, 0xc1);
			assert_int_equal(scan(bytes, sizeof bytes, LIMIT, &used), FRAME_MALFORMED);
			continue;
		}
		assert_int_equal(scan(bytes, sizeof bytes, LIMIT, &used), FRAME_DONE);
		assert_int_equal(used, expected);
		for (size_t len = 0; len < expected; len++)
			assert_int_equal(scan(bytes, len, LIMIT, &used), FRAME_MORE);
		assert_int_equal(scan(bytes, sizeof bytes, expected, &used), FRAME_DONE);
		if (expected > 1)
			assert_int_equal(scan(bytes, sizeof bytes, expected - 1, &used), FRAME_TOO_LARGE);
	}
}

static void
lengths_are_big_endian_in_every_width(void **state)
{
	static const struct { uint8_t head; size_t width; size_t extra; size_t per; } heads[] = {
		{ 0xd9, 1, 0, 1 }, { 0xda, 2, 0, 1 }, { 0xdb, 4, 0, 1 }, { 0xc4, 1, 0, 1 }, { 0xc5, 2, 0, 1 },
		{ 0xc6, 4, 0, 1 }, { 0xc7, 1, 1, 1 }, { 0xc8, 2, 1, 1 }, { 0xc9, 4, 1, 1 }, { 0xdc, 2, 0, 1 },
		{ 0xdd, 4, 0, 1 }, { 0xde, 2, 0, 2 }, { 0xdf, 4, 0, 2 },
	};
	static const uint32_t lengths[] = { 1, 2, 127, 128, 255, 256, 258, 65535, 65536, 66051 };
	uint8_t *bytes = calloc(1, 200000);

	(void)state;
	for (size_t h = 0; h < sizeof heads / sizeof *heads; h++)
		for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
			size_t expected = 1 + heads[h].width + heads[h].extra + lengths[l] * heads[h].per, used;

			if (heads[h].width < 4 && lengths[l] >> (8 * heads[h].width) != 0)
				continue;
			memset(bytes, 0, 8);
			bytes[0] = heads[h].head;
			for (size_t i = 0; i < heads[h].width; i++)
				bytes[1 + i] = (uint8_t)(lengths[l] >> (8 * (heads[h].width - 1 - i)));
			assert_int_equal(scan(bytes, 200000, LIMIT, &used), FRAME_DONE);
			assert_int_equal(used, expected);
			assert_int_equal(scan(bytes, expected - 1, LIMIT, &used), FRAME_MORE);
		}
	free(bytes);
}

/* --- depth --- */

static void
nesting_of_32_is_allowed_and_33_refused(void **state)
{
	static const struct { const char *open; size_t len; } opens[] = {
		{ "\x91", 1 }, { "\x81\xc0", 2 }, { "\xdc\x00\x01", 3 }, { "\xdd\x00\x00\x00\x01", 5 }, { "\xde\x00\x01\x00", 4 },
	};

	(void)state;
	for (size_t o = 0; o < sizeof opens / sizeof *opens; o++)
		for (unsigned depth = 31; depth <= 33; depth++) {
			enum frame_verdict expected = depth <= 32 ? FRAME_DONE : FRAME_TOO_DEEP;
			struct buf b;
			size_t used;

			buf_init(&b);
			for (unsigned i = 0; i < depth; i++)
				buf_append(&b, opens[o].open, opens[o].len);
			buf_append(&b, "\xc0", 1);
			assert_int_equal(scan(b.data, b.len, LIMIT, &used), expected);
			assert_int_equal(scan_in_pieces(b.data, b.len, LIMIT, 1, &used), expected);
			buf_clear(&b);
		}
}

static void
an_empty_container_is_a_level_too(void **state)
{
	static const struct { const char *bytes; size_t len; } empties[] = {
		{ "\x90", 1 }, { "\x80", 1 }, { "\xdc\0\0", 3 }, { "\xdd\0\0\0\0", 5 }, { "\xde\0\0", 3 }, { "\xdf\0\0\0\0", 5 },
	};
	uint8_t bytes[48];
	size_t used;

	(void)state;
	memset(bytes, 0x91, sizeof bytes);
	for (size_t e = 0; e < sizeof empties / sizeof *empties; e++) {
		memcpy(bytes + 31, empties[e].bytes, empties[e].len);
		assert_int_equal(scan(bytes, 31 + empties[e].len, LIMIT, &used), FRAME_DONE);
		memset(bytes + 31, 0x91, 8);
		memcpy(bytes + 32, empties[e].bytes, empties[e].len);
		assert_int_equal(scan(bytes, 33, LIMIT, &used), FRAME_TOO_DEEP); /* from the first byte of its header */
		memset(bytes + 32, 0x91, 8);
	}
}

static void
closed_containers_do_not_count_as_depth(void **state)
{
	struct buf b;
	size_t used;

	(void)state;
	buf_init(&b);
	pack_array(&b, 1000);
	for (int i = 0; i < 1000; i++) {
		pack_array(&b, 2);
		pack_map(&b, 1);
		pack_nil(&b);
		pack_array(&b, 0);
		pack_nil(&b);
	}
	assert_int_equal(scan(b.data, b.len, LIMIT, &used), FRAME_DONE);
	assert_int_equal(used, b.len);
	buf_clear(&b);
}

/* --- claims --- */

static void
giant_claims_are_refused_from_the_header(void **state)
{
	(void)state;
	VERDICT("\xdd\x7f\xff\xff\xff", FRAME_TOO_LARGE);
	VERDICT("\xdd\xff\xff\xff\xff", FRAME_TOO_LARGE);
	VERDICT("\xdd\x03\x00\x00\x00", FRAME_TOO_LARGE);
	VERDICT("\xdf\xff\xff\xff\xff", FRAME_TOO_LARGE);
	VERDICT("\xdf\x00\x08\x00\x00", FRAME_TOO_LARGE); /* 2^19 pairs: with the header just too many */
	VERDICT("\xc6\xff\xff\xff\xff", FRAME_TOO_LARGE);
	VERDICT("\xdb\x80\x00\x00\x00", FRAME_TOO_LARGE);
	VERDICT("\xc9\xff\xff\xff\xff", FRAME_TOO_LARGE);
	VERDICT("\x94\x00\x01\xa1x\xdd\x7f\xff\xff\xff", FRAME_TOO_LARGE);
	VERDICT("\xdc\xff\xff\xdc\xff\xff\xdc\xff\xff", FRAME_MORE); /* 3 x 64 Ki values may still come */
}

static void
a_claim_is_refused_before_its_header_is_whole(void **state)
{
	(void)state;
	VERDICT("\xdd\x7f", FRAME_TOO_LARGE);
	VERDICT("\xc6\x00\x80", FRAME_TOO_LARGE);
	VERDICT("\xdf\x00", FRAME_MORE);
}

static void
chains_of_claims_add_up(void **state)
{
	struct buf b;
	size_t used;

	(void)state;
	buf_init(&b);
	for (int i = 0; i < 32; i++)
		buf_append(&b, "\xdc\xff\xff", 3); /* 32 x 64 Ki = 2 Mi values owed, the limit is 1 Mi */
	assert_int_equal(scan(b.data, b.len, LIMIT, &used), FRAME_TOO_LARGE);
	assert_true(used <= 17 * 3);
	buf_clear(&b);
}

static void
the_limit_is_exact(void **state)
{
	struct buf b;
	size_t used;

	(void)state;
	make_message(&b);
	assert_int_equal(scan(b.data, b.len, b.len, &used), FRAME_DONE);
	assert_int_equal(scan(b.data, b.len, b.len - 1, &used), FRAME_TOO_LARGE);
	assert_true(used < b.len);
	assert_int_equal(scan("\xc0", 1, 0, &used), FRAME_TOO_LARGE);
	assert_int_equal(scan("\xc0", 1, UINT64_MAX, &used), FRAME_DONE);
	assert_int_equal(scan("\xdd\xff\xff\xff\xff", 5, UINT64_MAX, &used), FRAME_MORE);
	buf_clear(&b);
}

static void
needs_is_a_true_lower_bound(void **state)
{
	struct buf b;

	(void)state;
	make_message(&b);
	for (size_t len = 0; len < b.len; len++) {
		struct frame_scan s;
		size_t used;

		frame_scan_init(&s, LIMIT);
		frame_scan(&s, b.data, len, &used);
		assert_in_range(frame_scan_needs(&s), 1, b.len - used);
	}
	buf_clear(&b);
}

static void
errors_stay(void **state)
{
	static const struct { const char *bytes; size_t len; enum frame_verdict v; } wrong[] = {
		{ "\x92\xc1", 2, FRAME_MALFORMED }, { "\xc1", 1, FRAME_MALFORMED }, { "\xdd\xff", 2, FRAME_TOO_LARGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct frame_scan s;
		size_t used;

		frame_scan_init(&s, LIMIT);
		assert_int_equal(frame_scan(&s, wrong[i].bytes, wrong[i].len, &used), wrong[i].v);
		assert_int_equal(frame_scan(&s, "\xc0\xc0", 2, &used), wrong[i].v);
		assert_int_equal(used, 0);
	}
}

static void
every_verdict_has_a_sentence(void **state)
{
	(void)state;
	for (int v = FRAME_MORE; v <= FRAME_TOO_DEEP; v++)
		assert_true(strlen(frame_verdict_text((enum frame_verdict)v)) > 10);
}

/* --- against msgpack-c --- */

static uint64_t seed;

static uint32_t
dice(uint32_t sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 32) * sides >> 32);
}

static void
put(struct buf *b, uint8_t head, size_t width, uint32_t count)
{
	buf_append(b, &head, 1);
	while (width-- > 0) {
		uint8_t byte = (uint8_t)(count >> (8 * width));

		buf_append(b, &byte, 1);
	}
}

static void
put_payload(struct buf *b, size_t len)
{
	while (len-- > 0) {
		uint8_t byte = (uint8_t)dice(256);

		buf_append(b, &byte, 1);
	}
}

/* Any value, in any encoding, the shortest or not. */
static void
put_value(struct buf *b, unsigned levels)
{
	static const uint8_t numbers[][2] = { { 0xca, 4 }, { 0xcb, 8 }, { 0xcc, 1 }, { 0xcd, 2 }, { 0xce, 4 }, { 0xcf, 8 },
		{ 0xd0, 1 }, { 0xd1, 2 }, { 0xd2, 4 }, { 0xd3, 8 }, { 0xd4, 2 }, { 0xd5, 3 }, { 0xd6, 5 }, { 0xd7, 9 }, { 0xd8, 17 } };
	static const uint8_t sized[][3] = { { 0xc4, 1, 0 }, { 0xc5, 2, 0 }, { 0xc6, 4, 0 }, { 0xc7, 1, 1 }, { 0xc8, 2, 1 },
		{ 0xc9, 4, 1 }, { 0xd9, 1, 0 }, { 0xda, 2, 0 }, { 0xdb, 4, 0 } };
	static const uint8_t containers[][2] = { { 0xdc, 2 }, { 0xdd, 4 }, { 0xde, 2 }, { 0xdf, 4 } };
	uint32_t count = dice(dice(8) == 0 ? 300 : 6), pick;

	switch (dice(levels > 0 ? 8 : 5)) {
	case 0: put(b, (uint8_t)(dice(2) ? dice(128) : 0xe0 + dice(32)), 0, 0); return;
	case 1: put(b, (uint8_t)(dice(3) ? 0xc2 + dice(2) : 0xc0), 0, 0); return;
	case 2: pick = dice(15); put(b, numbers[pick][0], 0, 0); put_payload(b, numbers[pick][1]); return;
	case 3: count = dice(32); put(b, (uint8_t)(0xa0 + count), 0, 0); put_payload(b, count); return;
	case 4:
		pick = dice(9);
		count = sized[pick][1] == 1 ? count % 256 : count;
		put(b, sized[pick][0], sized[pick][1], count);
		put_payload(b, count + sized[pick][2]);
		return;
	case 5: count %= 16; put(b, (uint8_t)(0x90 + count), 0, 0); break;
	case 6: count %= 16; put(b, (uint8_t)(0x80 + count), 0, 0); count *= 2; break;
	default:
		pick = dice(4);
		count %= 20;
		put(b, containers[pick][0], containers[pick][1], count);
		count *= pick >= 2 ? 2 : 1;
	}
	while (count-- > 0)
		put_value(b, dice(3) ? 0 : levels - 1);
}

static void
random_values_end_where_msgpack_c_says(void **state)
{
	(void)state;
	seed = 20240711;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 20000; i++) {
		struct buf b;
		msgpack_unpacked u;
		size_t used, off = 0, len;

		buf_init(&b);
		put_value(&b, 20);
		len = b.len;
		buf_append(&b, "\xc1\xdd\xff\xff\xff\xff", 6); /* what follows must not matter */
		assert_int_equal(scan(b.data, b.len, LIMIT, &used), FRAME_DONE);
		assert_int_equal(used, len);
		if (len > 1)
			assert_int_equal(scan(b.data, len - 1, LIMIT, &used), FRAME_MORE);
		if (len < 2000 || i % 16 == 0) {
			assert_int_equal(scan_in_pieces(b.data, len, LIMIT, 1 + dice(7), &used), FRAME_DONE);
			assert_int_equal(used, len);
		}
		msgpack_unpacked_init(&u);
		assert_int_equal(msgpack_unpack_next(&u, (char *)b.data, len, &off), MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(off, len);
		msgpack_unpacked_destroy(&u);
		buf_clear(&b);
	}
}

/* Damaged frames: whatever the verdict, it is the same for every way of cutting the bytes, and DONE agrees with msgpack-c. */
static void
damaged_values_are_judged_alike_however_they_are_cut(void **state)
{
	unsigned verdicts[FRAME_TOO_DEEP + 1] = { 0 };

	(void)state;
	seed = 20240712;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 20000; i++) {
		uint64_t limit = dice(4) ? 4096 : 16 + dice(200);
		enum frame_verdict v;
		struct buf b;
		size_t used, total;

		buf_init(&b);
		if (dice(8) == 0)
			for (uint32_t deep = dice(40); deep > 0; deep--)
				put(&b, dice(2) ? 0x91 : 0x81, 0, 0);
		put_value(&b, 20);
		for (uint32_t n = dice(4); n > 0; n--)
			b.data[dice((uint32_t)(b.len < 64 ? b.len : 64))] = (uint8_t)(dice(4) ? 0x90 + dice(0x50) : 0xc1);
		v = scan(b.data, b.len, limit, &used);
		verdicts[v]++;
		assert_true(used <= limit);
		assert_int_equal(scan_in_pieces(b.data, b.len, limit, 1, &total), v);
		if (v == FRAME_DONE)
			assert_int_equal(total, used);
		assert_int_equal(scan_in_pieces(b.data, b.len, limit, 2 + dice(9), &total), v);
		if (v == FRAME_DONE) {
			msgpack_unpacked u;
			size_t off = 0;

			assert_int_equal(total, used);
			msgpack_unpacked_init(&u);
			assert_int_equal(msgpack_unpack_next(&u, (char *)b.data, used, &off), MSGPACK_UNPACK_SUCCESS);
			assert_int_equal(off, used);
			msgpack_unpacked_destroy(&u);
		}
		buf_clear(&b);
	}
	for (int v = FRAME_MORE; v <= FRAME_TOO_DEEP; v++)
		assert_true(verdicts[v] > 100); /* the damage reaches every verdict */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix_of_a_message_is_more_and_the_whole_is_done),
		cmocka_unit_test(split_in_two_at_every_byte_is_done_at_the_same_place),
		cmocka_unit_test(pieces_of_every_size_give_the_same_end),
		cmocka_unit_test(frames_that_follow_each_other_are_found_one_by_one),
		cmocka_unit_test(each_frame_has_the_limit_to_itself),
		cmocka_unit_test(no_bytes_are_more_and_use_nothing),
		cmocka_unit_test(each_of_the_256_header_bytes_is_as_specified),
		cmocka_unit_test(lengths_are_big_endian_in_every_width),
		cmocka_unit_test(nesting_of_32_is_allowed_and_33_refused),
		cmocka_unit_test(an_empty_container_is_a_level_too),
		cmocka_unit_test(closed_containers_do_not_count_as_depth),
		cmocka_unit_test(giant_claims_are_refused_from_the_header),
		cmocka_unit_test(a_claim_is_refused_before_its_header_is_whole),
		cmocka_unit_test(chains_of_claims_add_up),
		cmocka_unit_test(the_limit_is_exact),
		cmocka_unit_test(needs_is_a_true_lower_bound),
		cmocka_unit_test(errors_stay),
		cmocka_unit_test(every_verdict_has_a_sentence),
		cmocka_unit_test(random_values_end_where_msgpack_c_says),
		cmocka_unit_test(damaged_values_are_judged_alike_however_they_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* libFuzzer target: the scanner on any bytes, cut in any way, and what reads a frame once it is whole.
 *
 *   clang -std=c11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined \
 *         proto/[a-z]*.c tests/fuzz/fuzz_frame.c -lmsgpackc -o fuzz_frame && ./fuzz_frame -max_total_time=60
 *
 * The first byte chooses the limit, the second how the bytes are cut. What must hold: every way of cutting gives the same
 * verdict; DONE means that msgpack-c takes exactly these bytes, and one byte less is MORE; an envelope once refused stays
 * refused. msgpack-c sees whole frames only, since it allocates what a header claims. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "proto/error.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/reader.h"

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces of memory of their own, so that ASan sees a look beyond them. */
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
		MUST(v != FRAME_MORE || (have - at <= 8 && s.seen == at && s.seen + frame_scan_needs(&s) <= limit));
	}
	*total = at;
	return v;
}

static void
compare_with_msgpack(const uint8_t *bytes, size_t len)
{
	msgpack_unpacked u;
	size_t off = 0;

	msgpack_unpacked_init(&u);
	MUST(msgpack_unpack_next(&u, (const char *)bytes, len, &off) == MSGPACK_UNPACK_SUCCESS);
	MUST(off == len);
	msgpack_unpacked_destroy(&u);
}

/* Every value of a whole frame is readable as what peek says it is, and the values end where the frame ends. */
static void
walk(struct reader *r, uint64_t owed)
{
	while (owed-- > 0) {
		struct reader before = *r;
		const uint8_t *bytes;
		uint32_t count;
		const char *s;
		int64_t i;
		int8_t type;
		double d;
		size_t n;
		bool yes;

		switch (reader_peek(r)) {
		case READER_NIL: MUST(read_nil(r)); break;
		case READER_BOOL: MUST(read_bool(r, &yes)); break;
		case READER_INT: read_int(r, &i); *r = before; MUST(read_number(r, &d)); break;
		case READER_FLOAT: MUST(read_number(r, &d)); break;
		case READER_STR: MUST(read_str(r, &s, &n)); utf8_is_valid(s, n); break;
		case READER_BIN: MUST(read_bin(r, &bytes, &n)); break;
		case READER_EXT: MUST(read_ext(r, &type, &bytes, &n)); break;
		case READER_ARRAY: MUST(read_array(r, &count)); owed += count; break;
		case READER_MAP: MUST(read_map(r, &count)); owed += 2 * (uint64_t)count; break;
		case READER_END: case READER_BAD: abort();
		}
	}
}

static void
check_whole(const uint8_t *bytes, size_t len)
{
	const char *why = NULL;
	struct message m;
	struct reader r;

	compare_with_msgpack(bytes, len);
	reader_init(&r, bytes, len);
	MUST(reader_depth(&r) <= FRAME_DEPTH_MAX);
	MUST(read_skip(&r) && reader_is_at_end(&r));
	reader_init(&r, bytes, len);
	walk(&r, 1);
	MUST(reader_is_at_end(&r));
	MUST(message_parse(bytes, len, &m, &why) != MESSAGE_MORE);
}

/* Any bytes, whole or not. */
static void
check_any(const uint8_t *bytes, size_t len)
{
	enum message_verdict before = MESSAGE_MORE;
	struct error_view e;
	struct message m;
	struct reader r;

	for (size_t n = 0; n <= len && n <= 64; n++) {
		const char *why = NULL;
		enum message_verdict check = message_check(bytes, n, &why), parse = message_parse(bytes, n, &m, &why);

		MUST((check == MESSAGE_BAD) == (parse == MESSAGE_BAD));
		MUST(before == MESSAGE_MORE || check == before);
		MUST(parse != MESSAGE_OK || check == MESSAGE_OK);
		MUST(check != MESSAGE_BAD || why != NULL);
		before = check;
	}
	reader_init(&r, bytes, len);
	if (error_read(&r, &e)) {
		reader_init(&r, bytes, (size_t)(r.at - bytes));
		MUST(read_skip(&r) && reader_is_at_end(&r));
	}
	reader_init(&r, bytes, len);
	read_skip(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum frame_verdict v;
	size_t used, total, piece;
	struct frame_scan s;
	uint8_t *bytes;
	uint64_t limit;

	if (size < 3)
		return 0;
	limit = data[0] < 128 ? (uint64_t)data[0] + 1 : 1 << 20;
	piece = (size_t)data[1] % 16 + 1;
	size -= 2;
	bytes = malloc(size);
	memcpy(bytes, data + 2, size);
	frame_scan_init(&s, limit);
	v = frame_scan(&s, bytes, size, &used);
	MUST(used <= size && used <= limit);
	MUST(scan_in_pieces(bytes, size, limit, piece, &total) == v);
	check_any(bytes, size);
	if (v == FRAME_DONE) {
		MUST(total == used);
		frame_scan_init(&s, limit);
		MUST(frame_scan(&s, bytes, used - 1, &total) == FRAME_MORE);
		check_whole(bytes, used);
	}
	free(bytes);
	return 0;
}

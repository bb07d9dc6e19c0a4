/* Envelopes: what real clients send is taken apart, what is wrong is refused at the byte that proves it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/message.h"
#include "proto/pack.h"

static enum message_verdict
parse(const char *bytes, size_t len, struct message *m)
{
	const char *why = NULL, *check_why = NULL;
	enum message_verdict v = message_parse(bytes, len, m, &why);
	enum message_verdict check = message_check(bytes, len, &check_why);

	assert_int_equal(why != NULL, v == MESSAGE_BAD);
	assert_int_equal(check == MESSAGE_BAD, v == MESSAGE_BAD);
	if (v == MESSAGE_BAD)
		assert_string_equal(why, check_why);
	if (v == MESSAGE_OK)
		assert_int_equal(check, MESSAGE_OK);
	return v;
}
#define PARSE(bytes, m) parse((bytes), sizeof (bytes) - 1, (m))

/* All prefixes are MORE, the last one is OK. */
static void
assert_good(const char *bytes, size_t len, struct message *m)
{
	for (size_t n = 0; n < len; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, bytes, n);
		assert_int_equal(parse(copy, n, m), MESSAGE_MORE);
		free(copy);
	}
	assert_int_equal(parse(bytes, len, m), MESSAGE_OK);
}
#define GOOD(bytes, m) assert_good((bytes), sizeof (bytes) - 1, (m))

/* Nothing is wrong up to the last byte, which proves it; so it stays with anything behind it. */
static void
assert_bad(const char *bytes, size_t len)
{
	char *copy = malloc(len + 16);
	struct message m;

	for (size_t n = 0; n < len; n++)
		assert_int_equal(parse(bytes, n, &m), MESSAGE_MORE);
	assert_int_equal(parse(bytes, len, &m), MESSAGE_BAD);
	for (int byte = 0; byte < 256; byte++) {
		memcpy(copy, bytes, len);
		memset(copy + len, byte, 16);
		for (size_t more = 1; more <= 16; more++)
			assert_int_equal(parse(copy, len + more, &m), MESSAGE_BAD);
	}
	free(copy);
}
#define BAD(bytes) assert_bad((bytes), sizeof (bytes) - 1)

static void
a_request_is_taken_apart(void **state)
{
	struct message m;
	uint64_t v;

	(void)state;
	GOOD("\x94\x00\x07\xa6submit\x93\x05\x92\x01\x02\xa1x", &m);
	assert_int_equal(m.type, MESSAGE_REQUEST);
	assert_int_equal(m.msgid, 7);
	assert_int_equal(m.method_len, 6);
	assert_memory_equal(m.method, "submit", 6);
	assert_int_equal(m.param_count, 3);
	assert_true(read_uint(&m.params, &v) && v == 5);
	assert_true(read_skip(&m.params));
	assert_true(read_is(&m.params, "x"));
	assert_true(reader_is_at_end(&m.params));
}

static void
a_notification_is_taken_apart(void **state)
{
	struct message m;

	(void)state;
	GOOD("\x93\x02\xa4" "done\x90", &m);
	assert_int_equal(m.type, MESSAGE_NOTIFICATION);
	assert_memory_equal(m.method, "done", 4);
	assert_int_equal(m.param_count, 0);
	assert_true(reader_is_at_end(&m.params));
}

static void
a_response_is_taken_apart(void **state)
{
	struct message m;
	uint32_t count;

	(void)state;
	GOOD("\x94\x01\xcd\x01\x02\xc0\x92\x01\x02", &m);
	assert_int_equal(m.type, MESSAGE_RESPONSE);
	assert_int_equal(m.msgid, 258);
	assert_true(read_nil(&m.error) && reader_is_at_end(&m.error));
	assert_true(read_array(&m.result, &count) && count == 2);
	GOOD("\x94\x01\x00\x81\xa4type\xa1X\xc0", &m);
	assert_int_equal(reader_peek(&m.error), READER_MAP);
	assert_true(read_skip(&m.error) && reader_is_at_end(&m.error));
	assert_true(read_nil(&m.result));
}

static void
what_follows_the_message_does_not_belong_to_its_params(void **state)
{
	struct message m;

	(void)state;
	assert_int_equal(PARSE("\x93\x02\xa1x\x91\x01\x94\x00", &m), MESSAGE_OK);
	assert_true(read_skip(&m.params));
	assert_true(reader_is_at_end(&m.params));
}

static void
every_integer_encoding_of_type_and_msgid_counts(void **state)
{
	static const struct { const char *bytes; size_t len; } ones[] = {
		{ "\x01", 1 }, { "\xcc\x01", 2 }, { "\xcd\0\x01", 3 }, { "\xce\0\0\0\x01", 5 }, { "\xcf\0\0\0\0\0\0\0\x01", 9 },
		{ "\xd0\x01", 2 }, { "\xd1\0\x01", 3 }, { "\xd2\0\0\0\x01", 5 }, { "\xd3\0\0\0\0\0\0\0\x01", 9 },
	};
	size_t n = sizeof ones / sizeof *ones;

	(void)state;
	for (size_t type = 0; type < n; type++)
		for (size_t msgid = 0; msgid < n; msgid++) {
			struct message m;
			struct buf b;

			buf_init(&b);
			buf_append(&b, "\x94", 1);
			buf_append(&b, ones[type].bytes, ones[type].len);
			buf_append(&b, ones[msgid].bytes, ones[msgid].len);
			buf_append(&b, "\xc0\xc0", 2);
			assert_good((char *)b.data, b.len, &m);
			assert_int_equal(m.type, MESSAGE_RESPONSE);
			assert_int_equal(m.msgid, 1);
			buf_clear(&b);
		}
}

static void
msgid_reaches_from_0_to_the_largest_uint32(void **state)
{
	struct message m;

	(void)state;
	GOOD("\x94\x00\x00\xa1x\x90", &m);
	assert_int_equal(m.msgid, 0);
	GOOD("\x94\x00\xce\xff\xff\xff\xff\xa1x\x90", &m);
	assert_true(m.msgid == UINT32_MAX);
	GOOD("\x94\x00\xcf\0\0\0\0\xff\xff\xff\xff\xa1x\x90", &m);
	assert_true(m.msgid == UINT32_MAX);
	GOOD("\x94\x00\xd3\0\0\0\0\xff\xff\xff\xff\xa1x\x90", &m);
	assert_true(m.msgid == UINT32_MAX);
	BAD("\x94\x00\xcf\0\0\0\x01");
	BAD("\x94\x00\xd3\0\0\0\x01");
	BAD("\x94\x00\xff");
	BAD("\x94\x00\xe0");
	BAD("\x94\x00\xd0\xff");
	BAD("\x94\x00\xd3\x80");
	BAD("\x94\x00\xc0");
	BAD("\x94\x00\xca");
	BAD("\x94\x00\xa1");
}

static void
method_may_be_str_or_bin_of_any_width(void **state)
{
	struct message m;

	(void)state;
	GOOD("\x94\x00\x01\xc4\x04ping\x90", &m);
	assert_memory_equal(m.method, "ping", 4);
	GOOD("\x94\x00\x01\xc5\0\x04ping\x90", &m);
	GOOD("\x94\x00\x01\xc6\0\0\0\x04ping\x90", &m);
	GOOD("\x94\x00\x01\xd9\x04ping\x90", &m);
	GOOD("\x94\x00\x01\xda\0\x04ping\x90", &m);
	GOOD("\x94\x00\x01\xdb\0\0\0\x04ping\x90", &m);
	assert_int_equal(m.method_len, 4);
	GOOD("\x93\x02\xc4\x01x\x90", &m);
	BAD("\x94\x00\x01\x05");
	BAD("\x94\x00\x01\xc0");
	BAD("\x94\x00\x01\x90");
	BAD("\x94\x00\x01\xd4");
	BAD("\x93\x02\x05");
}

static void
the_outer_array_may_be_of_any_width(void **state)
{
	struct message m;

	(void)state;
	GOOD("\xdc\0\x04\x00\x01\xa1x\x90", &m);
	GOOD("\xdd\0\0\0\x04\x00\x01\xa1x\x90", &m);
	GOOD("\xdd\0\0\0\x03\x02\xa1x\x90", &m);
}

static void
a_wrong_element_count_is_refused_at_once(void **state)
{
	(void)state;
	BAD("\x90");
	BAD("\x91");
	BAD("\x92");
	BAD("\x95");
	BAD("\x9f");
	BAD("\xdc\x01");
	BAD("\xdc\0\x05");
	BAD("\xdc\0\x02");
	BAD("\xdd\x01");
	BAD("\xdd\0\0\x04");
	BAD("\xdd\0\0\0\0");
	BAD("\x93\x00");
	BAD("\x93\x01");
	BAD("\x94\x02");
}

static void
what_is_no_array_is_refused_at_its_first_byte(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char one = (char)byte;
		struct message m;
		bool may = (byte & 0xf0) == 0x90 ? byte == 0x93 || byte == 0x94 : byte == 0xdc || byte == 0xdd;

		assert_int_equal(parse(&one, 1, &m), may ? MESSAGE_MORE : MESSAGE_BAD);
	}
}

static void
an_unknown_type_is_refused_at_once(void **state)
{
	(void)state;
	BAD("\x94\x03");
	BAD("\x94\x7f");
	BAD("\x94\xff");
	BAD("\x94\xcc\x03");
	BAD("\x94\xcd\x01");
	BAD("\x94\xcf\0\0\0\0\x01");
	BAD("\x94\xd0\xff");
	BAD("\x94\xc0");
	BAD("\x94\xca");
	BAD("\x94\xa1");
	BAD("\x94\x94");
}

static void
params_that_are_no_array_are_refused_at_once(void **state)
{
	(void)state;
	BAD("\x94\x00\x01\xa1x\x80");
	BAD("\x94\x00\x01\xa1x\xc0");
	BAD("\x94\x00\x01\xa1x\x01");
	BAD("\x94\x00\x01\xa1x\xc4");
	BAD("\x93\x02\xa1x\x81");
}

static void
check_is_ok_from_the_params_header_on(void **state)
{
	static const char bytes[] = "\x94\x00\x01\xa4ping\xdc\x01\x00";
	const char *why = NULL;

	(void)state;
	assert_int_equal(message_check(bytes, sizeof bytes - 2, &why), MESSAGE_MORE);
	assert_int_equal(message_check(bytes, sizeof bytes - 1, &why), MESSAGE_OK);
	assert_int_equal(message_check("\x94\x01\x07", 3, &why), MESSAGE_OK);
	assert_null(why);
}

static void
what_is_written_is_taken_apart_again(void **state)
{
	struct message m;
	struct buf b;
	uint64_t v;

	(void)state;
	buf_init(&b);
	message_request(&b, UINT32_MAX, "result");
	pack_array(&b, 1);
	pack_uint(&b, 42);
	assert_good((char *)b.data, b.len, &m);
	assert_true(m.type == MESSAGE_REQUEST && m.msgid == UINT32_MAX && m.method_len == 6);
	assert_true(read_uint(&m.params, &v) && v == 42);
	buf_clear(&b);

	message_notification(&b, "done");
	pack_array(&b, 0);
	assert_good((char *)b.data, b.len, &m);
	assert_true(m.type == MESSAGE_NOTIFICATION && m.param_count == 0);
	buf_clear(&b);

	message_result(&b, 3);
	pack_uint(&b, 42);
	assert_good((char *)b.data, b.len, &m);
	assert_true(m.type == MESSAGE_RESPONSE && m.msgid == 3 && read_nil(&m.error));
	assert_true(read_uint(&m.result, &v) && v == 42);
	buf_clear(&b);

	message_error(&b, 3, "\x80", 1);
	assert_good((char *)b.data, b.len, &m);
	assert_true(m.type == MESSAGE_RESPONSE && reader_peek(&m.error) == READER_MAP && read_nil(&m.result));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(a_notification_is_taken_apart),
		cmocka_unit_test(a_response_is_taken_apart),
		cmocka_unit_test(what_follows_the_message_does_not_belong_to_its_params),
		cmocka_unit_test(every_integer_encoding_of_type_and_msgid_counts),
		cmocka_unit_test(msgid_reaches_from_0_to_the_largest_uint32),
		cmocka_unit_test(method_may_be_str_or_bin_of_any_width),
		cmocka_unit_test(the_outer_array_may_be_of_any_width),
		cmocka_unit_test(a_wrong_element_count_is_refused_at_once),
		cmocka_unit_test(what_is_no_array_is_refused_at_its_first_byte),
		cmocka_unit_test(an_unknown_type_is_refused_at_once),
		cmocka_unit_test(params_that_are_no_array_are_refused_at_once),
		cmocka_unit_test(check_is_ok_from_the_params_header_on),
		cmocka_unit_test(what_is_written_is_taken_apart_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

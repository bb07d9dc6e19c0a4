/* The client's core, without a socket: requests become bytes, bytes become calls. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "client/core.h"
#include "client/follow.h"
#include "client/packer.h"
#include "client/watch.h"
#include "proto/error.h"
#include "proto/pack.h"

enum { HEARD_MAX = 20000 };

/* What the callbacks heard, in order. */
static struct {
	uint64_t who;
	enum futured_status status;
	int64_t value;
} heard[HEARD_MAX];
static size_t heard_count;

static void
note(uint64_t who, const struct futured_reply *reply)
{
	assert_true(heard_count < HEARD_MAX);
	heard[heard_count].who = who;
	heard[heard_count].status = futured_reply_status(reply);
	heard[heard_count].value = 0;
	futured_value_int(futured_reply_value(reply), &heard[heard_count].value);
	heard_count++;
}

static void
on_reply(struct futured *c, const struct futured_reply *reply, void *data)
{
	(void)c;
	note((uint64_t)(uintptr_t)data, reply);
}

static void
on_watched(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data)
{
	(void)c;
	note(id * 10 + (uint64_t)(uintptr_t)data, reply);
}

static int
setup(void **state)
{
	struct core *k = test_malloc(sizeof *k);

	core_init(k, NULL);
	heard_count = 0;
	*state = k;
	return 0;
}

static int
teardown(void **state)
{
	core_clear(*state);
	test_free(*state);
	return 0;
}

/* As a socket would bring them, `step` bytes at a time. */
static enum futured_status
feed(struct core *k, struct buf *b, size_t step)
{
	enum futured_status status = FUTURED_OK;

	for (size_t at = 0; at < b->len && status == FUTURED_OK; at += step) {
		size_t n = b->len - at < step ? b->len - at : step, room;
		uint8_t *to = core_room(k, n, &room);

		assert_non_null(to);
		assert_true(room >= n);
		memcpy(to, b->data + at, n);
		status = core_input(k, n);
	}
	buf_clear(b);
	return status;
}

static void
answer_int(struct buf *b, uint32_t msgid, int64_t v)
{
	message_result(b, msgid);
	pack_int(b, v);
}

static void
answer_error(struct buf *b, uint32_t msgid, enum status s)
{
	struct buf e;

	buf_init(&e);
	error_pack(&e, s, 0, NULL);
	message_error(b, msgid, e.data, e.len);
	buf_clear(&e);
}

static void
notify_done(struct buf *b, uint64_t id, int64_t value)
{
	message_notification(b, "done");
	pack_array(b, 4);
	pack_uint(b, id);
	pack_cstr(b, "FINISHED");
	pack_nil(b);
	pack_int(b, value);
}

static uint32_t
ask(struct core *k, uintptr_t who)
{
	uint32_t msgid = 0;

	assert_int_equal(core_request(k, "ping", NULL, on_reply, (void *)who, &msgid), FUTURED_OK);
	assert_int_not_equal(msgid, 0);
	return msgid;
}

static void
a_request_is_one_frame(void **state)
{
	struct core *k = *state;
	struct futured_pack p;
	size_t len;

	packer_init(&p);
	futured_packf(&p, "i[s]", 7, "x");
	assert_int_equal(core_request(k, "ping", &p, NULL, NULL, NULL), FUTURED_OK);
	packer_clear(&p);
	assert_int_equal(core_unsent(k), 13);
	assert_memory_equal(core_output(k, &len), "\x94\x00\x01\xa4ping\x92\x07\x91\xa1x", 13);
	core_sent(k, 4);
	assert_int_equal(core_unsent(k), 9);
	core_sent(k, 9);
	assert_int_equal(core_unsent(k), 0);
}

/* Everything that is to be written, in pieces of at most `step`. */
static void
drain(struct core *k, struct buf *to, size_t step)
{
	size_t len;

	while (core_unsent(k) > 0) {
		const uint8_t *at = core_output(k, &len);

		assert_true(len > 0 && len <= core_unsent(k));
		len = len < step ? len : step;
		assert_true(buf_append(to, at, len));
		core_sent(k, len);
	}
}

/* Requests of 100,000 bytes and of few, as bytes; with `lend` the large one's parameters may stay where they are, and are let go of after `sent`
 * bytes. */
static void
write_three(struct core *k, struct buf *to, bool lend, size_t sent)
{
	static uint8_t large[100000];
	struct futured_pack p, small;

	memset(large, 'x', sizeof large);
	packer_init(&p);
	packer_init(&small);
	futured_packf(&p, "[B]", large, sizeof large);
	futured_packf(&small, "i", 7);
	core_request(k, "ping", &small, NULL, NULL, NULL);
	if (lend)
		core_borrow(k);
	core_request(k, "ping", &p, NULL, NULL, NULL);
	assert_true(!lend || k->lent == p.buf.data);
	while (sent > 0) {
		size_t len;
		const uint8_t *at = core_output(k, &len);

		len = len < sent ? len : sent;
		buf_append(to, at, len);
		core_sent(k, len);
		sent -= len;
	}
	core_request(k, "stats", &small, NULL, NULL, NULL); /* a callback's, while the call is under way */
	core_settle(k);
	memset(p.buf.data, 'y', p.buf.len);
	packer_clear(&p);
	packer_clear(&small);
	drain(k, to, 1000);
}

static void
what_is_lent_is_written_as_what_is_copied(void **state)
{
	static const size_t when[] = { 0, 1, 13, 14, 30, 31, 50000, 99990, 100000 };
	struct buf copied = { 0 }, lent = { 0 };
	struct core fresh;

	for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
		core_init(&fresh, NULL);
		write_three(&fresh, &copied, false, when[i]);
		core_clear(&fresh);
		core_init(&fresh, NULL);
		write_three(&fresh, &lent, true, when[i]);
		core_clear(&fresh);
		assert_int_equal(copied.len, lent.len);
		assert_memory_equal(copied.data, lent.data, copied.len);
		copied.len = lent.len = 0;
	}
	buf_clear(&copied);
	buf_clear(&lent);
	(void)state;
}

static struct futured_reply *kept;

static void
on_reply_keep(struct futured *c, const struct futured_reply *reply, void *data)
{
	(void)c, (void)data;
	kept = reply_keep(reply);
}

static void
a_large_answer_that_is_kept_is_not_copied(void **state)
{
	struct core *k = *state;
	struct buf bytes = { 0 };
	static uint8_t large[200000];
	struct futured_reply *copy;
	const void *at;
	size_t len;

	for (int behind = 0; behind < 2; behind++) { /* and with an answer behind it, that is not lost */
		uint32_t msgid = 0;
		size_t from = heard_count;

		memset(large, 'a' + behind, sizeof large);
		core_request(k, "result", NULL, on_reply_keep, NULL, &msgid);
		message_result(&bytes, msgid);
		pack_bin(&bytes, large, sizeof large);
		core_request(k, "ping", NULL, on_reply, (void *)1, &msgid);
		if (behind)
			answer_int(&bytes, msgid, 5);
		assert_int_equal(feed(k, &bytes, 150000), FUTURED_OK);
		assert_non_null(kept);
		assert_int_equal(kept->taken != NULL, !behind);
		if (!behind) {
			answer_int(&bytes, msgid, 5);
			assert_int_equal(feed(k, &bytes, 3), FUTURED_OK);
		}
		assert_int_equal(heard_count, from + 1);
		assert_int_equal(heard[from].value, 5);
		assert_true(futured_value_bin(futured_reply_value(kept), &at, &len));
		assert_int_equal(len, sizeof large);
		assert_memory_equal(at, large, len);
		copy = futured_reply_copy(kept);
		futured_reply_free(kept);
		assert_true(futured_value_bin(futured_reply_value(copy), &at, &len));
		assert_memory_equal(at, large, len);
		futured_reply_free(copy);
		kept = NULL;
	}
}

/* Of 2 MiB, asked for and kept; what came before it in the same memory is not seen. */
static struct futured_reply *
large_answer(struct core *k, char with)
{
	enum { SIZE = 2 << 20 };
	struct buf bytes = { 0 };
	uint32_t msgid = 0;
	char *text = test_malloc(SIZE);

	memset(text, with, SIZE);
	kept = NULL;
	core_request(k, "result", NULL, on_reply_keep, NULL, &msgid);
	message_result(&bytes, msgid);
	pack_bin(&bytes, text, SIZE);
	assert_int_equal(feed(k, &bytes, 65536), FUTURED_OK);
	assert_non_null(kept);
	test_free(text);
	return kept;
}

static bool
is_all(struct futured_reply *r, char c)
{
	const void *at;
	size_t len;

	return futured_value_bin(futured_reply_value(r), &at, &len) && len == 2 << 20 && memcmp(at, &c, 1) == 0 &&
		memcmp(at, (const char *)at + 1, len - 1) == 0;
}

static void
the_memory_of_a_large_answer_serves_the_next_one(void **state)
{
	struct core *k = *state;
	struct futured_reply *a = large_answer(k, 'a'), *b = large_answer(k, 'b'), *c, *d;
	uint8_t *where = a->taken;

	assert_true(is_all(a, 'a') && is_all(b, 'b'));
	futured_reply_free(a);
	c = large_answer(k, 'c');
	assert_ptr_equal(c->taken, where);
	assert_true(is_all(b, 'b') && is_all(c, 'c'));
	futured_reply_free(b);
	futured_reply_free(c);
	d = large_answer(k, 'd'); /* outlives its connection */
	core_clear(k);
	core_init(k, NULL);
	assert_true(is_all(d, 'd'));
	futured_reply_free(d);
}

static void
answers_find_their_requests_in_any_order(void **state)
{
	struct core *k = *state;
	uint32_t a = ask(k, 1), b = ask(k, 2), c = ask(k, 3);
	struct buf bytes = { 0 };

	answer_int(&bytes, c, 30);
	answer_error(&bytes, a, STATUS_VALUE);
	answer_int(&bytes, b, 20);
	assert_int_equal(feed(k, &bytes, SIZE_MAX / 2), FUTURED_OK);
	assert_int_equal(heard_count, 3);
	assert_true(heard[0].who == 3 && heard[0].value == 30);
	assert_true(heard[1].who == 1 && heard[1].status == FUTURED_VALUE);
	assert_true(heard[2].who == 2 && heard[2].value == 20);
}

static void
bytes_may_drip(void **state)
{
	struct core *k = *state;
	uint32_t a = ask(k, 1), b = ask(k, 2);
	struct buf bytes = { 0 };

	answer_int(&bytes, a, 1000000);
	answer_error(&bytes, b, STATUS_TIMEOUT);
	assert_int_equal(feed(k, &bytes, 1), FUTURED_OK);
	assert_int_equal(heard_count, 2);
	assert_int_equal(heard[0].value, 1000000);
	assert_int_equal(heard[1].status, FUTURED_TIMEOUT);
	assert_int_equal(k->in.len, 0);
}

static void
thousands_may_be_in_flight(void **state)
{
	struct core *k = *state;
	struct buf bytes = { 0 };
	uint32_t msgid[10000];

	for (size_t i = 0; i < 10000; i++)
		msgid[i] = ask(k, i + 1);
	for (size_t i = 10000; i-- > 0;)
		answer_int(&bytes, msgid[i], (int64_t)i);
	assert_int_equal(feed(k, &bytes, 4096), FUTURED_OK);
	assert_int_equal(heard_count, 10000);
	for (size_t i = 0; i < 10000; i++)
		assert_true(heard[i].who == 10000 - i && heard[i].value == (int64_t)(9999 - i));
	assert_int_equal(k->used, 0);
}

/* One that waits for ever must not be hit by the numbers dealt meanwhile. */
static void
a_number_in_use_is_not_dealt_again(void **state)
{
	struct core *k = *state;
	uint32_t old = ask(k, 99);
	struct buf bytes = { 0 };

	for (size_t i = 0; i < 5000; i++) {
		answer_int(&bytes, ask(k, 1), 0);
		feed(k, &bytes, 4096);
	}
	answer_int(&bytes, old, 5);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 5001);
	assert_true(heard[5000].who == 99 && heard[5000].value == 5);
}

static void
a_forgotten_request_is_not_answered(void **state)
{
	struct core *k = *state;
	uint32_t a = ask(k, 1), b = ask(k, 2);
	struct buf bytes = { 0 };

	core_forget(k, a);
	core_forget(k, 12345);
	answer_int(&bytes, a, 1);
	answer_int(&bytes, b, 2);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 1);
	assert_int_equal(heard[0].who, 2);
}

static void
strange_answers_and_notifications_are_ignored(void **state)
{
	struct core *k = *state;
	struct buf bytes = { 0 };

	ask(k, 1);
	answer_int(&bytes, 77, 1);
	answer_int(&bytes, 0, 1);
	message_notification(&bytes, "hello_from_another_world");
	pack_array(&bytes, 0);
	message_notification(&bytes, "done");
	pack_array(&bytes, 1);
	pack_cstr(&bytes, "no id");
	notify_done(&bytes, 5, 5);
	assert_int_equal(feed(k, &bytes, 4096), FUTURED_OK);
	assert_int_equal(heard_count, 0);
}

static void
the_end_tells_everybody_once(void **state)
{
	struct core *k = *state;
	uint64_t ids[] = { 7, 8 };

	ask(k, 1);
	ask(k, 2);
	assert_int_equal(watch_add(k, ids, 2, true, on_watched, (void *)1, NULL), FUTURED_OK);
	core_end(k, FUTURED_LOST, "gone");
	core_end(k, FUTURED_PROTOCOL, "later");
	assert_int_equal(heard_count, 4);
	for (size_t i = 0; i < heard_count; i++)
		assert_int_equal(heard[i].status, FUTURED_LOST);
	assert_string_equal(k->reason, "gone");
	assert_int_equal(core_request(k, "ping", NULL, on_reply, NULL, NULL), FUTURED_LOST);
	assert_int_equal(watch_add(k, ids, 2, true, on_watched, NULL, NULL), FUTURED_LOST);
}

/* What belongs to several requests goes with the first bad news, and takes the others back. */
struct pair {
	struct core *core;
	uint32_t msgid[2];
	int told;
};

static void
on_pair(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct pair *p = data;

	(void)c;
	(void)reply;
	p->told++;
	for (int i = 0; i < 2; i++)
		core_forget(p->core, p->msgid[i]);
}

static void
what_is_forgotten_while_the_end_is_told_is_not_told(void **state)
{
	struct core *k = *state;
	struct pair p = { .core = k };

	for (int i = 0; i < 2; i++)
		assert_int_equal(core_request(k, "ping", NULL, on_pair, &p, &p.msgid[i]), FUTURED_OK);
	core_end(k, FUTURED_LOST, NULL);
	assert_int_equal(p.told, 1);
	assert_int_equal(k->used, 0);
}

static void
a_protocol_error_is_the_end(void **state)
{
	struct core *k = *state;
	struct buf bytes = { 0 };

	ask(k, 1);
	answer_error(&bytes, 0, STATUS_PROTOCOL);
	answer_int(&bytes, 1, 1);
	assert_int_equal(feed(k, &bytes, 4096), FUTURED_PROTOCOL);
	assert_int_equal(heard_count, 1);
	assert_int_equal(heard[0].status, FUTURED_PROTOCOL);
	assert_non_null(strstr(k->reason, "the daemon says"));
}

static void
bytes_that_are_no_answer_are_the_end(void **state)
{
	static const char *const wrong[] = { "\xc1", "\xdd\x7f\xff\xff\xff", "\x01", "\x94\x00\x01\xa4ping\x90", "\x90", "\x94\x05\x01\x01\x01" };
	static const size_t len[] = { 1, 5, 1, 9, 1, 5 };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct buf bytes = { 0 };
		struct core k;

		core_init(&k, NULL);
		heard_count = 0;
		ask(&k, 1);
		buf_append(&bytes, wrong[i], len[i]);
		assert_int_equal(feed(&k, &bytes, 4096), FUTURED_PROTOCOL);
		assert_int_equal(heard_count, 1);
		assert_true(k.in.cap < 1 << 20);
		core_clear(&k);
	}
}

static struct core *asking;

static void
on_reply_asks(struct futured *c, const struct futured_reply *reply, void *data)
{
	(void)c;
	note((uint64_t)(uintptr_t)data, reply);
	if (heard_count < 100)
		assert_int_equal(core_request(asking, "ping", NULL, on_reply_asks, data, NULL), asking->ended);
}

static void
a_callback_may_ask_again(void **state)
{
	struct core *k = *state;
	struct buf bytes = { 0 };

	asking = k;
	core_request(k, "ping", NULL, on_reply_asks, (void *)3, NULL);
	for (uint32_t i = 1; i <= 50; i++)
		answer_int(&bytes, i, i);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 50);
	core_end(k, FUTURED_LOST, NULL);
	assert_int_equal(heard_count, 51);
}

/* ---- watches ---- */

static void
watchers_are_called_in_the_order_of_watching(void **state)
{
	struct core *k = *state;
	uint64_t ids[] = { 5, 6 };
	struct buf bytes = { 0 };

	watch_add(k, ids, 2, true, on_watched, (void *)1, NULL);
	watch_add(k, ids, 1, true, on_watched, (void *)2, NULL);
	notify_done(&bytes, 6, 66);
	notify_done(&bytes, 5, 55);
	notify_done(&bytes, 5, 56);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 3);
	assert_true(heard[0].who == 61 && heard[0].value == 66);
	assert_true(heard[1].who == 51 && heard[1].value == 55);
	assert_true(heard[2].who == 52 && heard[2].value == 55);
}

/* Those that the answer names as done are fetched. */
static void
what_is_done_already_is_told_too(void **state)
{
	struct core *k = *state;
	uint64_t ids[] = { 5, 6, 5 };
	struct buf bytes = { 0 };
	size_t len;

	watch_add(k, ids, 3, true, on_watched, (void *)1, NULL);
	core_sent(k, core_unsent(k));
	message_result(&bytes, 1);
	pack_map(&bytes, 1);
	pack_cstr(&bytes, "done");
	pack_array(&bytes, 1);
	pack_uint(&bytes, 5);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 0);
	assert_non_null(memmem(core_output(k, &len), core_unsent(k), "result", 6));
	answer_int(&bytes, 2, 55);
	answer_error(&bytes, 3, STATUS_EXIT);
	notify_done(&bytes, 6, 66);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 3);
	assert_true(heard[0].who == 51 && heard[0].value == 55);
	assert_true(heard[1].who == 51 && heard[1].status == FUTURED_EXIT);
	assert_true(heard[2].who == 61 && heard[2].value == 66);
}

static void
a_refused_watch_tells_each(void **state)
{
	struct core *k = *state;
	uint64_t ids[] = { 5, 6 };
	struct buf bytes = { 0 };

	watch_add(k, ids, 2, true, on_watched, (void *)1, NULL);
	answer_error(&bytes, 1, STATUS_UNKNOWN_FUTURE);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 2);
	assert_int_equal(heard[0].status, FUTURED_UNKNOWN_FUTURE);
	assert_int_equal(heard[1].status, FUTURED_UNKNOWN_FUTURE);
}

static void
a_cancelled_watch_is_silent(void **state)
{
	struct core *k = *state;
	struct watch_job *job;
	uint64_t ids[] = { 5 };
	struct buf bytes = { 0 };

	watch_add(k, ids, 1, true, on_watched, (void *)1, &job);
	watch_cancel(job);
	notify_done(&bytes, 5, 55);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 0);
}

/* The memory checker has the last word: watches in every stage are freed with their core. */
static void
clearing_frees_watches_in_every_stage(void **state)
{
	struct core *k = *state;
	uint64_t ids[200];
	struct buf bytes = { 0 };

	for (size_t i = 0; i < 200; i++)
		ids[i] = i + 1;
	watch_add(k, ids, 200, true, on_watched, (void *)1, NULL);
	watch_add(k, ids, 200, true, on_watched, (void *)2, NULL);
	message_result(&bytes, 1);
	pack_map(&bytes, 1);
	pack_cstr(&bytes, "done");
	pack_array(&bytes, 150);
	for (size_t i = 0; i < 150; i++)
		pack_uint(&bytes, i + 1);
	feed(k, &bytes, 4096);
	assert_int_equal(heard_count, 0);
}

static void
an_end_in_the_middle_of_fetching_tells_the_rest(void **state)
{
	struct core *k = *state;

	clearing_frees_watches_in_every_stage(state);
	core_end(k, FUTURED_LOST, NULL);
	assert_int_equal(heard_count, 400);
}

/* ---- output ---- */

static char printed[2][64];
static int ends;

static void
on_output(struct futured *c, uint64_t id, const struct futured_output *o, void *data)
{
	char *to = printed[strcmp(o->stream, "stderr") == 0];

	(void)c;
	(void)data;
	assert_int_equal(id, 9);
	if (o->error != NULL)
		note(id, o->error);
	else if (o->len > 0)
		memcpy(to + o->offset, o->bytes, o->len);
	ends += o->eof;
}

static void
notify_output(struct buf *b, const char *stream, uint64_t offset, const char *text, bool eof)
{
	message_notification(b, "output");
	pack_array(b, 5);
	pack_uint(b, 9);
	pack_cstr(b, stream);
	pack_uint(b, offset);
	pack_bin(b, text, strlen(text));
	pack_bool(b, eof);
}

static void
output_is_followed_to_the_end_of_both_streams(void **state)
{
	struct core *k = *state;
	struct buf bytes = { 0 };

	memset(printed, 0, sizeof printed);
	ends = 0;
	assert_int_equal(follow_add(k, 9, "both", 0, on_output, NULL), FUTURED_OK);
	assert_int_equal(follow_add(k, 9, "both", 0, on_output, NULL), FUTURED_INVALID_STATE);
	message_result(&bytes, 1);
	pack_map(&bytes, 2);
	pack_cstr(&bytes, "stdout");
	pack_bin(&bytes, "ab", 2);
	pack_cstr(&bytes, "stderr");
	pack_bin(&bytes, "x", 1);
	notify_output(&bytes, "stderr", 1, "yz", true);
	notify_output(&bytes, "stdout", 2, "cd", false);
	notify_output(&bytes, "stdout", 4, "", true);
	notify_output(&bytes, "stdout", 4, "late", true);
	feed(k, &bytes, 3);
	assert_string_equal(printed[0], "abcd");
	assert_string_equal(printed[1], "xyz");
	assert_int_equal(ends, 2);
	assert_int_equal(follow_add(k, 9, "stdout", 0, on_output, NULL), FUTURED_OK);
	core_end(k, FUTURED_LOST, NULL);
	assert_int_equal(heard_count, 1);
	assert_int_equal(heard[0].status, FUTURED_LOST);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_request_is_one_frame),
		T(what_is_lent_is_written_as_what_is_copied),
		T(a_large_answer_that_is_kept_is_not_copied),
		T(the_memory_of_a_large_answer_serves_the_next_one),
		T(answers_find_their_requests_in_any_order),
		T(bytes_may_drip),
		T(thousands_may_be_in_flight),
		T(a_number_in_use_is_not_dealt_again),
		T(a_forgotten_request_is_not_answered),
		T(strange_answers_and_notifications_are_ignored),
		T(the_end_tells_everybody_once),
		T(what_is_forgotten_while_the_end_is_told_is_not_told),
		T(a_protocol_error_is_the_end),
		T(bytes_that_are_no_answer_are_the_end),
		T(a_callback_may_ask_again),
		T(watchers_are_called_in_the_order_of_watching),
		T(what_is_done_already_is_told_too),
		T(a_refused_watch_tells_each),
		T(a_cancelled_watch_is_silent),
		T(clearing_frees_watches_in_every_stage),
		T(an_end_in_the_middle_of_fetching_tells_the_rest),
		T(output_is_followed_to_the_end_of_both_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The answer ring: what is put comes out, in order and whole; what a host may not write there is noticed; nobody sleeps over a
 * message. Clean under -fsanitize=thread. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/ring.h"

struct ends {
	struct ring ring;
	struct ring_writer host;
	struct ring_reader daemon;
	uint8_t got[RING_BYTES];
	size_t len;
};

static struct ends *
fresh(void)
{
	static struct ends ends;

	memset(&ends, 0xff, sizeof ends.ring); /* what the last user of the place left */
	ring_reader_init(&ends.daemon, &ends.ring);
	ring_writer_init(&ends.host, &ends.ring);
	return &ends;
}

static void
what_is_put_comes_out(void **state)
{
	struct ends *e = fresh();

	(void)state;
	assert_true(ring_is_empty(&e->daemon));
	assert_true(ring_read(&e->daemon, e->got, &e->len));
	assert_int_equal(e->len, 0);
	assert_true(ring_write(&e->host, "one", 3));
	assert_true(ring_write(&e->host, "three", 5));
	assert_false(ring_is_empty(&e->daemon));
	assert_true(ring_read(&e->daemon, e->got, &e->len));
	assert_int_equal(e->len, 8);
	assert_memory_equal(e->got, "onethree", 8);
	assert_true(ring_is_empty(&e->daemon));
}

static void
a_message_may_lie_around_the_end(void **state)
{
	struct ends *e = fresh();
	uint8_t message[777];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		memset(message, (int)(i & 255), sizeof message);
		assert_true(ring_write(&e->host, message, sizeof message));
		assert_true(ring_read(&e->daemon, e->got, &e->len));
		assert_int_equal(e->len, sizeof message);
		assert_memory_equal(e->got, message, sizeof message);
	}
}

static void
a_full_ring_takes_no_more_until_it_is_read(void **state)
{
	struct ends *e = fresh();
	static uint8_t message[RING_MESSAGE_MAX + 1];

	(void)state;
	assert_false(ring_write(&e->host, message, RING_MESSAGE_MAX + 1));
	for (unsigned i = 0; i < RING_BYTES / RING_MESSAGE_MAX; i++)
		assert_true(ring_write(&e->host, message, RING_MESSAGE_MAX));
	assert_false(ring_write(&e->host, message, 1));
	assert_true(ring_read(&e->daemon, e->got, &e->len));
	assert_int_equal(e->len, RING_BYTES);
	assert_true(ring_write(&e->host, message, 1));
}

static void
behind_a_message_on_the_socket_nothing_overtakes_it(void **state)
{
	struct ends *e = fresh();

	(void)state;
	assert_true(ring_write(&e->host, "a", 1));
	ring_note_said(&e->host);
	ring_note_said(&e->host);
	assert_false(ring_write(&e->host, "b", 1));
	ring_note_heard(&e->daemon);
	assert_false(ring_write(&e->host, "b", 1));
	ring_note_heard(&e->daemon);
	assert_true(ring_write(&e->host, "b", 1));
}

static void
without_a_ring_everything_takes_the_socket(void **state)
{
	struct ring_writer none;

	(void)state;
	ring_writer_init(&none, NULL);
	assert_false(ring_write(&none, "a", 1));
	ring_note_said(&none);
	assert_false(ring_write(&none, "a", 1));
}

static void
one_message_wakes_a_sleeping_daemon(void **state)
{
	struct ends *e = fresh();

	(void)state;
	assert_true(ring_write(&e->host, "a", 1));
	assert_false(ring_must_wake(&e->host));
	ring_sleep(&e->daemon);
	assert_true(ring_write(&e->host, "b", 1));
	assert_true(ring_must_wake(&e->host));
	assert_false(ring_must_wake(&e->host));
	ring_sleep(&e->daemon);
	ring_awake(&e->daemon);
	assert_false(ring_must_wake(&e->host));
}

/* A host may write anything there; the daemon takes no more than there is room for, and keeps its own count. */
static void
counts_that_make_no_sense_are_noticed(void **state)
{
	static const uint64_t wrong[] = { RING_BYTES + 1, UINT64_MAX, UINT64_MAX - 5, UINT64_C(1) << 63 };
	struct ends *e;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		e = fresh();
		atomic_store(&e->ring.put, wrong[i]);
		assert_false(ring_read(&e->daemon, e->got, &e->len));
	}
	e = fresh();
	assert_true(ring_write(&e->host, "abc", 3));
	assert_true(ring_read(&e->daemon, e->got, &e->len));
	atomic_store(&e->ring.put, 2); /* back */
	assert_false(ring_read(&e->daemon, e->got, &e->len));
	e = fresh();
	atomic_store(&e->ring.taken, 12345);
	atomic_store(&e->ring.put, RING_BYTES);
	assert_true(ring_read(&e->daemon, e->got, &e->len)); /* its own count is 0 */
	assert_int_equal(e->len, RING_BYTES);
}

/* --- two threads: nothing is lost, nothing is slept over --- */

enum { ROUNDS = 200000 };

struct race {
	struct ends ends;
	_Atomic unsigned wakes;   /* what ["wake"] on the socket would be */
};

static void *
host(void *data)
{
	struct race *race = data;
	uint8_t message[40];

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t len = sizeof i + i % 36;

		memset(message, 0, sizeof message);
		memcpy(message, &i, sizeof i);
		while (!ring_write(&race->ends.host, message, len))
			sched_yield();
		if (ring_must_wake(&race->ends.host))
			atomic_fetch_add(&race->wakes, 1);
		if (i % 64 == 63)
			sched_yield();
	}
	return NULL;
}

static void
nothing_is_lost_and_nobody_sleeps_over_a_message(void **state)
{
	static struct race race;
	unsigned next = 0, slept = 0, woken = 0;
	pthread_t thread;

	(void)state;
	ring_reader_init(&race.ends.daemon, &race.ends.ring);
	ring_writer_init(&race.ends.host, &race.ends.ring);
	assert_int_equal(pthread_create(&thread, NULL, host, &race), 0);
	while (next < ROUNDS) {
		assert_true(ring_read(&race.ends.daemon, race.ends.got, &race.ends.len));
		for (size_t at = 0; at < race.ends.len; next++) {
			unsigned number;

			memcpy(&number, race.ends.got + at, sizeof number);
			assert_int_equal(number, next);
			at += sizeof number + number % 36;
		}
		if (race.ends.len > 0 || next == ROUNDS)
			continue;
		ring_sleep(&race.ends.daemon);
		if (!ring_is_empty(&race.ends.daemon)) {
			ring_awake(&race.ends.daemon);
			continue;
		}
		slept++;
		while (atomic_load(&race.wakes) == woken) /* for ever, if a wake-up was lost */
			sched_yield();
		woken = atomic_load(&race.wakes);
	}
	pthread_join(thread, NULL);
	print_message("%u messages, slept %u times\n", next, slept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_comes_out),
		cmocka_unit_test(a_message_may_lie_around_the_end),
		cmocka_unit_test(a_full_ring_takes_no_more_until_it_is_read),
		cmocka_unit_test(behind_a_message_on_the_socket_nothing_overtakes_it),
		cmocka_unit_test(without_a_ring_everything_takes_the_socket),
		cmocka_unit_test(one_message_wakes_a_sleeping_daemon),
		cmocka_unit_test(counts_that_make_no_sense_are_noticed),
		cmocka_unit_test(nothing_is_lost_and_nobody_sleeps_over_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The claim board: every transition, and that exactly one side wins. Clean under -fsanitize=thread. */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/board.h"

enum { ROUNDS = 100000 };

static enum board_state
state_of(const struct board_entry *e)
{
	return board_look(e, NULL);
}

static void
a_fresh_board_is_empty_and_nothing_can_be_had_from_it(void **state)
{
	static struct board board;

	(void)state;
	assert_int_equal(sizeof (struct board), 4096);
	for (int i = 0; i < BOARD_ENTRIES; i++) {
		struct board_entry *e = &board.entry[i];

		assert_int_equal(state_of(e), BOARD_EMPTY);
		assert_false(board_claim(e, 0, 1));
		assert_false(board_claim(e, 7, 1));
		assert_false(board_revoke(e));
		assert_false(board_stop(e));
		assert_false(board_is_stopped(e));
	}
}

static void
a_sent_task_is_claimed_once_and_shows_its_start(void **state)
{
	struct board_entry e = { 0 };
	uint64_t start = 5;

	(void)state;
	board_send(&e, 42);
	assert_int_equal(board_look(&e, &start), BOARD_SENT);
	assert_int_equal(start, 0);
	assert_true(board_claim(&e, 42, 123456789));
	assert_int_equal(board_look(&e, &start), BOARD_CLAIMED);
	assert_int_equal(start, 123456789);
	assert_false(board_claim(&e, 42, 2));
	assert_false(board_revoke(&e));
	assert_int_equal(board_look(&e, &start), BOARD_CLAIMED);
	assert_int_equal(start, 123456789);
}

static void
a_start_may_be_as_large_as_a_clock_ever_is(void **state)
{
	struct board_entry e = { 0 };
	uint64_t start;

	(void)state;
	board_send(&e, 1);
	assert_true(board_claim(&e, 1, (UINT64_C(1) << 61) - 1));
	assert_int_equal(board_look(&e, &start), BOARD_CLAIMED);
	assert_true(start == (UINT64_C(1) << 61) - 1);
}

static void
a_revoked_task_never_runs(void **state)
{
	struct board_entry e = { 0 };

	(void)state;
	board_send(&e, 42);
	assert_true(board_revoke(&e));
	assert_int_equal(state_of(&e), BOARD_REVOKED);
	assert_false(board_claim(&e, 42, 1));
	assert_false(board_revoke(&e));
	assert_false(board_stop(&e));
}

static void
only_the_task_that_was_sent_can_be_claimed(void **state)
{
	struct board_entry e = { 0 };

	(void)state;
	board_send(&e, 42);
	assert_false(board_claim(&e, 41, 1));
	assert_int_equal(state_of(&e), BOARD_SENT);
	board_send(&e, 43); /* the entry is used again */
	assert_false(board_claim(&e, 42, 1));
	assert_true(board_claim(&e, 43, 1));
}

static void
stop_reaches_a_claimed_task_only_and_keeps_its_start(void **state)
{
	struct board_entry e = { 0 };
	uint64_t start;

	(void)state;
	board_send(&e, 42);
	assert_false(board_stop(&e));
	assert_true(board_claim(&e, 42, 77));
	assert_false(board_is_stopped(&e));
	assert_true(board_stop(&e));
	assert_true(board_is_stopped(&e));
	assert_true(board_stop(&e));
	assert_int_equal(board_look(&e, &start), BOARD_STOP);
	assert_int_equal(start, 77);
	assert_false(board_revoke(&e));
	assert_false(board_claim(&e, 42, 1));
	board_send(&e, 43);
	assert_false(board_is_stopped(&e));
	assert_true(board_claim(&e, 43, 78));
}

/* A host may write anything there. */
static void
a_state_that_is_none_is_empty(void **state)
{
	(void)state;
	for (uint64_t low = 5; low < 8; low++) {
		struct board_entry e = { 0 };
		uint64_t start = 1;

		e.word = UINT64_MAX << 3 | low;
		assert_int_equal(board_look(&e, &start), BOARD_EMPTY);
		assert_int_equal(start, 0);
		assert_false(board_claim(&e, 0, 1));
		assert_false(board_revoke(&e));
		assert_false(board_stop(&e));
		assert_false(board_is_stopped(&e));
	}
}

/* --- the race: the daemon revokes (and, having lost, stops) what the host is claiming --- */

struct race {
	struct board_entry entry;
	_Atomic unsigned sent, host_done; /* rounds */
	bool claimed[ROUNDS]; /* written by the host */
	bool revoked[ROUNDS]; /* written by the daemon, as the next */
	bool stopped[ROUNDS];
	bool saw_stop[ROUNDS]; /* written by the host: a claimed task waits to be told */
};

/* Both sides spin first, so that they leave together and meet within nanoseconds; on one processor they must yield. */
static void
await(_Atomic unsigned *rounds, unsigned n)
{
	for (unsigned spins = 0; atomic_load(rounds) < n; spins++)
		if (spins > 1000)
			sched_yield();
}

static void *
host(void *data)
{
	struct race *race = data;

	for (unsigned i = 0; i < ROUNDS; i++) {
		await(&race->sent, i + 1);
		race->claimed[i] = board_claim(&race->entry, i + 1, i);
		if (race->claimed[i]) {
			while (!board_is_stopped(&race->entry))
				sched_yield();
			race->saw_stop[i] = true;
		}
		atomic_store(&race->host_done, i + 1);
	}
	return NULL;
}

static void
claim_or_revoke_exactly_one_wins(void **state)
{
	static struct race race;
	unsigned claims = 0, revokes = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, host, &race), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		board_send(&race.entry, i + 1);
		atomic_store(&race.sent, i + 1);
		for (unsigned pause = i % 1024; pause > 0; pause--) /* let either side be early, in small steps */
			atomic_signal_fence(memory_order_seq_cst);
		if (i % 16 == 0)
			sched_yield();
		race.revoked[i] = board_revoke(&race.entry);
		if (!race.revoked[i])
			race.stopped[i] = board_stop(&race.entry);
		await(&race.host_done, i + 1);
	}
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_true(race.claimed[i] != race.revoked[i]);
		assert_true(race.claimed[i] == race.stopped[i]);
		assert_true(race.claimed[i] == race.saw_stop[i]);
		claims += race.claimed[i];
		revokes += race.revoked[i];
	}
	print_message("%u claimed, %u revoked\n", claims, revokes);
	assert_int_equal(claims + revokes, ROUNDS);
}

/* The host lags behind: what it is about to claim may be revoked, and its entry stand for the next task. */
static void *
late_host(void *data)
{
	struct race *race = data;

	for (unsigned i = 0; i < ROUNDS; i++) {
		await(&race->sent, i + 1);
		race->claimed[i] = board_claim(&race->entry, i + 1, i);
		atomic_store(&race->host_done, i + 1);
	}
	return NULL;
}

static void
a_late_claim_never_wins_the_next_task(void **state)
{
	static struct race race;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, late_host, &race), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		board_send(&race.entry, i + 1);
		atomic_store(&race.sent, i + 1);
		if (i % 8 == 0)
			await(&race.host_done, i);
		race.revoked[i] = board_revoke(&race.entry);
		if (!race.revoked[i])
			await(&race.host_done, i + 1);
	}
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_true(race.claimed[i] != race.revoked[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_board_is_empty_and_nothing_can_be_had_from_it),
		cmocka_unit_test(a_sent_task_is_claimed_once_and_shows_its_start),
		cmocka_unit_test(a_start_may_be_as_large_as_a_clock_ever_is),
		cmocka_unit_test(a_revoked_task_never_runs),
		cmocka_unit_test(only_the_task_that_was_sent_can_be_claimed),
		cmocka_unit_test(stop_reaches_a_claimed_task_only_and_keeps_its_start),
		cmocka_unit_test(a_state_that_is_none_is_empty),
		cmocka_unit_test(claim_or_revoke_exactly_one_wins),
		cmocka_unit_test(a_late_claim_never_wins_the_next_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

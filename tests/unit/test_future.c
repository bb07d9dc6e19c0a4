/* A future's life: every step that is legal and every one that is not, who is told, and when it is forgotten. */
#include "tests/unit/futures.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_clock.h"

static int
none_left(void **state)
{
	(void)state;
	future_on_change(NULL);
	futures_turn();
	futures_none_left();
	return timer_next() == UINT64_MAX ? 0 : -1; /* nor is any kept */
}

static uint64_t
count_of(enum future_state state)
{
	assert_int_equal(future_totals().states[state], futures_pool()->states[state]);
	return future_totals().states[state];
}

/* A future brought to that state. */
static struct future *
future_in(enum future_state state)
{
	struct future *f = futures_alone();

	if (state == FUTURE_RUNNING)
		future_set_state(f, FUTURE_RUNNING);
	if (state == FUTURE_FINISHED)
		future_succeed(f, (struct bytes){ .len = 0 });
	if (state == FUTURE_CANCELLED)
		future_cancelled(f);
	assert_int_equal(f->state, state);
	assert_int_equal(count_of(state), 1);
	return f;
}

static void
let_go_of(struct future *f)
{
	bool is_final = future_is_final(f);

	assert_true(future_release(f));
	if (!is_final)
		future_cancelled(f);
}

/* ---- states ---- */

static void
a_new_one_is_pending_and_in_no_place(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	assert_int_equal(f->state, FUTURE_PENDING);
	assert_int_equal(f->place, PLACE_NONE);
	assert_int_equal(f->submitted_us, fake_now_us);
	assert_int_equal(f->attempt, 0);
	assert_false(future_is_final(f));
	assert_ptr_equal(registry_find(f->id), f);
	assert_int_equal(count_of(FUTURE_PENDING), 1);
	let_go_of(f);
}

static void
one_that_is_discarded_was_never_there(void **state)
{
	struct spec *spec = futures_spec();
	struct future_totals before = future_totals();
	uint64_t id = registry_reserve(1), submitted = spec->pool->submitted;
	struct future *f = registry_make(id);

	(void)state;
	future_init(f, id, spec, futures_value("some arguments"));
	assert_int_equal(spec->count, 2);
	assert_null(registry_find(id));
	future_discard(f);
	assert_int_equal(future_totals().submitted, before.submitted);
	assert_int_equal(spec->pool->submitted, submitted);
	assert_int_equal(spec->count, 1);
	spec_drop(spec);
}

static const bool legal[FUTURE_STATES][FUTURE_STATES] = {
	[FUTURE_PENDING] = { [FUTURE_RUNNING] = true, [FUTURE_CANCELLED] = true, [FUTURE_FINISHED] = true },
	[FUTURE_RUNNING] = { [FUTURE_PENDING] = true, [FUTURE_CANCELLED] = true, [FUTURE_FINISHED] = true },
};

static void
every_legal_step_reaches_its_state(void **state)
{
	(void)state;
	for (int from = 0; from < FUTURE_STATES; from++)
		for (int to = 0; to < FUTURE_STATES; to++) {
			if (!legal[from][to])
				continue;
			struct future *f = future_in((enum future_state)from);
			future_set_state(f, (enum future_state)to);
			assert_int_equal(f->state, to);
			assert_int_equal(count_of((enum future_state)from), 0);
			assert_int_equal(count_of((enum future_state)to), 1);
			assert_int_equal(f->finished_us, future_is_final(f) ? fake_now_us : 0);
			let_go_of(f);
		}
}

/* In a child, which must not survive it. */
static bool
dies(enum future_state from, enum future_state to)
{
	struct future *f = future_in(from);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		future_set_state(f, to);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	let_go_of(f);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
every_other_step_is_refused(void **state)
{
	(void)state;
	for (int from = 0; from < FUTURE_STATES; from++)
		for (int to = 0; to < FUTURE_STATES; to++)
			assert_int_equal(dies((enum future_state)from, (enum future_state)to), !legal[from][to]);
}

static void
states_have_names_and_names_have_states(void **state)
{
	(void)state;
	for (int i = 0; i < FUTURE_STATES; i++) {
		enum future_state found = FUTURE_STATES;
		const char *name = future_state_name((enum future_state)i);
		assert_true(future_state_find(name, strlen(name), &found));
		assert_int_equal(found, i);
		assert_false(future_state_find(name, strlen(name) - 1, &found));
	}
	enum future_state found = FUTURE_RUNNING;
	assert_false(future_state_find("pending", 7, &found));
	assert_false(future_state_find("", 0, &found));
	assert_int_equal(found, FUTURE_RUNNING); /* written only on success */
}

static uint64_t changes[8];
static size_t change_count;

static void
on_change(struct future *f)
{
	assert_true(change_count < 8);
	changes[change_count++] = f->state;
}

static void
each_change_is_told_once(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	change_count = 0;
	future_on_change(on_change);
	future_announce(f);
	future_set_state(f, FUTURE_RUNNING);
	future_succeed(f, (struct bytes){ .len = 0 });
	assert_int_equal(change_count, 3);
	assert_int_equal(changes[0], FUTURE_PENDING);
	assert_int_equal(changes[1], FUTURE_RUNNING);
	assert_int_equal(changes[2], FUTURE_FINISHED);
	let_go_of(f);
	assert_int_equal(change_count, 3);
}

/* ---- who waits ---- */

struct sleeper {
	struct waiter waiter; /* first, so that one is the other */
	int woken;
	int turn; /* which of all it was */
	uint64_t id;
};

static int wakes;

static void
wake(struct waiter *w, struct future *f)
{
	struct sleeper *s = (struct sleeper *)w;

	assert_true(future_is_final(f));
	s->woken++;
	s->turn = wakes++;
	s->id = f->id;
}

static void
who_waits_is_woken_once_in_order(void **state)
{
	(void)state;
	for (int to = FUTURE_CANCELLED; to < FUTURE_STATES; to++)
		for (int from = FUTURE_PENDING; from <= FUTURE_RUNNING; from++) {
			struct future *f = future_in((enum future_state)from);
			struct sleeper s[5] = { { .woken = 0 } };
			wakes = 0;
			for (int i = 0; i < 5; i++) {
				s[i].waiter.wake = wake;
				future_wait(f, &s[i].waiter);
			}
			future_unwait(f, &s[2].waiter);
			uint64_t id = f->id;
			future_set_state(f, (enum future_state)to);
			assert_null(f->waiters);
			for (int i = 0; i < 5; i++) {
				assert_int_equal(s[i].woken, i != 2);
				assert_int_equal(s[i].turn, i < 2 ? i : i == 2 ? 0 : i - 1);
				assert_true(i == 2 || s[i].id == id);
			}
			let_go_of(f);
		}
}

static void
steps_that_are_not_final_wake_nobody(void **state)
{
	struct future *f = futures_alone();
	struct sleeper s = { .waiter.wake = wake };

	(void)state;
	future_wait(f, &s.waiter);
	future_set_state(f, FUTURE_RUNNING);
	future_set_state(f, FUTURE_PENDING);
	assert_int_equal(s.woken, 0);
	future_cancelled(f);
	assert_int_equal(s.woken, 1);
	let_go_of(f);
}

static struct sleeper other;

static void
wake_and_unwait_other(struct waiter *w, struct future *f)
{
	wake(w, f);
	future_unwait(f, &other.waiter);
}

static void
one_who_is_woken_may_take_another_away(void **state)
{
	struct future *f = futures_alone();
	struct sleeper s = { .waiter.wake = wake_and_unwait_other };

	(void)state;
	other = (struct sleeper){ .waiter.wake = wake };
	future_wait(f, &s.waiter);
	future_wait(f, &other.waiter);
	future_cancelled(f);
	assert_int_equal(s.woken, 1);
	assert_int_equal(other.woken, 0);
	let_go_of(f);
}

/* ---- being forgotten ---- */

static void
a_final_one_is_forgotten_at_once(void **state)
{
	struct future *f = future_in(FUTURE_FINISHED);
	uint64_t id = f->id;

	(void)state;
	assert_int_equal(f->place, PLACE_RETAINED);
	assert_true(future_release(f));
	assert_null(registry_find(id));
	assert_int_equal(count_of(FUTURE_FINISHED), 0);
}

static void
an_unfinished_one_is_known_until_it_is_final(void **state)
{
	(void)state;
	for (int from = FUTURE_PENDING; from <= FUTURE_RUNNING; from++) {
		struct future *f = future_in((enum future_state)from);
		struct sleeper s = { .waiter.wake = wake };
		uint64_t id = f->id;
		future_wait(f, &s.waiter);
		assert_true(future_release(f));
		assert_false(future_release(f)); /* was let go already */
		assert_ptr_equal(registry_find(id), f);
		future_succeed(f, futures_value("a value of some length"));
		assert_int_equal(s.woken, 1); /* whoever waits is answered first */
		assert_null(registry_find(id));
		futures_none_left();
	}
}

static void
a_pinned_one_is_there_but_not_to_be_had(void **state)
{
	struct future *f = futures_alone();
	uint64_t id = f->id;

	(void)state;
	future_pin(f);
	future_pin(f);
	future_succeed(f, futures_value("a value of some length"));
	assert_true(future_release(f));
	assert_false(future_release(f));
	assert_null(registry_find(id));
	assert_ptr_equal(registry_pinned(id), f);
	future_unpin(f);
	assert_memory_equal(bytes_data(&f->value), "a value", 7);
	future_unpin(f);
	assert_null(registry_page(id));
	assert_int_equal(block_total(), 0);
}

static void
a_pin_alone_forgets_nothing(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	future_pin(f);
	future_unpin(f);
	assert_ptr_equal(registry_find(f->id), f);
	future_cancelled(f);
	future_pin(f);
	future_unpin(f);
	assert_ptr_equal(registry_find(f->id), f);
	let_go_of(f);
}

static void
release_now(struct waiter *w, struct future *f)
{
	wake(w, f);
	assert_true(future_release(f));
	assert_memory_equal(bytes_data(&f->value), "a value", 7); /* there for those behind */
}

static void
see_value(struct waiter *w, struct future *f)
{
	wake(w, f);
	assert_memory_equal(bytes_data(&f->value), "a value", 7);
}

static void
one_who_is_woken_may_release_it(void **state)
{
	struct future *f = futures_alone();
	struct sleeper first = { .waiter.wake = release_now }, second = { .waiter.wake = see_value };
	uint64_t id = f->id;

	(void)state;
	future_wait(f, &first.waiter);
	future_wait(f, &second.waiter);
	future_succeed(f, futures_value("a value of some length"));
	assert_int_equal(first.woken + second.woken, 2);
	assert_null(registry_page(id));
}

static void
release_too_late(struct waiter *w, struct future *f)
{
	wake(w, f);
	future_release(f);
}

static void
letting_go_and_releasing_while_woken_is_once(void **state)
{
	struct future *f = futures_alone();
	struct sleeper s = { .waiter.wake = release_too_late };

	(void)state;
	assert_true(future_release(f));
	future_wait(f, &s.waiter);
	future_fail_with(f, STATUS_EXIT, "no matter");
	assert_int_equal(s.woken, 1);
}

/* A call that is answered with StoreError releases it, and that was the last of its page: it was looked at afterwards. */
static void
one_that_is_undone_may_be_released_by_whom_that_wakes(void **state)
{
	struct future *f = futures_alone(), *let_go;
	struct sleeper s = { .waiter.wake = release_too_late };
	uint64_t id = f->id;

	(void)state;
	future_wait(f, &s.waiter);
	future_undo(f);
	assert_int_equal(s.woken, 1);
	assert_null(registry_page(id));
	let_go = futures_alone();
	id = let_go->id;
	assert_true(future_release(let_go));
	future_undo(let_go);
	assert_null(registry_page(id));
}

/* ---- errors that nobody saw ---- */

static void
an_error_is_unseen_until_somebody_looks(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	future_fail_with(f, STATUS_EXIT, "%s", "it failed with some words");
	assert_int_equal(future_totals().unseen, 1);
	future_see(f);
	assert_int_equal(future_totals().unseen, 0);
	future_see(f);
	assert_int_equal(future_totals().unseen, 0);
	let_go_of(f);
}

static void
releasing_counts_as_looking(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	future_fail_with(f, STATUS_EXIT, "it failed with some words");
	assert_int_equal(future_totals().unseen, 1);
	future_pin(f);
	future_release(f);
	assert_int_equal(future_totals().unseen, 0);
	future_see(f); /* by somebody who holds it still */
	assert_int_equal(future_totals().unseen, 0);
	future_unpin(f);
}

static void
successes_and_cancels_are_never_unseen(void **state)
{
	struct future *good = future_in(FUTURE_FINISHED), *cancelled = future_in(FUTURE_CANCELLED);

	(void)state;
	assert_int_equal(future_totals().unseen, 0);
	future_see(good);
	future_see(cancelled);
	assert_int_equal(future_totals().unseen, 0);
	let_go_of(good);
	let_go_of(cancelled);
}

static void
an_error_let_go_before_it_came_is_not_unseen(void **state)
{
	struct future *f = futures_alone();

	(void)state;
	future_release(f);
	future_fail_with(f, STATUS_EXIT, "it failed with some words");
	assert_int_equal(future_totals().unseen, 0);
}

static void
totals_say_how_they_ended(void **state)
{
	struct future_totals before = future_totals();
	struct future *f[3] = { futures_alone(), futures_alone(), futures_alone() };

	(void)state;
	future_succeed(f[0], (struct bytes){ .len = 0 });
	future_fail_with(f[1], STATUS_EXIT, "no");
	future_cancelled(f[2]);
	assert_int_equal(future_totals().submitted, before.submitted + 3);
	assert_int_equal(future_totals().succeeded, before.succeeded + 1);
	assert_int_equal(future_totals().failed, before.failed + 1);
	assert_int_equal(future_totals().cancelled, before.cancelled + 1);
	for (int i = 0; i < 3; i++)
		let_go_of(f[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_new_one_is_pending_and_in_no_place, none_left),
		cmocka_unit_test_teardown(one_that_is_discarded_was_never_there, none_left),
		cmocka_unit_test_teardown(every_legal_step_reaches_its_state, none_left),
		cmocka_unit_test_teardown(every_other_step_is_refused, none_left),
		cmocka_unit_test_teardown(states_have_names_and_names_have_states, none_left),
		cmocka_unit_test_teardown(each_change_is_told_once, none_left),
		cmocka_unit_test_teardown(who_waits_is_woken_once_in_order, none_left),
		cmocka_unit_test_teardown(steps_that_are_not_final_wake_nobody, none_left),
		cmocka_unit_test_teardown(one_who_is_woken_may_take_another_away, none_left),
		cmocka_unit_test_teardown(a_final_one_is_forgotten_at_once, none_left),
		cmocka_unit_test_teardown(an_unfinished_one_is_known_until_it_is_final, none_left),
		cmocka_unit_test_teardown(a_pinned_one_is_there_but_not_to_be_had, none_left),
		cmocka_unit_test_teardown(a_pin_alone_forgets_nothing, none_left),
		cmocka_unit_test_teardown(one_who_is_woken_may_release_it, none_left),
		cmocka_unit_test_teardown(letting_go_and_releasing_while_woken_is_once, none_left),
		cmocka_unit_test_teardown(one_that_is_undone_may_be_released_by_whom_that_wakes, none_left),
		cmocka_unit_test_teardown(an_error_is_unseen_until_somebody_looks, none_left),
		cmocka_unit_test_teardown(releasing_counts_as_looking, none_left),
		cmocka_unit_test_teardown(successes_and_cancels_are_never_unseen, none_left),
		cmocka_unit_test_teardown(an_error_let_go_before_it_came_is_not_unseen, none_left),
		cmocka_unit_test_teardown(totals_say_how_they_ended, none_left),
	};

	return turn_base() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

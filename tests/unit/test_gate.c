/* Gates: futures that wait for others. */
#include "tests/unit/futures.h"

#include <sys/resource.h>

#include "daemon/errors.h"
#include "daemon/gate.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/fake_clock.h"

static int
none_left(void **state)
{
	(void)state;
	futures_turn();
	futures_turn();
	futures_none_left();
	return 0;
}

static void
succeed(struct future *f)
{
	future_succeed(f, (struct bytes){ .len = 0 });
}

static void
end(struct future *f)
{
	bool is_final = future_is_final(f);

	assert_true(future_release(f));
	if (!is_final)
		future_cancelled(f);
}

/* A future behind a gate of its own, as its references put it. */
static struct future *
behind_own(const uint64_t *ids, size_t count)
{
	struct future *f = futures_alone();

	assert_non_null(future_more(f));
	f->more->own_gate = gate_new(ids, count, true);
	assert_non_null(f->more->own_gate);
	gate_hold(f->more->own_gate, f);
	return f;
}

/* `held` futures behind one gate, as the option `after` puts a map's. */
static struct gate *
behind_shared(const uint64_t *ids, size_t count, struct future **held, size_t n)
{
	struct gate *g = gate_new(ids, count, false);

	assert_non_null(g);
	for (size_t i = 0; i < n; i++) {
		held[i] = futures_alone();
		gate_hold(g, held[i]);
	}
	gate_filled(g);
	return g;
}

/* The cause inside a DependencyError: whose it is, and what it is. */
static void
failed_because_of(const struct future *f, uint64_t id, const char *type)
{
	struct error_view view;
	struct reader r;
	uint32_t pairs;
	bool found = false;

	assert_int_equal(f->state, FUTURE_FINISHED);
	assert_true(f->failed);
	reader_init(&r, bytes_data(&f->value), bytes_len(&f->value));
	assert_true(read_map(&r, &pairs));
	while (pairs-- && !found) {
		found = read_is(&r, "cause");
		if (!found)
			assert_true(read_skip(&r) && read_skip(&r));
	}
	assert_true(found);
	assert_true(error_read(&r, &view));
	assert_int_equal(view.future, id);
	assert_int_equal(view.type_len, strlen(type));
	assert_memory_equal(view.type, type, view.type_len);
	reader_init(&r, bytes_data(&f->value), bytes_len(&f->value));
	assert_true(error_read(&r, &view));
	assert_int_equal(view.status, STATUS_DEPENDENCY);
	assert_int_equal(view.future, f->id);
}

static void
it_opens_when_the_last_one_is_done(void **state)
{
	struct future *needed[3] = { futures_alone(), futures_alone(), futures_alone() }, *held[2];
	uint64_t ids[3] = { needed[0]->id, needed[1]->id, needed[2]->id };
	struct gate *g = behind_shared(ids, 3, held, 2);

	(void)state;
	assert_int_equal(held[0]->place, PLACE_GATE);
	assert_int_equal(gate_waits_for(g), ids[0]);
	succeed(needed[0]);
	assert_int_equal(gate_waits_for(g), ids[1]);
	succeed(needed[2]);
	futures_turn();
	assert_int_equal(held[0]->place, PLACE_GATE);
	succeed(needed[1]);
	assert_int_equal(held[0]->place, PLACE_GATE); /* not from inside */
	assert_int_equal(gate_waits_for(g), 0);
	futures_turn();
	assert_int_equal(held[0]->place, PLACE_QUEUE);
	assert_int_equal(held[1]->place, PLACE_QUEUE);
	assert_ptr_equal(queue_peek(futures_pool()->queue), held[0]); /* in their order */
	for (int i = 0; i < 3; i++)
		end(needed[i]);
	end(held[0]);
	end(held[1]);
}

static void
what_was_done_before_is_done(void **state)
{
	struct future *needed = futures_alone(), *held[1], *own;
	uint64_t id = needed->id;

	(void)state;
	succeed(needed);
	behind_shared(&id, 1, held, 1);
	own = behind_own(&id, 1);
	assert_int_equal(own->place, PLACE_GATE); /* passes in a later step */
	futures_turn();
	assert_int_equal(held[0]->place, PLACE_QUEUE);
	assert_int_equal(own->place, PLACE_QUEUE);
	end(held[0]);
	end(own);
	end(needed);
}

static void
one_that_is_named_twice_is_waited_for_once(void **state)
{
	struct future *needed = futures_alone(), *own;
	uint64_t ids[2] = { needed->id, needed->id };

	(void)state;
	own = behind_own(ids, 2);
	succeed(needed);
	futures_turn();
	assert_int_equal(own->place, PLACE_QUEUE);
	end(needed);
	end(own);
}

static void
the_first_failure_is_the_cause_and_comes_before_the_last_is_done(void **state)
{
	struct future *needed[3] = { futures_alone(), futures_alone(), futures_alone() }, *held[2];
	uint64_t ids[3] = { needed[0]->id, needed[1]->id, needed[2]->id };

	(void)state;
	behind_shared(ids, 3, held, 2);
	future_fail_with(needed[1], STATUS_EXIT, "it ended with 3");
	future_fail_with(needed[0], STATUS_WORKER_LOST, "its worker is gone");
	futures_turn();
	failed_because_of(held[0], ids[1], "ExitError");
	failed_because_of(held[1], ids[1], "ExitError");
	end(needed[0]);
	end(needed[1]);
	succeed(needed[2]); /* later: nobody is interested */
	end(needed[2]);
	end(held[0]);
	end(held[1]);
}

static void
a_cancelled_one_is_a_failure(void **state)
{
	struct future *needed = futures_alone(), *held[1];
	uint64_t id = needed->id;

	(void)state;
	behind_shared(&id, 1, held, 1);
	future_cancelled(needed);
	futures_turn();
	failed_because_of(held[0], id, "CancelledError");
	end(needed);
	end(held[0]);
}

static void
causes_are_never_nested(void **state)
{
	struct future *first = futures_alone(), *held[3];
	uint64_t id = first->id, before = id;

	(void)state;
	for (int i = 0; i < 3; i++) {
		behind_shared(&before, 1, &held[i], 1);
		before = held[i]->id;
	}
	future_fail_with(first, STATUS_EXIT, "it ended with 3");
	for (int i = 0; i < 3; i++)
		futures_turn();
	for (int i = 0; i < 3; i++) {
		failed_because_of(held[i], id, "ExitError");
		end(held[i]);
	}
	end(first);
}

static void
it_pins_what_it_waits_for(void **state)
{
	struct future *needed = futures_alone(), *own;
	uint64_t id = needed->id;

	(void)state;
	own = behind_own(&id, 1);
	assert_true(future_release(needed));
	future_succeed(needed, futures_value("the value that is needed"));
	assert_null(registry_find(id));
	futures_turn();
	assert_int_equal(own->place, PLACE_QUEUE);
	assert_memory_equal(bytes_data(&registry_pinned(id)->value), "the value", 9); /* until it is handed over */
	end(own);
	assert_null(registry_page(id));
}

static void
who_is_cancelled_behind_it_no_longer_waits(void **state)
{
	struct future *needed = futures_alone(), *held[3], *own;
	uint64_t id = needed->id;

	(void)state;
	behind_shared(&id, 1, held, 3);
	own = behind_own(&id, 1);
	future_cancelled(held[1]);
	future_cancelled(own);
	assert_int_equal(own->state, FUTURE_CANCELLED);
	succeed(needed);
	futures_turn();
	assert_int_equal(held[0]->place, PLACE_QUEUE);
	assert_int_equal(held[1]->state, FUTURE_CANCELLED);
	assert_int_equal(held[2]->place, PLACE_QUEUE);
	end(needed);
	end(own);
	for (int i = 0; i < 3; i++)
		end(held[i]);
}

static void
with_its_last_one_cancelled_it_goes(void **state)
{
	struct future *needed = futures_alone(), *held[2];
	uint64_t id = needed->id;

	(void)state;
	behind_shared(&id, 1, held, 2);
	assert_int_equal(needed->pins, 1);
	end(held[0]);
	end(held[1]);
	futures_turn();
	assert_int_equal(needed->pins, 0);
	assert_null(needed->waiters);
	end(needed);
}

static void
cancelled_after_it_opened_nothing_is_let_go(void **state)
{
	struct future *needed = futures_alone(), *held[1], *own;
	uint64_t id = needed->id;

	(void)state;
	behind_shared(&id, 1, held, 1);
	own = behind_own(&id, 1);
	succeed(needed); /* open, but its turn has not come */
	end(held[0]);
	end(own);
	futures_turn();
	assert_int_equal(queue_length(futures_pool()->queue), 0);
	end(needed);
}

static void
one_still_being_filled_stays_though_empty(void **state)
{
	struct future *needed = futures_alone(), *f = futures_alone();
	struct gate *g = gate_new(&needed->id, 1, false);

	(void)state;
	succeed(needed);
	futures_turn();
	gate_hold(g, f);
	futures_turn();
	assert_int_equal(f->place, PLACE_QUEUE);
	assert_int_equal(needed->pins, 1);
	gate_filled(g);
	futures_turn();
	assert_int_equal(needed->pins, 0);
	end(needed);
	end(f);
	gate_free(NULL);
}

static void
a_deadline_passes_behind_it_too(void **state)
{
	struct future *needed = futures_alone(), *f = futures_alone();
	struct gate *g = gate_new(&needed->id, 1, false);

	(void)state;
	future_more(f)->deadline_us = fake_now_us + 1000;
	gate_hold(g, f);
	gate_filled(g);
	timer_run(fake_now_us += 1000, 10);
	assert_int_equal(f->state, FUTURE_FINISHED);
	assert_true(f->failed);
	end(needed);
	end(f);
}

/* More than a turn may touch: it goes on in the next ones, and everyone passes once. */
static void
many_pass_in_slices(void **state)
{
	enum { COUNT = 20000 };
	struct future *needed = futures_alone();
	struct spec *spec = futures_spec();
	struct gate *g = gate_new(&needed->id, 1, false);
	uint64_t first = registry_next(), length = 0, turns = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		gate_hold(g, futures_new(spec));
	gate_filled(g);
	succeed(needed);
	for (; length < COUNT; turns++) {
		futures_turn();
		assert_true(queue_length(futures_pool()->queue) > length);
		length = queue_length(futures_pool()->queue);
	}
	assert_true(turns > 1);
	for (uint64_t id = first; id < first + COUNT; id++)
		end(registry_find(id));
	end(needed);
	spec_drop(spec);
}

/* A chain in which each waits for the one before: with little stack, so recursion would end the test. */
static void
a_long_chain_fails_without_recursion(void **state)
{
	enum { COUNT = 100000 };
	struct rlimit before, little = { .rlim_cur = 512 * 1024 };
	struct future *first = futures_alone();
	struct spec *spec = futures_spec();
	uint64_t id = first->id, last = id;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		struct gate *g = gate_new(&last, 1, false);
		struct future *f = futures_new(spec);
		gate_hold(g, f);
		gate_filled(g);
		last = f->id;
	}
	assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
	little.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_STACK, &little), 0);
	future_fail_with(first, STATUS_EXIT, "it ended with 3");
	while (!future_is_final(registry_find(last)))
		futures_turn();
	failed_because_of(registry_find(last), id, "ExitError");
	assert_int_equal(future_totals().unseen, COUNT + 1);
	for (uint64_t i = id; i <= last; i++)
		end(registry_find(i));
	futures_turn();
	assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
	spec_drop(spec);
}

static void
without_memory_there_is_no_gate_and_no_pin(void **state)
{
	struct future *needed = futures_alone();

	(void)state;
	memory_fail_after(0);
	assert_null(gate_new(&needed->id, 1, true));
	assert_true(memory_is_good_again());
	assert_int_equal(needed->pins, 0);
	assert_null(needed->waiters);
	end(needed);
}

/* Whatever fails while a failure is passed on, whoever waits is let go: failed, with what can be said. */
static void
without_memory_dependents_still_end(void **state)
{
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n++) {
		struct future *needed = futures_alone(), *held[2];
		uint64_t id = needed->id;
		behind_shared(&id, 1, held, 2);
		memory_fail_after(n);
		future_fail_with(needed, STATUS_EXIT, "it ended with 3");
		futures_turn();
		failed = memory_is_good_again();
		for (int i = 0; i < 2; i++) {
			assert_int_equal(held[i]->state, FUTURE_FINISHED);
			assert_true(held[i]->failed);
			end(held[i]);
		}
		end(needed);
		futures_turn();
		futures_none_left();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(it_opens_when_the_last_one_is_done, none_left),
		cmocka_unit_test_teardown(what_was_done_before_is_done, none_left),
		cmocka_unit_test_teardown(one_that_is_named_twice_is_waited_for_once, none_left),
		cmocka_unit_test_teardown(the_first_failure_is_the_cause_and_comes_before_the_last_is_done, none_left),
		cmocka_unit_test_teardown(a_cancelled_one_is_a_failure, none_left),
		cmocka_unit_test_teardown(causes_are_never_nested, none_left),
		cmocka_unit_test_teardown(it_pins_what_it_waits_for, none_left),
		cmocka_unit_test_teardown(who_is_cancelled_behind_it_no_longer_waits, none_left),
		cmocka_unit_test_teardown(with_its_last_one_cancelled_it_goes, none_left),
		cmocka_unit_test_teardown(cancelled_after_it_opened_nothing_is_let_go, none_left),
		cmocka_unit_test_teardown(one_still_being_filled_stays_though_empty, none_left),
		cmocka_unit_test_teardown(a_deadline_passes_behind_it_too, none_left),
		cmocka_unit_test_teardown(many_pass_in_slices, none_left),
		cmocka_unit_test_teardown(a_long_chain_fails_without_recursion, none_left),
		cmocka_unit_test_teardown(without_memory_there_is_no_gate_and_no_pin, none_left),
		cmocka_unit_test_teardown(without_memory_dependents_still_end, none_left),
	};

	return turn_base() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

/* The queue: priorities, the owners' turns, each owner's order; against a naive reference, without memory, and with as many priorities as there are. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/owner.h"
#include "daemon/queue.h"
#include "tests/unit/chance.h"
#include "tests/unit/failing_memory.h"

enum { OWNERS = 3, PRIORITIES = 12, MOST = 128, OPERATIONS = 300, ROUNDS = 60 };

static struct owner owners[OWNERS] = { { .uid = 1 }, { .uid = 2 }, { .uid = 3 } };

/* As the futures of one priority and owner share a spec. */
static struct spec *
spec_for(int priority, int owner)
{
	static struct spec specs[PRIORITIES][OWNERS];
	struct spec *spec = &specs[priority][owner];

	spec->priority = priority * 100 - 500;
	spec->owner = &owners[owner];
	return spec;
}

static void
make(struct future *f, int priority, int owner, uint64_t order)
{
	memset(f, 0, sizeof *f);
	f->id = f->order = order;
	f->spec = spec_for(priority, owner);
}

static void
popped_is(struct queue *q, struct future *f)
{
	assert_ptr_equal(queue_peek(q), f);
	assert_ptr_equal(queue_pop(q), f);
	assert_int_equal(f->place, PLACE_NONE);
}

static void
an_empty_queue_has_nothing(void **state)
{
	struct queue *q = queue_new();

	(void)state;
	assert_null(queue_peek(q));
	assert_null(queue_pop(q));
	assert_int_equal(queue_length(q), 0);
	queue_free(q);
	queue_free(NULL);
}

static void
higher_priority_goes_first_and_equals_in_order(void **state)
{
	static const int priority[] = { 1, 3, 0, 3, 1, 2, 3, 0 };
	static const size_t expected[] = { 1, 3, 6, 5, 0, 4, 2, 7 };
	struct queue *q = queue_new();
	struct future f[8];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		make(&f[i], priority[i], 0, i + 1);
		assert_true(queue_push(q, &f[i]));
		assert_int_equal(f[i].place, PLACE_QUEUE);
	}
	assert_int_equal(queue_length(q), 8);
	for (size_t i = 0; i < 8; i++)
		popped_is(q, &f[expected[i]]);
	assert_int_equal(queue_length(q), 0);
	queue_free(q);
}

/* One owner with many waits no longer for the others than they for it. */
static void
owners_of_unequal_load_take_turns(void **state)
{
	static const int expected[] = { 0, 1, 2, 0, 1, 0, 1, 0, 0, 0 };
	static const int load[] = { 6, 3, 1 };
	struct queue *q = queue_new();
	struct future f[10];
	size_t n = 0;

	(void)state;
	for (int owner = 0; owner < OWNERS; owner++)
		for (int i = 0; i < load[owner]; i++, n++) {
			make(&f[n], 1, owner, n + 1);
			assert_true(queue_push(q, &f[n]));
		}
	uint64_t last[OWNERS] = { 0 };
	for (size_t i = 0; i < n; i++) {
		struct future *next = queue_pop(q);
		assert_ptr_equal(next->spec->owner, &owners[expected[i]]);
		assert_true(next->order > last[expected[i]]);
		last[expected[i]] = next->order;
	}
	queue_free(q);
}

/* Owners come and go: what was kept for them does not stay. */
static void
a_thousand_owners_take_turns_and_leave_nothing_behind(void **state)
{
	enum { MANY = 1000, EACH = 3 };
	static struct owner many[MANY];
	static struct spec specs[MANY];
	static struct future f[EACH][MANY];
	struct queue *q = queue_new();

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			specs[i].owner = &many[i];
			for (int n = 0; n < EACH; n++) {
				memset(&f[n][i], 0, sizeof f[n][i]);
				f[n][i].spec = &specs[i];
				f[n][i].order = queue_order(q, 1);
				assert_true(queue_push(q, &f[n][i]));
			}
		}
		for (int n = 0; n < EACH; n++)
			for (int i = 0; i < MANY; i++)
				popped_is(q, &f[n][i]);
	}
	for (int i = 0; i < MANY; i++) { /* one at a time: a new lane each, and none of them stays for long */
		assert_true(queue_push(q, &f[0][i]));
		queue_remove(q, &f[0][i]);
	}
	assert_int_equal(queue_length(q), 0);
	queue_free(q);
}

static void
one_who_comes_back_waits_for_its_turn(void **state)
{
	struct queue *q = queue_new();
	struct future f[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		make(&f[i], 1, i == 0 || i == 3, i + 1);
	assert_true(queue_push(q, &f[0]));
	assert_true(queue_push(q, &f[1]));
	assert_true(queue_push(q, &f[2]));
	popped_is(q, &f[0]);
	assert_true(queue_push(q, &f[3])); /* the same owner again: behind the other's first */
	popped_is(q, &f[1]);
	popped_is(q, &f[3]);
	popped_is(q, &f[2]);
	queue_free(q);
}

static void
one_from_the_middle_goes_and_the_rest_stays_in_order(void **state)
{
	struct queue *q = queue_new();
	struct future f[6];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		make(&f[i], i < 5, 0, i + 1);
		assert_true(queue_push(q, &f[i]));
	}
	queue_remove(q, &f[2]);
	assert_int_equal(f[2].place, PLACE_NONE);
	queue_remove(q, &f[0]);
	queue_remove(q, &f[5]); /* the only one of its priority */
	assert_int_equal(queue_length(q), 3);
	popped_is(q, &f[1]);
	popped_is(q, &f[3]);
	queue_remove(q, &f[4]);
	assert_null(queue_pop(q));
	queue_free(q);
}

/* What takes the emptied priority's place in the heap comes from another branch, and is above what it finds there. */
static void
a_priority_that_empties_leaves_the_others_in_order(void **state)
{
	static const int priority[] = { 11, 2, 10, 0, 1, 9, 3, 4 };
	static const size_t expected[] = { 0, 2, 5, 7, 6, 1, 4 };
	struct queue *q = queue_new();
	struct future f[8];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		make(&f[i], priority[i], 0, i + 1);
		assert_true(queue_push(q, &f[i]));
		if (i == 5)
			queue_remove(q, &f[3]);
	}
	for (size_t i = 0; i < 7; i++)
		popped_is(q, &f[expected[i]]);
	queue_free(q);
}

static void
what_was_taken_goes_back_to_its_old_place(void **state)
{
	struct queue *q = queue_new();
	struct future f[6];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		make(&f[i], 1, 0, i + 1);
		assert_true(queue_push(q, &f[i]));
	}
	for (size_t i = 0; i < 4; i++)
		popped_is(q, &f[i]);
	assert_true(queue_push_back(q, &f[2])); /* in any order */
	assert_true(queue_push_back(q, &f[0]));
	assert_true(queue_push_back(q, &f[3]));
	assert_int_equal(f[3].place, PLACE_QUEUE);
	popped_is(q, &f[0]);
	popped_is(q, &f[2]);
	popped_is(q, &f[3]);
	popped_is(q, &f[4]);
	popped_is(q, &f[5]);
	assert_true(queue_push_back(q, &f[1])); /* into an empty one */
	popped_is(q, &f[1]);
	queue_free(q);
}

static void
a_list_is_appended_whole_and_emptied(void **state)
{
	struct future_list list = TAILQ_HEAD_INITIALIZER(list);
	struct queue *q = queue_new();
	struct future f[1001];

	(void)state;
	assert_true(queue_push_list(q, &list, 0));
	assert_int_equal(queue_length(q), 0);
	make(&f[0], 1, 0, 1);
	assert_true(queue_push(q, &f[0]));
	for (size_t i = 1; i < 1001; i++) {
		make(&f[i], 1, 0, i + 1);
		f[i].place = PLACE_QUEUE;
		TAILQ_INSERT_TAIL(&list, &f[i], link);
	}
	assert_true(queue_push_list(q, &list, 1000));
	assert_true(TAILQ_EMPTY(&list));
	assert_int_equal(queue_length(q), 1001);
	assert_int_equal(queue_position(q, &f[1000]), 1000);
	queue_remove(q, &f[500]);
	for (size_t i = 0; i < 1001; i++)
		if (i != 500)
			popped_is(q, &f[i]);
	queue_free(q);
}

/* A large map has its places from the beginning of its making on; meanwhile others came. */
static void
a_list_goes_before_whoever_is_younger(void **state)
{
	struct queue *q = queue_new();
	struct future_list list = TAILQ_HEAD_INITIALIZER(list);
	struct future f[10];

	(void)state;
	for (size_t i = 0; i < 10; i++)
		make(&f[i], 1, 0, i + 1);
	for (size_t i = 0; i < 10; i++) {
		if (i < 3 || i > 6) {
			assert_true(queue_push(q, &f[i]));
			continue;
		}
		f[i].place = PLACE_QUEUE;
		TAILQ_INSERT_TAIL(&list, &f[i], link);
	}
	assert_true(queue_push_list(q, &list, 4));
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(queue_position(q, &f[i]), i);
	for (size_t i = 0; i < 10; i++)
		popped_is(q, &f[i]);
	queue_free(q);
}

static void
the_position_is_exact_for_one_owner(void **state)
{
	struct queue *q = queue_new();
	struct future f[9];

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		make(&f[i], i % 3 == 0, 0, i + 1);
		assert_true(queue_push(q, &f[i]));
	}
	assert_int_equal(queue_position(q, &f[0]), 0);
	assert_int_equal(queue_position(q, &f[6]), 2); /* six ids later, but two of this owner before it; no more are there */
	assert_int_equal(queue_position(q, &f[1]), 3); /* behind the three of higher priority */
	while (queue_pop(q))
		;
	queue_free(q);
}

/* ---- against a reference that is plain arrays ---- */

struct level {
	struct future *lane[OWNERS][MOST];
	size_t length[OWNERS];
	int ring[OWNERS]; /* owners, in the order of their turns */
	int owners;
};

struct model {
	struct level level[PRIORITIES];
};

static void
model_insert(struct model *m, struct future *f, int priority, int owner)
{
	struct level *l = &m->level[priority];
	size_t at = 0, n = l->length[owner];

	while (at < n && l->lane[owner][at]->order < f->order)
		at++;
	memmove(&l->lane[owner][at + 1], &l->lane[owner][at], (n - at) * sizeof f);
	l->lane[owner][at] = f;
	if (!l->length[owner]++)
		l->ring[l->owners++] = owner;
}

static void
ring_remove(struct level *l, int owner)
{
	int kept = 0;

	for (int i = 0; i < l->owners; i++)
		if (l->ring[i] != owner)
			l->ring[kept++] = l->ring[i];
	l->owners = kept;
}

static bool
model_remove(struct model *m, const struct future *f)
{
	for (int p = 0; p < PRIORITIES; p++)
		for (int o = 0; o < OWNERS; o++)
			for (size_t i = 0; i < m->level[p].length[o]; i++) {
				struct level *l = &m->level[p];
				if (l->lane[o][i] != f)
					continue;
				memmove(&l->lane[o][i], &l->lane[o][i + 1], (--l->length[o] - i) * sizeof f);
				if (!l->length[o])
					ring_remove(l, o);
				return true;
			}
	return false;
}

static struct future *
model_pop(struct model *m)
{
	for (int p = PRIORITIES; p-- > 0;) {
		struct level *l = &m->level[p];
		if (!l->owners)
			continue;
		int owner = l->ring[0];
		struct future *f = l->lane[owner][0];
		ring_remove(l, owner);
		l->ring[l->owners++] = owner;
		model_remove(m, f);
		return f;
	}
	return NULL;
}

static uint64_t
taken_before(const struct model *m, const struct future *f)
{
	static struct model copy;
	uint64_t n = 0;

	copy = *m;
	while (model_pop(&copy) != f)
		n++;
	return n;
}

/* All that there is: where each future is said to be. */
struct world {
	struct model model;
	struct queue *queue;
	struct future future[OPERATIONS];
	int priority[OPERATIONS], owner[OPERATIONS];
	struct future *inside[OPERATIONS], *taken[OPERATIONS];
	size_t made, insides, takens;
};

static void
drop_inside(struct world *w, const struct future *f)
{
	size_t i = 0;

	while (w->inside[i] != f)
		i++;
	w->inside[i] = w->inside[--w->insides];
}

static void
push(struct world *w)
{
	size_t i = w->made++;

	w->priority[i] = (int)chance(PRIORITIES);
	w->owner[i] = chance(4) ? (int)chance(OWNERS) : 0; /* one has more than the others */
	make(&w->future[i], w->priority[i], w->owner[i], i + 1);
	model_insert(&w->model, &w->future[i], w->priority[i], w->owner[i]);
	assert_true(queue_push(w->queue, &w->future[i]));
	w->inside[w->insides++] = &w->future[i];
}

static void
pop(struct world *w)
{
	struct future *expected = model_pop(&w->model);

	assert_ptr_equal(queue_pop(w->queue), expected);
	if (!expected)
		return;
	drop_inside(w, expected);
	w->taken[w->takens++] = expected;
}

static void
push_back(struct world *w)
{
	if (!w->takens)
		return;
	size_t at = chance(w->takens);
	struct future *f = w->taken[at];
	size_t i = (size_t)(f - w->future);

	w->taken[at] = w->taken[--w->takens];
	model_insert(&w->model, f, w->priority[i], w->owner[i]);
	assert_true(queue_push_back(w->queue, f));
	w->inside[w->insides++] = f;
}

static void
remove_one(struct world *w)
{
	if (!w->insides)
		return;
	struct future *f = w->inside[chance(w->insides)];
	assert_true(model_remove(&w->model, f));
	queue_remove(w->queue, f);
	drop_inside(w, f);
}

static void
positions_are_upper_bounds(const struct world *w)
{
	for (size_t i = 0; i < w->insides; i++) {
		uint64_t told = queue_position(w->queue, w->inside[i]);
		assert_true(told >= taken_before(&w->model, w->inside[i]));
		assert_true(told < w->insides);
	}
}

static void
anything_that_happens_happens_as_in_the_reference(void **state)
{
	(void)state;
	chance_begin();
	for (int round = 0; round < ROUNDS; round++) {
		struct world *w = test_calloc(1, sizeof *w);
		w->queue = queue_new();
		for (int i = 0; i < OPERATIONS; i++) {
			uint64_t what = chance(10);
			if (what < 5 && w->insides + w->takens < MOST)
				push(w);
			else if (what < 7)
				pop(w);
			else if (what < 9)
				push_back(w);
			else
				remove_one(w);
			assert_int_equal(queue_length(w->queue), w->insides);
			assert_int_equal(queue_peek(w->queue) == NULL, w->insides == 0);
			if (i % 10 == 0)
				positions_are_upper_bounds(w);
		}
		while (w->insides)
			pop(w);
		assert_null(queue_pop(w->queue));
		queue_free(w->queue);
		test_free(w);
	}
}

/* ---- without memory ---- */

static uint64_t
pop_all(struct queue *q, uint64_t last)
{
	uint64_t n = 0;

	for (struct future *f; (f = queue_pop(q)); n++) {
		assert_true(f->order > last);
		last = f->order;
	}
	return n;
}

/* Pushes into as many priorities as fill the heap anew and grow the table: what was refused is not in it, everything else is. */
static bool
push_all(struct queue *q, struct future *f, struct spec *spec, size_t count, uint64_t *inside)
{
	bool all = true;

	for (size_t i = 0; i < count; i++) {
		memset(&f[i], 0, sizeof f[i]);
		f[i].order = f[i].id = i + 1;
		spec[i] = (struct spec){ .priority = -(int32_t)i, .owner = &owners[0] };
		f[i].spec = &spec[i];
		bool back = i % 2;
		if (back ? queue_push_back(q, &f[i]) : queue_push(q, &f[i]))
			++*inside;
		else
			all = false;
		assert_int_equal(queue_length(q), *inside);
	}
	return all;
}

static void
a_failed_allocation_loses_nothing(void **state)
{
	enum { COUNT = 600 };
	static struct future f[COUNT];
	static struct spec spec[COUNT];
	bool failed = true;
	long n = 0;

	(void)state;
	for (; failed; n++) {
		uint64_t inside = 0;
		memory_fail_after(n);
		struct queue *q = queue_new();
		if (!q) {
			assert_true(memory_is_good_again());
			continue;
		}
		bool all = push_all(q, f, spec, COUNT, &inside);
		failed = memory_is_good_again();
		assert_int_equal(all, !failed);
		assert_int_equal(inside, COUNT - failed);
		assert_int_equal(pop_all(q, 0), inside);
		queue_free(q);
	}
	assert_true(n > 2 * COUNT);
}

static void
a_list_that_is_refused_stays_whole(void **state)
{
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n++) {
		struct future_list list = TAILQ_HEAD_INITIALIZER(list);
		struct queue *q = queue_new();
		struct future f[3];
		size_t left = 0;
		for (size_t i = 0; i < 3; i++) {
			make(&f[i], 1, 0, i + 1);
			TAILQ_INSERT_TAIL(&list, &f[i], link);
		}
		memory_fail_after(n);
		bool done = queue_push_list(q, &list, 3);
		failed = memory_is_good_again();
		assert_int_equal(done, !failed);
		struct future *at;
		TAILQ_FOREACH(at, &list, link)
			left++;
		assert_int_equal(left, failed ? 3 : 0);
		assert_int_equal(queue_length(q), failed ? 0 : 3);
		if (failed)
			assert_true(queue_push_list(q, &list, 3));
		assert_int_equal(pop_all(q, 0), 3);
		queue_free(q);
	}
}

/* ---- as many priorities as there are ---- */

static struct queue *many;
static struct future *many_futures;
static struct spec *many_specs;

static void
fill(uint32_t priorities)
{
	many = queue_new();
	many_futures = test_calloc(priorities, sizeof *many_futures);
	many_specs = test_calloc(priorities, sizeof *many_specs);
	for (uint32_t i = 0; i < priorities; i++) {
		uint32_t mixed = i * 40503u % priorities; /* odd, so each once */
		many_specs[i] = (struct spec){ .priority = (int32_t)mixed - 32768, .owner = &owners[0] };
		many_futures[i].spec = &many_specs[i];
		many_futures[i].order = i + 1;
		assert_true(queue_push(many, &many_futures[i]));
	}
}

static void
empty(void)
{
	int32_t last = INT32_MAX;

	for (struct future *f; (f = queue_pop(many)); last = f->spec->priority)
		assert_true(f->spec->priority < last);
	queue_free(many);
	test_free(many_futures);
	test_free(many_specs);
}

/* Takes, puts back and cancels, over the whole range. */
static void
use(void)
{
	uint32_t count = (uint32_t)queue_length(many);

	for (uint32_t i = 0; i < 8; i++) {
		struct future *f = queue_pop(many);
		queue_push_back(many, f);
		f = &many_futures[i * (count / 8)];
		queue_remove(many, f);
		queue_push(many, f);
	}
}

/* Instructions that a child needs for use(): no clock. Negative where nobody may be traced. */
static long
steps_of_use(void)
{
	pid_t pid = fork();
	long steps = 0;
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		use();
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		return -1;
	do {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		steps++;
	} while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return steps;
}

static void
sixty_five_thousand_priorities_cost_no_more_than_their_logarithm(void **state)
{
	(void)state;
	fill(64);
	long few = steps_of_use();
	empty();
	fill(65536);
	long all = steps_of_use();
	empty();
	if (few < 0)
		skip();
	print_message("%ld instructions with 64 priorities, %ld with 65536\n", few, all);
	assert_true(few > 500); /* so many of them at least are the queue's own */
	assert_true(all < few * 8);
}

/* Of so many priorities that were used once, a few are kept for use again: pushing there needs no memory. */
static void
priorities_that_were_used_once_are_given_back(void **state)
{
	unsigned kept = 0;

	(void)state;
	fill(4096);
	while (queue_pop(many))
		;
	for (uint32_t i = 0; i < 4096; i++) {
		memory_fail_after(0);
		kept += queue_push(many, &many_futures[i]);
		memory_is_good_again();
	}
	assert_true(kept > 0);
	assert_true(kept <= 100);
	empty();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_has_nothing),
		cmocka_unit_test(higher_priority_goes_first_and_equals_in_order),
		cmocka_unit_test(owners_of_unequal_load_take_turns),
		cmocka_unit_test(a_thousand_owners_take_turns_and_leave_nothing_behind),
		cmocka_unit_test(one_who_comes_back_waits_for_its_turn),
		cmocka_unit_test(one_from_the_middle_goes_and_the_rest_stays_in_order),
		cmocka_unit_test(a_priority_that_empties_leaves_the_others_in_order),
		cmocka_unit_test(what_was_taken_goes_back_to_its_old_place),
		cmocka_unit_test(a_list_is_appended_whole_and_emptied),
		cmocka_unit_test(a_list_goes_before_whoever_is_younger),
		cmocka_unit_test(the_position_is_exact_for_one_owner),
		cmocka_unit_test(anything_that_happens_happens_as_in_the_reference),
		cmocka_unit_test(a_failed_allocation_loses_nothing),
		cmocka_unit_test(a_list_that_is_refused_stays_whole),
		cmocka_unit_test(priorities_that_were_used_once_are_given_back),
		cmocka_unit_test(sixty_five_thousand_priorities_cost_no_more_than_their_logarithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

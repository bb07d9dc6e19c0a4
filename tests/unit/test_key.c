/* Idempotency keys: whose they are, what they stand for, and how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/key.h"
#include "daemon/owner.h"
#include "tests/unit/failing_memory.h"

static struct owner one = { .uid = 1 }, two = { .uid = 2 };

static struct keyed *
made(const struct owner *owner, const char *key, size_t len, uint64_t first, uint64_t count)
{
	struct keyed *k = key_new(owner, key, len, count);

	if (!k)
		return NULL;
	assert_false(key_is_ready(k));
	key_ready(k, first);
	assert_true(key_is_ready(k));
	return k;
}

static void
is(const struct owner *owner, const char *key, size_t len, uint64_t first, uint64_t count)
{
	struct keyed *k = key_find(owner, key, len);
	uint64_t f = 0, n = 0;

	if (!first) {
		assert_null(k);
		return;
	}
	assert_non_null(k);
	key_run(k, &f, &n);
	assert_int_equal(f, first);
	assert_int_equal(n, count);
}

static void
a_key_is_known_until_the_last_of_its_futures_drops_it(void **state)
{
	struct keyed *k = made(&one, "build", 5, 10, 3);

	(void)state;
	assert_non_null(k);
	is(&one, "build", 5, 10, 3);
	key_drop(k);
	key_drop(k);
	is(&one, "build", 5, 10, 3); /* the whole run still */
	key_drop(k);
	is(&one, "build", 5, 0, 0);
	key_drop(NULL);
}

static void
each_owner_has_keys_of_its_own(void **state)
{
	struct keyed *a = made(&one, "k", 1, 1, 1), *b;

	(void)state;
	is(&two, "k", 1, 0, 0);
	b = made(&two, "k", 1, 2, 1);
	is(&one, "k", 1, 1, 1);
	is(&two, "k", 1, 2, 1);
	key_drop(a);
	is(&one, "k", 1, 0, 0);
	is(&two, "k", 1, 2, 1);
	key_drop(b);
}

static void
a_key_is_all_of_its_bytes(void **state)
{
	char longest[1024], other[1024];
	struct keyed *k[4];

	(void)state;
	memset(longest, 'x', sizeof longest);
	memcpy(other, longest, sizeof other);
	other[1023] = 'y';
	k[0] = made(&one, "a", 1, 1, 1);
	k[1] = made(&one, "a\0b", 3, 2, 1);
	k[2] = made(&one, longest, sizeof longest, 3, 1);
	k[3] = made(&one, "", 0, 4, 1);
	is(&one, "a", 1, 1, 1);
	is(&one, "a\0b", 3, 2, 1);
	is(&one, "a\0c", 3, 0, 0);
	is(&one, "a\0", 2, 0, 0);
	is(&one, longest, sizeof longest, 3, 1);
	is(&one, longest, sizeof longest - 1, 0, 0);
	is(&one, other, sizeof other, 0, 0);
	is(&one, "", 0, 4, 1);
	for (int i = 0; i < 4; i++)
		key_drop(k[i]);
	is(&one, "", 0, 0, 0);
}

static void
a_dropped_key_can_be_used_again(void **state)
{
	(void)state;
	for (uint64_t id = 1; id < 1000; id++) {
		struct keyed *k = made(&one, "daily", 5, id, 1);
		is(&one, "daily", 5, id, 1);
		key_drop(k);
	}
	is(&one, "daily", 5, 0, 0);
}

static void
a_key_that_found_no_memory_is_unknown(void **state)
{
	enum { COUNT = 1000 };
	static struct keyed *k[COUNT];
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n += n < 10 ? 1 : 97) {
		memory_fail_after(n);
		for (uint64_t i = 0; i < COUNT; i++)
			k[i] = made(&one, (const char *)&i, sizeof i, i + 1, 1);
		failed = memory_is_good_again();
		uint64_t missing = 0;
		for (uint64_t i = 0; i < COUNT; i++) {
			is(&one, (const char *)&i, sizeof i, k[i] ? i + 1 : 0, 1);
			missing += !k[i];
		}
		assert_int_equal(missing, failed);
		for (uint64_t i = 0; i < COUNT; i++)
			key_drop(k[i]);
	}
}

/* However many there had been. */
static void
a_key_of_an_earlier_daemon_goes_with_the_last_that_is_left(void **state)
{
	struct keyed *k = key_again(&one, "k", 1, 5, UINT64_C(1) << 50, 2);
	(void)state;

	assert_non_null(k);
	assert_true(key_is_ready(k));
	key_drop(k);
	is(&one, "k", 1, 5, UINT64_C(1) << 50);
	key_drop(k);
	is(&one, "k", 1, 0, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_known_until_the_last_of_its_futures_drops_it),
		cmocka_unit_test(each_owner_has_keys_of_its_own),
		cmocka_unit_test(a_key_is_all_of_its_bytes),
		cmocka_unit_test(a_dropped_key_can_be_used_again),
		cmocka_unit_test(a_key_of_an_earlier_daemon_goes_with_the_last_that_is_left),
		cmocka_unit_test(a_key_that_found_no_memory_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

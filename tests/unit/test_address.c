/* Addresses, and the directory of the user's own daemon. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/address.h"

static void
good_addresses_are_read_and_written_alike(void **state)
{
	static const struct { const char *text; enum address_type type; const char *where; unsigned port; const char *again; } good[] = {
		{ "unix:/run/futured/futured.sock", ADDRESS_UNIX, "/run/futured/futured.sock", 0, NULL },
		{ "/tmp/a b", ADDRESS_UNIX, "/tmp/a b", 0, "unix:/tmp/a b" },
		{ "./sock", ADDRESS_UNIX, "./sock", 0, "unix:./sock" },
		{ "../sock", ADDRESS_UNIX, "../sock", 0, "unix:../sock" },
		{ "unix:sock", ADDRESS_UNIX, "sock", 0, NULL },
		{ "tcp:127.0.0.1:7711", ADDRESS_TCP, "127.0.0.1", 7711, NULL },
		{ "tcp:localhost:1", ADDRESS_TCP, "localhost", 1, NULL },
		{ "tcp:0.0.0.0:0", ADDRESS_TCP, "0.0.0.0", 0, NULL },
		{ "tls:host-1.example:65535", ADDRESS_TLS, "host-1.example", 65535, NULL },
		{ "tls:[::1]:7712", ADDRESS_TLS, "::1", 7712, NULL },
		{ "tcp:[fe80::1%eth0]:7711", ADDRESS_TCP, "fe80::1%eth0", 7711, NULL },
		{ "tcp:[127.0.0.1]:5", ADDRESS_TCP, "127.0.0.1", 5, "tcp:127.0.0.1:5" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct address a;
		char text[512], why[200] = "untouched";

		assert_true(address_parse(good[i].text, &a, why, sizeof why));
		assert_string_equal(why, "untouched");
		assert_int_equal(a.type, good[i].type);
		assert_string_equal(a.type == ADDRESS_UNIX ? a.path : a.host, good[i].where);
		assert_int_equal(a.port, good[i].port);
		address_format(&a, text, sizeof text);
		assert_string_equal(text, good[i].again != NULL ? good[i].again : good[i].text);
	}
}

static void
bad_addresses_are_refused_with_a_sentence(void **state)
{
	static const char *const bad[] = {
		"", "futured.sock", "unix", "unix:", "http:localhost:80", "TCP:localhost:1", "tcp:", "tcp:localhost", "tcp:localhost:",
		"tcp::7711", "tcp:localhost:65536", "tcp:localhost:99999", "tcp:localhost:-1", "tcp:localhost:+1", "tcp:localhost: 1", "tcp:localhost:1 ",
		"tcp:localhost:0x1", "tcp:localhost:000001", "tcp:::1:7711", "tcp:[::1]", "tcp:[::1]7711", "tcp:[::1:7711", "tcp:[]:7711", "tcp:[::1]:", "tls:a b:1",
		"tls:a/b:1", "tls:a\n:1", "tls:[a]b]:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct address a;
		char why[200] = "";

		memset(&a, 0x55, sizeof a);
		if (address_parse(bad[i], &a, why, sizeof why))
			fail_msg("accepted: %s", bad[i]);
		assert_true(strlen(why) > 10);
		assert_int_equal(((unsigned char *)&a)[0], 0x55); /* written only on success */
	}
}

static void
the_longest_path_and_host_fit_and_one_more_does_not(void **state)
{
	struct address a;
	char text[400], why[200];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "/", 1);
	text[107] = '\0';
	assert_true(address_parse(text, &a, why, sizeof why));
	assert_int_equal(strlen(a.path), 107);
	text[107] = 'x';
	text[108] = '\0';
	assert_false(address_parse(text, &a, why, sizeof why));

	memset(text, 'x', sizeof text);
	memcpy(text, "tcp:", 4);
	strcpy(text + 4 + 255, ":1");
	assert_true(address_parse(text, &a, why, sizeof why));
	assert_int_equal(strlen(a.host), 255);
	strcpy(text + 4 + 255, "x:1");
	assert_false(address_parse(text, &a, why, sizeof why));
}

/* --- the user's directory; each test has a directory of its own --- */

static char home[64];

static int
set_up(void **state)
{
	(void)state;
	strcpy(home, "/tmp/test_address.XXXXXX");
	umask(0);
	if (mkdtemp(home) == NULL)
		return -1;
	return setenv("XDG_RUNTIME_DIR", home, 1);
}

static int
tear_down(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/futured", home);
	if (unlink(path) != 0)
		rmdir(path);
	return rmdir(home);
}

static void
the_directory_is_made_private_and_found_again(void **state)
{
	char path[128], expected[128], why[200];
	struct stat st;

	(void)state;
	snprintf(expected, sizeof expected, "%s/futured", home);
	assert_false(address_user_directory(path, sizeof path, false, why, sizeof why));
	assert_non_null(strstr(why, expected));
	assert_int_not_equal(lstat(expected, &st), 0);
	assert_true(address_user_directory(path, sizeof path, true, why, sizeof why));
	assert_string_equal(path, expected);
	assert_int_equal(lstat(expected, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(address_user_directory(path, sizeof path, true, why, sizeof why));
	assert_true(address_user_socket(path, sizeof path, why, sizeof why));
	snprintf(expected, sizeof expected, "%s/futured/futured.sock", home);
	assert_string_equal(path, expected);
}

static void
a_directory_that_others_may_enter_is_refused(void **state)
{
	static const mode_t modes[] = { 0701, 0710, 0755, 0777, 0500 };
	char path[128], why[200];

	(void)state;
	assert_true(address_user_directory(path, sizeof path, true, why, sizeof why));
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_false(address_user_directory(path, sizeof path, true, why, sizeof why));
		assert_non_null(strstr(why, "0700"));
		assert_false(address_user_socket(path, sizeof path, why, sizeof why));
	}
}

static void
a_symlink_or_a_file_in_its_place_is_refused(void **state)
{
	char path[128], where[128], why[200];
	FILE *f;

	(void)state;
	snprintf(where, sizeof where, "%s/futured", home);
	assert_int_equal(symlink(home, where), 0); /* to a directory that would be right */
	assert_false(address_user_directory(path, sizeof path, true, why, sizeof why));
	assert_non_null(strstr(why, "not a directory"));
	unlink(where);
	f = fopen(where, "w");
	assert_non_null(f);
	fclose(f);
	assert_false(address_user_directory(path, sizeof path, true, why, sizeof why));
}

static void
a_directory_of_another_user_is_refused(void **state)
{
	char path[128], why[200];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(address_user_directory(path, sizeof path, true, why, sizeof why));
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_false(address_user_directory(path, sizeof path, true, why, sizeof why));
	assert_non_null(strstr(why, "another user"));
}

static void
without_a_runtime_directory_it_is_in_tmp(void **state)
{
	char path[128], expected[64], why[200];

	(void)state;
	snprintf(expected, sizeof expected, "/tmp/futured-%lu", (unsigned long)geteuid());
	unsetenv("XDG_RUNTIME_DIR");
	address_user_directory(path, sizeof path, false, why, sizeof why); /* it may be there or not */
	assert_string_equal(path, expected);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	address_user_directory(path, sizeof path, false, why, sizeof why);
	assert_string_equal(path, expected);
}

static void
what_does_not_fit_is_refused(void **state)
{
	char path[300], small[10], why[200], deep[200];

	(void)state;
	assert_false(address_user_directory(small, sizeof small, true, why, sizeof why));
	memset(deep, '/', sizeof deep);
	memcpy(deep, home, strlen(home));
	deep[100] = '\0'; /* the directory fits, a socket's path in it does not */
	setenv("XDG_RUNTIME_DIR", deep, 1);
	assert_true(address_user_directory(path, sizeof path, true, why, sizeof why));
	assert_false(address_user_socket(path, sizeof path, why, sizeof why));
	assert_non_null(strstr(why, "too long"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_addresses_are_read_and_written_alike),
		cmocka_unit_test(bad_addresses_are_refused_with_a_sentence),
		cmocka_unit_test(the_longest_path_and_host_fit_and_one_more_does_not),
		cmocka_unit_test_setup_teardown(the_directory_is_made_private_and_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_that_others_may_enter_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_symlink_or_a_file_in_its_place_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_of_another_user_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_runtime_directory_it_is_in_tmp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

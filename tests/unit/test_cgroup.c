/* What the files of a cgroup say, and what is found where there is no cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "daemon/cgroup.h"

static void
a_word_is_found_whole(void **state)
{
	(void)state;
	assert_true(cgroup_lists("cpuset cpu io memory pids\n", "cpu"));
	assert_true(cgroup_lists("cpuset cpu io memory pids\n", "pids"));
	assert_true(cgroup_lists("memory", "memory"));
	assert_false(cgroup_lists("cpuset io memory\n", "cpu"));
	assert_false(cgroup_lists("xmemory memory.x", "memory"));
	assert_false(cgroup_lists("", "cpu"));
	assert_false(cgroup_lists("\n", "cpu"));
}

static void
a_count_is_that_of_its_own_line(void **state)
{
	static const char events[] = "low 0\nhigh 1\nmax 22\noom 3\noom_kill 4\noom_group_kill 5\n";

	(void)state;
	assert_int_equal(cgroup_count(events, "oom_kill"), 4);
	assert_int_equal(cgroup_count(events, "oom"), 3);
	assert_int_equal(cgroup_count(events, "max"), 22);
	assert_int_equal(cgroup_count("populated 1\nfrozen 0\n", "populated"), 1);
	assert_int_equal(cgroup_count(events, "kill"), 0);
	assert_int_equal(cgroup_count("", "oom"), 0);
	assert_int_equal(cgroup_count("oom", "oom"), 0);
	assert_int_equal(cgroup_count("oom 7", "oom"), 7);
}

static void
files_are_read_and_written_but_never_made(void **state)
{
	char path[] = "/tmp/futured-cgroup-XXXXXX", text[8];
	int dir, fd;

	(void)state;
	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY);
	assert_false(cgroup_write(dir, "memory.max", "1"));
	assert_int_not_equal(faccessat(dir, "memory.max", F_OK, 0), 0);
	assert_false(cgroup_read(dir, "memory.max", text, sizeof text));
	fd = openat(dir, "memory.max", O_WRONLY | O_CREAT, 0600);
	close(fd);
	assert_true(cgroup_write(dir, "memory.max", "123456789"));
	assert_true(cgroup_read(dir, "memory.max", text, sizeof text));
	assert_string_equal(text, "1234567");
	assert_int_equal(symlinkat("/etc/passwd", dir, "pids.max"), 0);
	assert_false(cgroup_read(dir, "pids.max", text, sizeof text));
	unlinkat(dir, "pids.max", 0);
	unlinkat(dir, "memory.max", 0);
	close(dir);
	cgroup_end(path); /* no cgroup: what is empty goes, and nothing else happens */
	assert_int_not_equal(access(path, F_OK), 0);
	cgroup_end("/nonexistent/cgroup");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_is_found_whole),
		cmocka_unit_test(a_count_is_that_of_its_own_line),
		cmocka_unit_test(files_are_read_and_written_but_never_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A daemon of a test's own: started in a directory of its own from the build that the test is of, ended with it. */
#ifndef CLIENT_DAEMON_H
#define CLIENT_DAEMON_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "client/futured.h"

static char here[64], address[96], made_path[160];
static pid_t daemon_pid;

static inline const char *
in_directory(const char *name)
{
	snprintf(made_path, sizeof made_path, "%s/%s", here, name);
	return made_path;
}

static inline void
touch(const char *name)
{
	close(open(in_directory(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static inline void
daemon_configure(const char *build)
{
	FILE *f = fopen(in_directory("yaml"), "w");

	assert_non_null(f);
	fprintf(f, "listen: [unix:%s/s]\nstore: memory\nstop_timeout: 100ms\nstate_dir: %s/state\npools:\n", here, here);
	fprintf(f, "  one: {kind: process, workers: 1, modules: [%s/modules/testing.so, %s/modules/work.so]}\n", build, build);
	fprintf(f, "  four: {kind: process, workers: 4, modules: [%s/modules/testing.so, %s/modules/work.so]}\n", build, build);
	fprintf(f, "  io: {kind: thread, workers: 8, modules: [%s/modules/testing.so, %s/modules/work.so]}\n", build, build);
	fprintf(f, "  tiny: {kind: process, workers: 1, queue: 2, modules: [%s/modules/testing.so]}\n  shell: {kind: command, workers: 2}\n",
		build);
	fclose(f);
	chmod(in_directory("yaml"), 0600);
}

static inline void
daemon_start(void)
{
	char exe[PATH_MAX - 64] = "", program[PATH_MAX], config[160];

	snprintf(here, sizeof here, "/tmp/futured-rules-XXXXXX");
	assert_non_null(mkdtemp(here));
	assert_true(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
	for (int i = 0; i < 2; i++)
		*strrchr(exe, '/') = '\0';
	snprintf(program, sizeof program, "%s/bin/futured", exe);
	snprintf(address, sizeof address, "unix:%s/s", here);
	daemon_configure(exe);
	snprintf(config, sizeof config, "%s", in_directory("yaml"));
	if ((daemon_pid = fork()) == 0) {
		int log = open(in_directory("log"), O_CREAT | O_WRONLY | O_APPEND, 0600);

		dup2(log, 1);
		dup2(log, 2);
		execl(program, program, "-c", config, (char *)NULL);
		_exit(127);
	}
}

/* A connection; waits for the daemon to be there. */
static inline struct futured *
connected_with(double reconnect, bool keys)
{
	struct futured *c = futured_new();

	assert_non_null(c);
	assert_int_equal(futured_set_address(c, address), FUTURED_OK);
	assert_int_equal(futured_set_reconnect(c, reconnect), FUTURED_OK);
	assert_int_equal(futured_set_keys(c, keys), FUTURED_OK);
	for (int i = 0; i < 1000 && futured_connect(c) != FUTURED_OK; i++)
		poll(NULL, 0, 10);
	assert_true(futured_is_connected(c));
	return c;
}

static inline struct futured *
connected(void)
{
	return connected_with(0, false);
}

/* False where it was asked to end and did not end well: then its log is told. */
static inline bool
daemon_end(int signal)
{
	char command[256];
	int status = 0;

	if (daemon_pid <= 0)
		return true;
	kill(daemon_pid, signal);
	waitpid(daemon_pid, &status, 0);
	daemon_pid = 0;
	if (signal == SIGKILL || status == 0)
		return true;
	snprintf(command, sizeof command, "tail -c 8000 %s >&2", in_directory("log"));
	(void)!system(command);
	return false;
}

/* The whole group has one daemon. */
static inline int
daemon_group_setup(void **state)
{
	(void)state;
	daemon_start();
	return 0;
}

static inline int
daemon_group_teardown(void **state)
{
	char command[128];
	bool well = daemon_end(SIGTERM);

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", here);
	return system(command) != 0 || !well;
}

/* A task that runs until touch(name). */
static inline struct futured_future *
held(struct futured *c, const char *pool, const char *name)
{
	struct futured_future *f = futured_future_submit(c, pool, "until_file", "s", in_directory(name));

	assert_non_null(f);
	return f;
}

static inline void
await_state(struct futured_future *f, enum futured_state wanted)
{
	enum futured_state state;

	do {
		assert_int_equal(futured_future_state(f, &state), FUTURED_OK);
		if (state != wanted)
			poll(NULL, 0, 2);
	} while (state != wanted);
}

static inline int64_t
result_of(struct futured_future *f)
{
	const struct futured_reply *reply;
	int64_t v = -1;

	assert_int_equal(futured_future_result(f, 20, &reply), FUTURED_OK);
	assert_true(futured_value_int(futured_reply_value(reply), &v));
	return v;
}

#endif

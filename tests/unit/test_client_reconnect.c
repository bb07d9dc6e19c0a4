/* What becomes of futures when the connection or the daemon goes. Each test has a daemon of its own. */
#include "client_daemon.h"

#include <sys/socket.h>

static int
setup(void **state)
{
	return daemon_group_setup(state);
}

static int
teardown(void **state)
{
	return daemon_group_teardown(state);
}

/* As a network does it. */
static void
cut(struct futured *c)
{
	assert_return_code(shutdown(futured_fd(c), SHUT_RDWR), 0);
}

static void
count(struct futured_future *f, void *data)
{
	assert_non_null(futured_future_outcome(f));
	++*(int *)data;
}

static void
ids_stay_valid_and_futures_are_watched_again(void **state)
{
	struct futured *c = connected_with(10, false);
	struct futured_future *done = futured_future_submit(c, "four", "add", "ii", 2, 3), *f = held(c, "one", "go"), *meanwhile;
	int called = 0;
	uint64_t id;

	(void)state;
	assert_int_equal(result_of(done), 5);
	meanwhile = futured_future_submit(c, "four", "wait", "d", 0.0);
	assert_int_equal(futured_future_id(f, &id), FUTURED_OK);
	assert_int_equal(futured_future_id(meanwhile, &id), FUTURED_OK);
	futured_future_add_done_callback(f, count, &called);
	futured_future_add_done_callback(meanwhile, count, &called);
	for (int i = 0; i < 3; i++) {
		cut(c);
		assert_int_equal(futured_callf(c, NULL, "ping", "i", i), FUTURED_OK); /* waits for the next connection, and is said there */
	}
	touch("go");
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	assert_int_equal(futured_future_result(meanwhile, 20, NULL), FUTURED_OK);
	assert_int_equal(called, 2);
	futured_future_free(done);
	futured_future_free(f);
	futured_future_free(meanwhile);
	futured_free(c);
}

/* The daemon hears the submit and answers into a connection that is gone. */
static struct futured_future *
submit_and_lose_the_answer(struct futured *c, const char *file)
{
	struct futured_future *f;

	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	kill(daemon_pid, SIGSTOP);
	f = futured_future_submit(c, "one", "mark", "s", in_directory(file));
	assert_int_equal(futured_process(c), FUTURED_OK);
	assert_int_equal(futured_unsent(c), 0);
	cut(c);
	kill(daemon_pid, SIGCONT);
	return f;
}

static int
lines_in(const char *name)
{
	FILE *f = fopen(in_directory(name), "r");
	int n = 0, ch;

	while (f != NULL && (ch = getc(f)) != EOF)
		n += ch == '\n';
	if (f != NULL)
		fclose(f);
	return n;
}

static void
a_submit_whose_answer_was_lost_is_safe_with_a_key(void **state)
{
	struct futured *c = connected_with(10, true);
	struct futured_future *f = submit_and_lose_the_answer(c, "once"), *next;

	(void)state;
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK);
	next = futured_future_submit(c, "one", "noop", "");
	assert_int_equal(futured_future_result(next, 20, NULL), FUTURED_OK);
	assert_int_equal(lines_in("once"), 1);
	futured_future_free(f);
	futured_future_free(next);
	futured_free(c);
}

static void
a_submit_whose_answer_was_lost_without_a_key_is_lost_and_never_doubled(void **state)
{
	struct futured *c = connected_with(10, false);
	struct futured_future *f = submit_and_lose_the_answer(c, "atmost"), *next;
	int called = 0;

	(void)state;
	futured_future_add_done_callback(f, count, &called);
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_LOST);
	assert_int_equal(called, 1);
	next = futured_future_submit(c, "one", "noop", "");
	assert_int_equal(futured_future_result(next, 20, NULL), FUTURED_OK);
	assert_true(lines_in("atmost") <= 1);
	futured_future_free(f);
	futured_future_free(next);
	futured_free(c);
}

static void
a_submit_that_never_left_is_said_on_the_next_connection(void **state)
{
	struct futured *c = connected_with(10, false);
	uint64_t id;

	(void)state;
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	cut(c);
	assert_int_equal(futured_submit(c, &id, "one", "mark", "s", in_directory("never")), FUTURED_OK);
	assert_int_equal(futured_result(c, id, 20, NULL), FUTURED_OK);
	assert_int_equal(lines_in("never"), 1);
	futured_free(c);
}

static void
hear(struct futured *c, uint64_t id, const struct futured_output *o, void *data)
{
	char *text = data;

	(void)c;
	(void)id;
	assert_null(o->error);
	if (strcmp(o->stream, "stdout") == 0 && o->len > 0)
		memcpy(text + o->offset, o->bytes, o->len);
	text[63] = o->eof && strcmp(o->stream, "stdout") == 0 ? '!' : text[63];
}

static void
followed_output_goes_on_where_it_was(void **state)
{
	struct futured *c = connected_with(10, false);
	char script[256], text[64] = "";
	uint64_t id;

	(void)state;
	snprintf(script, sizeof script, "echo one; while ! [ -e %s ]; do sleep 0.01; done; echo two", in_directory("out"));
	assert_int_equal(futured_submit(c, &id, "shell", "/bin/sh", "ss", "-c", script), FUTURED_OK);
	assert_int_equal(futured_follow(c, id, "both", 0, hear, text), FUTURED_OK);
	while (strcmp(text, "one\n") != 0)
		assert_int_equal(futured_step(c, 20), FUTURED_OK);
	cut(c);
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	touch("out");
	while (text[63] != '!')
		assert_int_equal(futured_step(c, 20), FUTURED_OK);
	assert_string_equal(text, "one\ntwo\n");
	futured_free(c);
}

enum { MANY = 5000 };

static void
thousands_are_lost_at_once_when_the_daemon_dies(void **state)
{
	static struct futured_future *fs[MANY];
	struct futured *c = connected();
	int called = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		fs[i] = held(c, "one", "never");
		assert_int_equal(futured_future_add_done_callback(fs[i], count, &called), FUTURED_OK);
	}
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	assert_int_equal(futured_pending_futures(c), MANY);
	daemon_end(SIGKILL);
	assert_int_equal(futured_future_wait(fs, MANY, FUTURED_ALL_COMPLETED, 20, NULL), FUTURED_OK);
	assert_int_equal(called, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(futured_future_result(fs[i], 0, NULL), FUTURED_LOST);
		futured_future_free(fs[i]);
	}
	assert_null(futured_future_submit(c, "one", "noop", ""));
	assert_string_equal(futured_status_name(FUTURED_LOST), "ConnectionLostError");
	futured_free(c);
}

static void
thousands_in_flight_all_finish(void **state)
{
	static struct futured_future *fs[MANY];
	struct futured *c = connected_with(10, true);
	int called = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		fs[i] = futured_future_submit(c, "four", "echo", "i", i);
		futured_future_add_done_callback(fs[i], count, &called);
		if (i == MANY / 2) {
			assert_int_equal(futured_process(c), FUTURED_OK);
			cut(c); /* in the middle of it */
		}
	}
	assert_int_equal(futured_future_wait(fs, MANY, FUTURED_ALL_COMPLETED, 60, NULL), FUTURED_OK);
	assert_int_equal(called, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(result_of(fs[i]), i);
		futured_future_free(fs[i]);
	}
	futured_free(c);
}

static void
reconnecting_gives_up_in_time_when_nobody_answers(void **state)
{
	struct futured *c = connected_with(0.2, false);
	struct futured_future *f = held(c, "one", "never");
	uint64_t id;

	(void)state;
	assert_int_equal(futured_future_id(f, &id), FUTURED_OK);
	daemon_end(SIGKILL);
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_LOST);
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_LOST);
	futured_future_free(f);
	futured_free(c);
}

static void
another_daemon_fails_the_futures_of_the_first(void **state)
{
	struct futured *c = connected_with(20, true);
	struct futured_future *f = held(c, "one", "never");
	char exe[PATH_MAX - 64] = "", program[PATH_MAX];
	uint64_t id;

	(void)state;
	assert_int_equal(futured_future_id(f, &id), FUTURED_OK);
	daemon_end(SIGTERM);
	assert_true(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
	for (int i = 0; i < 2; i++)
		*strrchr(exe, '/') = '\0';
	snprintf(program, sizeof program, "%s/bin/futured", exe);
	if ((daemon_pid = fork()) == 0) {
		int log = open("/dev/null", O_WRONLY);

		dup2(log, 1);
		dup2(log, 2);
		execl(program, program, "-c", in_directory("yaml"), (char *)NULL);
		_exit(127);
	}
	assert_int_equal(futured_future_result(f, 30, NULL), FUTURED_LOST);
	assert_int_equal(futured_connect(c), FUTURED_OK); /* it is there for new ones */
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	futured_future_free(f);
	futured_free(c);
}

static void
a_child_cannot_use_its_parents_connection(void **state)
{
	struct futured *c = connected();
	struct futured_future *f = held(c, "one", "forked");
	int status;
	uint64_t id;
	pid_t pid;

	(void)state;
	assert_int_equal(futured_future_id(f, &id), FUTURED_OK);
	if ((pid = fork()) == 0) {
		bool well = futured_callf(c, NULL, "ping", "") == FUTURED_FORKED && futured_future_result(f, -1, NULL) == FUTURED_FORKED &&
		            futured_future_submit(c, "one", "noop", "") == NULL && futured_future_attach(c, 1) == NULL;

		futured_future_free(f);
		futured_free(c);
		_exit(well ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	touch("forked");
	assert_int_equal(futured_future_result(f, 20, NULL), FUTURED_OK); /* the parent's is as it was */
	futured_future_free(f);
	futured_free(c);
}

static void
writing_to_a_daemon_that_is_gone_raises_no_signal(void **state)
{
	struct futured *c = connected();

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	daemon_end(SIGKILL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_LOST);
	futured_free(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ids_stay_valid_and_futures_are_watched_again),
		T(a_submit_whose_answer_was_lost_is_safe_with_a_key),
		T(a_submit_whose_answer_was_lost_without_a_key_is_lost_and_never_doubled),
		T(a_submit_that_never_left_is_said_on_the_next_connection),
		T(followed_output_goes_on_where_it_was),
		T(thousands_are_lost_at_once_when_the_daemon_dies),
		T(thousands_in_flight_all_finish),
		T(reconnecting_gives_up_in_time_when_nobody_answers),
		T(another_daemon_fails_the_futures_of_the_first),
		T(a_child_cannot_use_its_parents_connection),
		T(writing_to_a_daemon_that_is_gone_raises_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

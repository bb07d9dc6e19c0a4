/* libfutured as its users meet it: a real socket, with a peer in another process that answers ping, leaves hang unanswered and hangs up
 * on bye. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "client/futured.h"
#include "proto/error.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/pack.h"

static char directory[] = "/tmp/futured-client-XXXXXX";
static char address[128];
static pid_t peer;

static void
answer(struct buf *out, const struct message *m)
{
	struct reader r = m->params;
	const uint8_t *bytes;
	size_t len;

	if (strncmp(m->method, "ping", m->method_len) == 0 && read_raw(&r, &bytes, &len)) {
		message_result(out, m->msgid);
		pack_raw(out, bytes, len);
	} else if (strncmp(m->method, "submit", m->method_len) == 0) {
		message_result(out, m->msgid);
		pack_uint(out, 5);
		message_notification(out, "done");
		pack_array(out, 4);
		pack_uint(out, 5);
		pack_cstr(out, "FINISHED");
		pack_nil(out);
		pack_int(out, 25);
	} else if (strncmp(m->method, "watch", m->method_len) == 0) {
		message_result(out, m->msgid);
		pack_map(out, 1);
		pack_cstr(out, "done");
		pack_array(out, 0);
		for (uint64_t id = 8; id >= 7; id--) {
			message_notification(out, "done");
			pack_array(out, 4);
			pack_uint(out, id);
			pack_cstr(out, "FINISHED");
			pack_nil(out);
			pack_uint(out, id * 10);
		}
	} else if (strncmp(m->method, "result", m->method_len) == 0) {
		struct buf e = { 0 };

		error_pack(&e, STATUS_EXIT, 5, "it exited with status %d", 3);
		message_error(out, m->msgid, e.data, e.len);
		buf_clear(&e);
	} else if (strncmp(m->method, "bye", m->method_len) == 0)
		_exit(0);
}

static void
serve(int fd)
{
	struct frame_scan scan;
	struct message m;
	const char *why;
	uint8_t in[65536];
	size_t have = 0, used;
	ssize_t n;

	frame_scan_init(&scan, sizeof in);
	while ((n = read(fd, in + have, sizeof in - have)) > 0) {
		size_t at = 0, frame = 0;
		struct buf out = { 0 };

		have += (size_t)n;
		frame_scan_init(&scan, sizeof in);
		while (at < have && frame_scan(&scan, in + at, have - at, &used) == FRAME_DONE) {
			at += used;
			if (message_parse(in + frame, at - frame, &m, &why) == MESSAGE_OK)
				answer(&out, &m);
			frame = at;
		}
		memmove(in, in + frame, have -= frame);
		if (out.len > 0 && write(fd, out.data, out.len) < 0)
			_exit(1);
		buf_clear(&out);
	}
}

static int
setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct futured *c = futured_new();

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/s", directory);
	snprintf(address, sizeof address, "unix:%s", sun.sun_path);
	unlink(sun.sun_path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 || listen(fd, 4) < 0)
		return 1;
	if ((peer = fork()) == 0) {
		serve(accept(fd, NULL, NULL));
		_exit(0);
	}
	close(fd);
	*state = c;
	return futured_set_address(c, address) != FUTURED_OK || futured_connect(c) != FUTURED_OK;
}

static int
teardown(void **state)
{
	futured_free(*state);
	if (waitpid(peer, NULL, WNOHANG) == 0) {
		kill(peer, SIGKILL);
		waitpid(peer, NULL, 0);
	}
	return 0;
}

static void
a_call_waits_for_its_answer(void **state)
{
	struct futured *c = *state;
	struct futured_reply *reply;
	int64_t v;

	assert_true(futured_is_connected(c) && futured_is_own(c));
	assert_int_equal(futured_daemon_pid(c), getpid()); /* who listened */
	assert_string_equal(futured_address(c), address);
	assert_int_equal(futured_callf(c, &reply, "ping", "i", 42), FUTURED_OK);
	assert_true(futured_value_int(futured_reply_value(reply), &v) && v == 42);
	futured_reply_free(reply);
}

static void
submit_packs_its_arguments(void **state)
{
	struct futured *c = *state;
	uint64_t id = 0;

	assert_int_equal(futured_submit(c, &id, "cpu", "add", "ii", 2, 3), FUTURED_OK);
	assert_int_equal(id, 5);
	assert_int_equal(futured_submit(c, &id, "cpu", "add", "i?", 2), FUTURED_VALUE);
	assert_string_not_equal(futured_error_text(c), "");
}

static void
an_error_is_told_in_full(void **state)
{
	struct futured *c = *state;
	struct futured_reply *reply;
	struct futured_error e;

	assert_int_equal(futured_result(c, 5, -1, &reply), FUTURED_EXIT);
	assert_string_equal(futured_error_text(c), "it exited with status 3");
	assert_true(futured_reply_error(reply, &e));
	assert_true(e.type_len == 9 && memcmp(e.type, "ExitError", 9) == 0);
	assert_int_equal(e.future, 5);
	futured_reply_free(reply);
}

static void
a_wait_may_run_out(void **state)
{
	struct futured *c = *state;
	struct futured_reply *reply;

	assert_int_equal(futured_call(c, "hang", NULL, 0.05, &reply), FUTURED_TIMEOUT);
	assert_null(reply);
	assert_int_equal(futured_callf(c, NULL, "ping", "i", 1), FUTURED_OK);
}

static void
completed_ones_come_as_they_finish(void **state)
{
	static const uint64_t ids[] = { 7, 8, 7 };
	struct futured *c = *state;
	struct futured_completed *i = futured_completed_new(c, ids, 3, 5);
	struct futured_reply *reply;
	uint64_t id, v;

	assert_non_null(i);
	assert_int_equal(futured_completed_next(i, &id, &reply), FUTURED_OK);
	assert_true(id == 8 && futured_value_uint(futured_reply_value(reply), &v) && v == 80);
	futured_reply_free(reply);
	assert_int_equal(futured_completed_next(i, &id, NULL), FUTURED_OK);
	assert_int_equal(id, 7);
	assert_int_equal(futured_completed_next(i, &id, NULL), FUTURED_END);
	futured_completed_free(i);
}

static int lost;

static void
on_lost(struct futured *c, const struct futured_reply *reply, void *data)
{
	(void)c;
	(void)data;
	lost += futured_reply_status(reply) == FUTURED_LOST;
}

/* SIGPIPE would end this program. */
static void
a_lost_connection_is_an_error_and_no_signal(void **state)
{
	struct futured *c = *state;

	lost = 0;
	futured_requestf(c, on_lost, NULL, "hang", "");
	assert_int_equal(futured_callf(c, NULL, "bye", ""), FUTURED_LOST);
	assert_int_equal(lost, 1);
	assert_false(futured_is_connected(c));
	assert_int_equal(futured_callf(c, NULL, "ping", "i", 1), FUTURED_LOST);
	assert_int_equal(futured_step(c, 0), FUTURED_LOST);
	waitpid(peer, NULL, 0); /* its listening socket is closed by then too */
	assert_int_equal(futured_connect(c), FUTURED_NO_DAEMON);
}

static enum futured_status nested;

static void
on_answer_blocks(struct futured *c, const struct futured_reply *reply, void *data)
{
	(void)reply;
	(void)data;
	nested = futured_callf(c, NULL, "ping", "i", 1);
}

static void
a_blocking_call_in_a_callback_is_refused(void **state)
{
	struct futured *c = *state;

	futured_requestf(c, on_answer_blocks, NULL, "ping", "i", 1);
	assert_int_equal(futured_step(c, 5), FUTURED_OK);
	while (futured_waiting(c) > 0)
		futured_step(c, 5);
	assert_int_equal(nested, FUTURED_INVALID_STATE);
	assert_int_equal(futured_callf(c, NULL, "ping", "i", 1), FUTURED_OK);
}

static void
a_child_cannot_use_it(void **state)
{
	struct futured *c = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		enum futured_status said = futured_callf(c, NULL, "ping", "i", 1);

		futured_free(c);
		_exit(said == FUTURED_FORKED ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(futured_callf(c, NULL, "ping", "i", 1), FUTURED_OK);
}

static void
nobody_there_is_said_with_the_place(void **state)
{
	struct futured *c = futured_new();

	(void)state;
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_NO_DAEMON);
	futured_set_address(c, "unix:/nonexistent/s");
	assert_int_equal(futured_connect(c), FUTURED_NO_DAEMON);
	assert_non_null(strstr(futured_error_text(c), "/nonexistent/s"));
	futured_set_address(c, "nonsense");
	assert_int_equal(futured_connect(c), FUTURED_VALUE);
	futured_free(c);
}

static void
every_status_has_a_name_and_a_sentence(void **state)
{
	(void)state;
	for (int s = 1; s < FUTURED_STATUS_COUNT; s++) {
		assert_true(strlen(futured_status_name((enum futured_status)s)) > 3);
		assert_true(strlen(futured_status_text((enum futured_status)s)) > 8);
	}
	assert_string_equal(futured_status_name(FUTURED_STATUS_COUNT), "");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_call_waits_for_its_answer),
		T(submit_packs_its_arguments),
		T(an_error_is_told_in_full),
		T(a_wait_may_run_out),
		T(completed_ones_come_as_they_finish),
		T(a_lost_connection_is_an_error_and_no_signal),
		T(a_blocking_call_in_a_callback_is_refused),
		T(a_child_cannot_use_it),
		cmocka_unit_test(nobody_there_is_said_with_the_place),
		cmocka_unit_test(every_status_has_a_name_and_a_sentence),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (strlen(address) > 5)
		unlink(address + 5);
	rmdir(directory);
	return failed;
}

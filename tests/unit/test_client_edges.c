/* Where a program that uses the library is unlucky: the other side is played by the test itself, at the far end of a socket. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "client/connection.h"
#include "client/discover.h"
#include "proto/buf.h"
#include "proto/message.h"
#include "proto/pack.h"

/* A connection to us: *far is the daemon's end. */
static struct futured *
connected_to(int *far)
{
	struct futured *c = futured_new();
	int ends[2];

	assert_non_null(c);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	c->fd = ends[0];
	*far = ends[1];
	return c;
}

static void
say(int far, struct buf *b)
{
	assert_false(b->failed);
	assert_int_equal(write(far, b->data, b->len), b->len);
	buf_clear(b);
}

static void
notify(struct buf *b)
{
	message_notification(b, "news");
	pack_array(b, 0);
}

struct chatter {
	int far;
	int left;
};

static void
on_news(struct futured *c, const char *method, struct futured_value params, void *data)
{
	struct chatter *t = data;
	struct buf b = { 0 };

	(void)c, (void)method, (void)params;
	if (t->left-- <= 0)
		return;
	notify(&b);
	say(t->far, &b);
}

static void
a_wait_runs_out_although_there_is_always_news(void **state)
{
	struct chatter t = { .left = 300000 };
	struct futured *c = connected_to(&t.far);
	struct futured_future *f = futured_future_attach(c, 7);
	struct futured_as_completed *i = futured_as_completed_new(&f, 1, 0.05);
	struct futured_completed *n;
	const uint64_t id = 7;
	struct buf b = { 0 };
	uint64_t got;

	(void)state;
	assert_true(f != NULL && i != NULL);
	futured_on_notification(c, on_news, &t);
	notify(&b);
	say(t.far, &b);
	assert_int_equal(futured_call(c, "hang", NULL, 0.05, NULL), FUTURED_TIMEOUT);
	assert_true(t.left > 0);
	assert_int_equal(futured_future_result(f, 0.05, NULL), FUTURED_TIMEOUT);
	assert_true(t.left > 0);
	assert_int_equal(futured_future_wait(&f, 1, FUTURED_ALL_COMPLETED, 0.05, NULL), FUTURED_OK);
	assert_true(t.left > 0);
	assert_int_equal(futured_as_completed_next(i, &f), FUTURED_TIMEOUT);
	assert_true(t.left > 0);
	assert_non_null(n = futured_completed_new(c, &id, 1, 0.05));
	assert_int_equal(futured_completed_next(n, &got, NULL), FUTURED_TIMEOUT);
	assert_true(t.left > 0);
	futured_completed_free(n);
	futured_as_completed_free(i);
	futured_future_free(f);
	futured_free(c);
	close(t.far);
}

static void
on_alarm(int n)
{
	(void)n;
}

static void
no_number_is_no_time(void **state)
{
	int far;
	struct futured *c = connected_to(&far);
	struct sigaction old, act = { .sa_handler = on_alarm };

	(void)state;
	sigaction(SIGALRM, &act, &old);
	alarm(2);
	assert_int_equal(futured_step(c, NAN), FUTURED_TIMEOUT);
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	futured_free(c);
	close(far);
}

static int crowded = -1, full[8];

/* All others go, and whoever stands in the queue is taken. */
static void
on_alarm_accept(int n)
{
	(void)n;
	for (int i = 0; i < 8; i++) {
		close(full[i]);
		full[i] = -1;
	}
	while (accept(crowded, NULL, NULL) >= 0)
		;
}

static void
a_signal_does_not_end_an_attempt_to_connect(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sigaction old, act = { .sa_handler = on_alarm_accept };
	struct itimerval often = { .it_value.tv_usec = 50000, .it_interval.tv_usec = 50000 }, never = { 0 };
	char address[64], got[320], why[256];
	socklen_t len = sizeof sin;
	int fd = -1;

	(void)state;
	crowded = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_return_code(bind(crowded, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_return_code(listen(crowded, 0), 0);
	assert_return_code(getsockname(crowded, (struct sockaddr *)&sin, &len), 0);
	for (int i = 0; i < 8; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(full[i], (struct sockaddr *)&sin, sizeof sin);
	}
	snprintf(address, sizeof address, "tcp:127.0.0.1:%u", ntohs(sin.sin_port));
	sigaction(SIGALRM, &act, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(discover(address, 20, &fd, got, sizeof got, why, sizeof why), FUTURED_OK);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	close(fd);
	close(crowded);
}

static void
iterators_outlive_the_connection(void **state)
{
	int far;
	struct futured *c = connected_to(&far);
	struct futured_future *f = futured_future_attach(c, 7), *got;
	struct futured_as_completed *i = futured_as_completed_new(&f, 1, -1);

	(void)state;
	assert_true(f != NULL && i != NULL);
	futured_free(c);
	assert_int_equal(futured_future_result(f, -1, NULL), FUTURED_LOST);
	assert_int_equal(futured_as_completed_next(i, &got), FUTURED_OK);
	assert_ptr_equal(got, f);
	assert_int_equal(futured_as_completed_next(i, &got), FUTURED_END);
	futured_as_completed_free(i);
	futured_future_free(f);
	close(far);
}

static int
an_item(struct futured_pack *args, void *data)
{
	(void)data;
	futured_packf(args, "[i]", 1);
	return 1;
}

static void
a_child_is_told_that_it_is_one(void **state)
{
	int far, status;
	struct futured *c = connected_to(&far);
	struct futured_future *f = futured_future_attach(c, 7);
	struct futured_mapping *m = futured_mapping_new(c, "cpu", "add", an_item, NULL, NULL, 2, -1);
	const struct futured_reply *reply;
	pid_t pid;

	(void)state;
	assert_true(f != NULL && m != NULL);
	if ((pid = fork()) == 0) {
		if (futured_future_cancel(f, FUTURED_CANCEL_PENDING, -1, NULL) != FUTURED_FORKED)
			_exit(1);
		if (futured_mapping_next(m, &reply) != FUTURED_FORKED)
			_exit(2);
		futured_mapping_free(m);
		futured_future_free(f);
		futured_free(c);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	futured_mapping_free(m);
	futured_future_free(f);
	futured_free(c);
	close(far);
}

enum { MANY = 1200 };

static void
an_id_given_twice_is_marked_twice_among_many(void **state)
{
	int far;
	struct futured *c = connected_to(&far);
	uint64_t ids[MANY];
	bool done[MANY];
	struct buf b = { 0 };

	(void)state;
	for (int i = 0; i < MANY; i++)
		ids[i] = (uint64_t)i % (MANY / 2) + 1;
	message_result(&b, 1);
	pack_map(&b, 2);
	pack_cstr(&b, "done");
	pack_array(&b, MANY / 2 - 1);
	for (uint64_t id = 1; id < MANY / 2; id++)
		pack_uint(&b, id);
	pack_cstr(&b, "not_done");
	pack_array(&b, 1);
	pack_uint(&b, MANY / 2);
	say(far, &b);
	assert_int_equal(futured_wait(c, ids, MANY, FUTURED_FIRST_COMPLETED, 0, done), FUTURED_OK);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(done[i], ids[i] != MANY / 2);
	futured_free(c);
	close(far);
}

/* A process that listens in a directory of its own, and does as it is told. */
struct peer {
	char directory[32], address[160];
	struct sockaddr_un sun;
	pid_t pid;
};

static void
peer_start(struct peer *p, void (*answer)(int listening))
{
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*p = (struct peer){ .directory = "/tmp/futured-edges-XXXXXX", .sun.sun_family = AF_UNIX };
	assert_non_null(mkdtemp(p->directory));
	snprintf(p->sun.sun_path, sizeof p->sun.sun_path, "%s/s", p->directory);
	snprintf(p->address, sizeof p->address, "unix:%s", p->sun.sun_path);
	assert_return_code(bind(listening, (struct sockaddr *)&p->sun, sizeof p->sun), 0);
	assert_return_code(listen(listening, 4), 0);
	if ((p->pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		answer(listening);
		_exit(0);
	}
	close(listening);
}

static void
peer_end(struct peer *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	unlink(p->sun.sun_path);
	rmdir(p->directory);
}

/* The peer hears the first hello and says nothing; the next one it answers. */
static void
answer_the_second(int listening)
{
	struct buf b = { 0 };
	char in[512];
	int deaf = accept(listening, NULL, NULL), fd = accept(listening, NULL, NULL);

	(void)deaf;
	if (read(fd, in, sizeof in) <= 0)
		_exit(1);
	message_result(&b, (uint32_t)(uint8_t)in[2]);
	pack_map(&b, 0);
	if (write(fd, b.data, b.len) < 0)
		_exit(1);
	pause();
}

static void
a_daemon_that_does_not_answer_hello_is_none(void **state)
{
	struct futured *c = futured_new();
	struct peer peer;

	(void)state;
	peer_start(&peer, answer_the_second);
	futured_set_address(c, peer.address);
	futured_set_hello(c, "test", NULL, NULL);
	futured_set_connect_timeout(c, 0.1);
	enum futured_status first = futured_connect(c);
	futured_set_connect_timeout(c, 20);
	assert_int_equal(futured_connect(c), FUTURED_OK);
	assert_int_equal(futured_waiting(c), 0);
	assert_int_equal(first, FUTURED_NO_DAEMON);
	futured_free(c);
	peer_end(&peer);
}

/* Answers the first hello and goes, is deaf to the second, answers whatever comes after the third. */
static void
be_deaf_for_once(int listening)
{
	for (int n = 0;; n++) {
		int fd = accept(listening, NULL, NULL);
		uint8_t in[512];

		while (n != 1 && read(fd, in, sizeof in) > 0) {
			struct buf b = { 0 };

			message_result(&b, in[2]);
			pack_map(&b, 1);
			pack_cstr(&b, "instance");
			pack_cstr(&b, "the same");
			if (write(fd, b.data, b.len) < 0)
				_exit(1);
			buf_clear(&b);
			if (n == 0)
				break;
		}
		if (n != 1)
			close(fd);
	}
}

static void
a_daemon_that_does_not_answer_hello_is_asked_again(void **state)
{
	struct futured *c = futured_new();
	struct peer peer;

	(void)state;
	peer_start(&peer, be_deaf_for_once);
	futured_set_address(c, peer.address);
	futured_set_reconnect(c, 20);
	assert_int_equal(futured_connect(c), FUTURED_OK);
	futured_set_connect_timeout(c, 0.2);
	assert_int_equal(futured_callf(c, NULL, "ping", ""), FUTURED_OK);
	futured_free(c);
	peer_end(&peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_runs_out_although_there_is_always_news),
		cmocka_unit_test(no_number_is_no_time),
		cmocka_unit_test(a_signal_does_not_end_an_attempt_to_connect),
		cmocka_unit_test(iterators_outlive_the_connection),
		cmocka_unit_test(a_child_is_told_that_it_is_one),
		cmocka_unit_test(an_id_given_twice_is_marked_twice_among_many),
		cmocka_unit_test(a_daemon_that_does_not_answer_hello_is_none),
		cmocka_unit_test(a_daemon_that_does_not_answer_hello_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

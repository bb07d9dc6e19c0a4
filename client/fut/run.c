/* fut run: submit a command, be its stdin, stdout and stderr, and exit as it does.
 *
 * One connection, no needless round trip: the submit asks to be told of the end in the same breath; when its id is known, the output
 * is followed. Whatever comes first is printed, by offset: a short task's output comes whole with its outcome, a long one's bit by
 * bit. We are done when the outcome is here and both streams are printed to their end.
 * It goes otherwise when: ^C (cancel and wait; a second one leaves it running), our stdout loses its reader or its room (the same as a first ^C),
 * the submit is refused, or the daemon goes away (125). */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/feed.h"
#include "client/fut/outcome.h"
#include "client/fut/printed.h"
#include "client/fut/reach.h"
#include "client/fut/sink.h"
#include "client/fut/stop.h"
#include "client/fut/task.h"
#include "client/fut/waiting.h"

enum { SINK_HIGH = 1 << 20 }; /* above that the daemon is not read from */

struct stream {
	const char *name;
	struct sink sink;
	uint64_t seen;   /* bytes of it that were printed or queued */
	uint64_t length; /* once known */
	bool ended;
	bool asking;     /* an `output` request is under way */
};

struct run {
	struct fut *f;
	const char *pool;
	struct feed feed;
	uint64_t id; /* 0: not known yet */
	struct futured_reply *outcome;
	struct futured_reply *refusal; /* of the submit; not said yet */
	struct stream out, err;
	int signal;      /* the first that came; 0: none */
	bool following;  /* notifications bring the output to its end */
	bool retries;    /* there may be several attempts: the outcome has the last one's output, the streams have all of it */
	bool cancelling; /* cancel has been sent */
	struct waiting waiting;
	bool left;       /* a second signal: it goes on without us */
	bool told;       /* that our stdin is not passed on */
	bool unwritten;  /* stdout takes no more: said, where that is not a reader who has left */
	bool refused;    /* the submit was, or the connection ended: said, and `status` is set */
	int status;
};

static void
stream_take(struct stream *s, uint64_t offset, const void *bytes, size_t len)
{
	uint64_t skip = offset < s->seen ? s->seen - offset : 0;

	if (offset > s->seen || skip >= len)
		return;
	sink_add(&s->sink, (const char *)bytes + skip, len - (size_t)skip);
	s->seen += len - skip;
}

static void
on_output(struct futured *c, uint64_t id, const struct futured_output *o, void *data)
{
	struct run *r = data;
	struct stream *s = strcmp(o->stream, "stderr") == 0 ? &r->err : &r->out;

	(void)c;
	(void)id;
	if (o->error != NULL) { /* the outcome, or the end of the connection, says more */
		r->following = false;
		return;
	}
	if (o->offset > s->seen) { /* something between is missing: it is asked for */
		r->following = false;
		return;
	}
	stream_take(s, o->offset, o->bytes, o->len);
	if (o->eof && o->offset + o->len <= s->seen)
		s->ended = true;
}

/* What was not followed to its end is asked for, a piece at a time, until there is no more. */
static void
on_rest(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct run *r = data;
	struct stream *s = r->out.asking ? &r->out : &r->err;
	const void *bytes;
	size_t len = 0;

	(void)c;
	s->asking = false;
	if (!futured_value_bin(futured_reply_value(reply), &bytes, &len) || len == 0) {
		s->ended = true;
		return;
	}
	stream_take(s, s->seen, bytes, len);
}

static void
ask_rest(struct run *r, struct stream *s)
{
	if (s->ended || r->following || r->out.asking || r->err.asking || sink_waiting(&s->sink) > SINK_HIGH)
		return;
	s->asking = true;
	if (futured_requestf(r->f->c, on_rest, r, "output", "u{ss su}", r->id, "stream", s->name, "offset", s->seen) != FUTURED_OK)
		s->ended = true;
}

/* The outcome carries what was printed, unless it was too long for that. */
static void
finish_stream(struct stream *s, bool has, const void *bytes, size_t len, uint64_t cut)
{
	if (!has || cut > 0 || s->ended)
		return;
	stream_take(s, 0, bytes, len);
	s->ended = s->seen >= len;
}

static void
on_done(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data)
{
	struct run *r = data;
	struct printed p;

	(void)c;
	if (r->id != 0 && id != r->id)
		return;
	r->outcome = need(futured_reply_copy(reply));
	if (r->f->json)
		return;
	if (r->retries)
		return;
	outcome_printed(r->outcome, &p);
	finish_stream(&r->out, p.has_out, p.out, p.out_len, p.out_cut);
	finish_stream(&r->err, p.has_err, p.err, p.err_len, p.err_cut);
}

static void
on_cancelled(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct run *r = data;

	(void)c;
	if (futured_reply_status(reply) != FUTURED_OK)
		fut_refused(r->f, reply);
}

static void
cancel(struct run *r)
{
	if (r->id == 0 || r->cancelling || r->outcome != NULL)
		return;
	r->cancelling = true;
	futured_requestf(r->f->c, on_cancelled, r, "cancel", "[u]{ss}", r->id, "running", "kill");
}

static void
on_submitted(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct run *r = data;

	if (!futured_value_uint(futured_reply_value(reply), &r->id)) {
		r->refused = true;
		r->refusal = need(futured_reply_copy(reply));
		return;
	}
	feed_begin(&r->feed, r->id);
	if (!r->f->json)
		r->following = futured_follow(c, r->id, "both", 0, on_output, r) == FUTURED_OK;
	if ((r->signal != 0 || r->unwritten) && !r->left)
		cancel(r);
}

/* Stdout takes no more, so the task is of no use to anybody: as SIGPIPE would end it. Loud, unless its reader has left. */
static void
look_at_stdout(struct run *r)
{
	int error = r->out.sink.error;

	if (error == 0 || r->unwritten)
		return;
	r->unwritten = true;
	if (error != EPIPE)
		fut_cannot_write(r->f, error);
	else if (r->signal == 0)
		r->signal = SIGPIPE;
	cancel(r);
}

static void
on_signal(struct run *r, int signal)
{
	if (signal == 0)
		return;
	if (r->signal == 0 && signal != SIGHUP) {
		r->signal = signal;
		cancel(r);
		if (r->id != 0 && signal == SIGINT)
			fut_note(r->f, "cancelling %" PRIu64 "; ^C again does not wait for that", r->id);
		return;
	}
	if (r->signal == 0)
		r->signal = signal;
	r->left = true;
}

/* Every attempt reads the same, so nothing can be passed on as it comes. It may come at any time: we look when the task begins and when it is
 * over. */
static void
say_stdin(struct run *r)
{
	if (r->told || !r->retries || !feed_is_left_out(&r->feed))
		return;
	r->told = true;
	fut_note(r->f, "with --retries stdin is not passed on; -i - keeps it for all attempts");
}

static bool
submit(struct run *r, struct task *t, char **operands, int count)
{
	struct futured_pack *p = need(futured_pack_new()), *args = need(futured_pack_new());
	const char *fn = task_command(t, operands, count, args);
	struct futured_options *o = task_options(t);
	enum futured_status status = FUTURED_VALUE;

	if (o != NULL) {
		feed_options(&r->feed, o);
		futured_options_set(o, "watch", "b", 1);
		futured_packf(p, "ssv", t->pool, fn, futured_pack_value(args));
		futured_options_pack(o, p);
		futured_on_done(r->f->c, on_done, r);
		status = futured_request(r->f->c, "submit", p, on_submitted, r, NULL);
		if (status != FUTURED_OK)
			fut_lost(r->f, status);
	}
	futured_options_free(o);
	futured_pack_free(p);
	futured_pack_free(args);
	return status == FUTURED_OK;
}

static bool
is_over(const struct run *r)
{
	if (r->refused || r->left)
		return true;
	return r->outcome != NULL && (r->f->json || (r->out.ended && r->err.ended));
}

static int
add_fd(struct pollfd *p, int fd, short events)
{
	*p = (struct pollfd){ .fd = events != 0 ? fd : -1, .events = events };
	return fd;
}

/* One turn: wait, then let everybody do what they can. */
static void
turn(struct run *r, int stop)
{
	bool full = sink_waiting(&r->out.sink) > SINK_HIGH || sink_waiting(&r->err.sink) > SINK_HIGH;
	struct futured *c = r->f->c;
	enum futured_status heard;
	struct pollfd p[5];

	add_fd(&p[0], futured_fd(c), (short)(full ? futured_events(c) & ~POLLIN : futured_events(c)));
	add_fd(&p[1], stop, POLLIN);
	add_fd(&p[2], feed_fd(&r->feed), POLLIN);
	add_fd(&p[3], r->out.sink.fd, sink_waiting(&r->out.sink) > 0 ? POLLOUT : 0);
	add_fd(&p[4], r->err.sink.fd, sink_waiting(&r->err.sink) > 0 ? POLLOUT : 0);
	if (poll(p, 5, waiting_ms(&r->waiting)) < 0 && errno != EINTR)
		need(NULL);
	on_signal(r, stop_take());
	if (r->outcome != NULL || r->signal != 0 || r->out.seen + r->err.seen > 0)
		waiting_end(&r->waiting);
	waiting_look(&r->waiting, r->id);
	if (p[2].revents != 0)
		feed_read(&r->feed);
	sink_flush(&r->out.sink);
	sink_flush(&r->err.sink);
	if (!full && (heard = futured_process(c)) != FUTURED_OK && !r->refused && !is_over(r)) {
		r->refused = true;
		r->status = fut_lost_ids(r->f, heard, &r->id, r->id != 0);
		return;
	}
	look_at_stdout(r);
	if (r->outcome != NULL && !r->refused && !is_over(r)) {
		ask_rest(r, &r->out);
		ask_rest(r, &r->err);
	}
}

/* Its id is told in any case: nobody else knows it. */
static void
say_left(const struct run *r)
{
	if (r->id == 0)
		fut_say(r->f, "left the task to itself before its id was told; `fut ls` has it");
	else if (r->cancelling)
		fut_say(r->f, "%" PRIu64 " is still ending; `fut wait %" PRIu64 "` waits for it", r->id, r->id);
	else
		fut_say(r->f, "left %" PRIu64 " to itself", r->id);
}

/* What the daemon did not keep cannot have come. Of several attempts that is known of the last alone. */
static bool
is_cut(const struct run *r)
{
	struct printed p;
	bool out, err;

	if (!outcome_printed(r->outcome, &p))
		return false;
	out = printed_is_cut(r->f, r->id, "stdout", (struct printed_sizes){ p.out_len + p.out_cut, r->out.seen });
	err = printed_is_cut(r->f, r->id, "stderr", (struct printed_sizes){ p.err_len + p.err_cut, r->err.seen });
	return out || err;
}

static int
finish(struct run *r)
{
	struct futured_error e;
	int status;

	if (r->left) {
		say_left(r);
		return EXIT_SIGNALLED + r->signal;
	}
	sink_drain(&r->out.sink);
	sink_drain(&r->err.sink);
	if (r->out.sink.error != EPIPE)
		look_at_stdout(r);
	if (r->refusal != NULL)
		r->status = task_refused(r->f, r->pool, futured_reply_status(r->refusal), r->refusal);
	if (r->refused)
		return r->signal == SIGINT ? EXIT_SIGNALLED + SIGINT : r->status;
	if (r->signal != 0) {
		if (r->signal == SIGINT || r->signal == SIGTERM)
			fut_note(r->f, "%" PRIu64 " %s", r->id,
				futured_reply_status(r->outcome) == FUTURED_CANCELLED ? "is cancelled" : "ended by itself");
		return EXIT_SIGNALLED + r->signal;
	}
	if (r->unwritten)
		return EXIT_FUTURED;
	status = outcome_status(r->outcome);
	if (r->f->json)
		outcome_json(stdout, r->id, r->outcome);
	else if (futured_reply_error(r->outcome, &e))
		outcome_say(r->f, &e);
	if (!r->f->json && is_cut(r) && status == EXIT_OK)
		status = EXIT_FUTURED;
	return status;
}

static int
run_task(struct run *r, struct task *t, char **operands, int count)
{
	int stop, status;

	r->pool = t->pool;
	r->retries = t->retries > 0;
	if (!feed_open(&r->feed, r->f, t->stdin_path, t->retries > 0))
		return EXIT_FUTURED;
	if ((status = reach(r->f, REACH_OR_START)) != EXIT_OK)
		return status;
	stop = stop_begin();
	sink_init(&r->out.sink, STDOUT_FILENO);
	sink_init(&r->err.sink, STDERR_FILENO);
	if (!submit(r, t, operands, count))
		return EXIT_FUTURED;
	say_stdin(r);
	waiting_begin(&r->waiting, r->f, t->pool, t->block);
	futured_process(r->f->c);
	while (!is_over(r))
		turn(r, stop);
	status = finish(r);
	say_stdin(r);
	sink_free(&r->out.sink);
	sink_free(&r->err.sink);
	return status;
}

static int
run_main(struct fut *f, int argc, char **argv)
{
	struct run r = { .f = f, .out.name = "stdout", .err.name = "stderr" };
	struct args a;
	struct task t;
	int key, status;

	task_init(&t, f);
	args_init(&a, f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == ARGS_STOP || task_take(&t, key, a.value) < 0) {
			task_clear(&t);
			return key == ARGS_STOP ? a.status : fut_usage(f);
		}
	status = args_expect(&a, 1, -1) ? run_task(&r, &t, a.operands, a.count) : a.status;
	feed_close(&r.feed);
	futured_reply_free(r.outcome);
	futured_reply_free(r.refusal);
	waiting_clear(&r.waiting);
	task_clear(&t);
	return status;
}

static const struct option_row run_options[] = { TASK_ROWS, { 0, NULL, NULL, NULL } };

const struct verb verb_run = {
	.name = "run",
	.operands = "[--] CMD ARG…",
	.summary = "run a command as if it ran here: its input, output and status",
	.examples = "  fut run -- make -j8                      # as if it ran here, in the pool 'shell'\n"
		    "  fut run --timeout 5m -- ./test.sh        # status 124 after five minutes\n"
		    "  tar c src | fut run -- xz -9 > src.xz    # stdin and stdout are the task's\n"
		    "  fut run --shell 'make 2>&1 | tail'       # a shell, where one is wanted\n"
		    "\n"
		    "  ^C cancels the task and waits for it; a second ^C does not wait, and tells its id. Either way the status is 130.\n"
		    "  Status: the task's own; 124 out of time; 125 futured or fut failed; 126, 127 cannot be run, not found;\n"
		    "  128+N ended by signal N.",
	.options = run_options,
	.run = run_main,
	.flags = VERB_TASK | VERB_COMMAND,
};

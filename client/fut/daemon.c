/* fut daemon: start, look at, and end the daemon itself. */
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/fut/action.h"
#include "client/fut/clock.h"
#include "client/fut/json.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"
#include "client/fut/text.h"
#include "client/fut/token.h"
#include "client/fut/writer.h"

enum { DAEMON_WAIT = OPTION_LONG, DAEMON_CANCEL, DAEMON_TIMEOUT, DAEMON_ROLE, DAEMON_EXPIRES, DAEMON_TOKENS };

struct daemon {
	bool wait, cancel_futures;
	double timeout;
	struct token_wish token;
};

static int
daemon_start(struct args *a)
{
	struct fut *f = a->fut;
	int status = EXIT_OK;
	bool was_there = true;

	if (f->address != NULL)
		return args_wrong(f, "start starts your own daemon, not one at an address; run `futured -c FILE` for that");
	if (reach_own(f) != FUTURED_OK) {
		was_there = false;
		status = start_own(f);
	}
	if (status == EXIT_OK && f->json)
		printf("{\"address\": \"%s\", \"pid\": %" PRId64 ", \"started\": %s}\n", futured_address(f->c), futured_daemon_pid(f->c),
			was_there ? "false" : "true");
	else if (status == EXIT_OK)
		fut_note(f, "%s at %s, pid %" PRId64, was_there ? "already runs" : "started", futured_address(f->c), futured_daemon_pid(f->c));
	return status;
}

static int
daemon_ping(struct args *a)
{
	const struct daemon *d = a->wish;
	struct fut *f = a->fut;
	struct futured_reply *reply;
	struct futured_pack *p = need(futured_pack_new());
	enum futured_status called;
	double begin = clock_seconds(), took;
	int status = EXIT_OK;

	futured_pack_str(p, "fut");
	called = futured_call(f->c, "ping", p, d->timeout >= 0 ? d->timeout : 10, &reply);
	took = clock_seconds() - begin;
	if (called != FUTURED_OK)
		status = fut_refused(f, reply);
	else if (f->json)
		printf("{\"address\": \"%s\", \"seconds\": %.6f}\n", futured_address(f->c), took);
	else {
		printf("%s answers in %.0f µs\n", futured_address(f->c), took * 1e6);
	}
	futured_reply_free(reply);
	futured_pack_free(p);
	return status;
}

/* ---- stats ---- */

static uint64_t
count_of(struct futured_value map, const char *key)
{
	uint64_t n = 0;

	futured_find_uint(map, key, &n);
	return n;
}

static void
label(struct fut *f, const char *name)
{
	printf("%s%-12s%s ", paint_code(f->paint_out, PAINT_DIM), name, paint_end(f->paint_out));
}

static void
print_size(struct futured_value map, const char *key)
{
	char *size = show_size((double)count_of(map, key));

	fputs(size, stdout);
	free(size);
}

static void
print_store(struct fut *f, struct futured_value map)
{
	struct futured_value store;
	const char *s;
	size_t len;
	char *kind;

	if (!futured_value_find(map, "store", &store) || (kind = cell_text(store, "kind")) == NULL)
		return;
	label(f, "store");
	fputs(kind, stdout);
	if (count_of(store, "bytes") > 0) {
		fputs(", ", stdout);
		print_size(store, "bytes");
	}
	if (count_of(store, "batches") > 0)
		printf("; the last commit took %.1f ms, the longest %.1f ms", (double)count_of(store, "commit_us") / 1e3,
			(double)count_of(store, "commit_us_max") / 1e3);
	putchar('\n');
	if (futured_find_text(store, "failing", &s, &len)) {
		label(f, "");
		printf("%sit cannot be written: ", paint_code(f->paint_out, PAINT_RED));
		text_visible(stdout, s, len, TEXT_LINE);
		puts(paint_end(f->paint_out));
	}
	free(kind);
}

static void
print_stats(struct fut *f, struct futured_value map)
{
	static const char *const told[] = { "version", "uptime", "pid", "connections", "futures", "totals", "failures", "bytes", "spilled", "rss", "store",
		"turns", "turn_futures_max", "turn_bytes_max", NULL }; /* how the loop turns is for programs that watch it */
	struct futured_value part;
	double uptime = 0;
	char *version = cell_text(map, "version"), *up;

	futured_find_number(map, "uptime", &uptime);
	up = show_span(uptime);
	label(f, "daemon");
	printf("%s, process %" PRIu64 ", up %s\n", version != NULL ? version : "?", count_of(map, "pid"), up);
	label(f, "connections");
	printf("%" PRIu64 "\n", count_of(map, "connections"));
	if (futured_value_find(map, "futures", &part)) {
		label(f, "futures");
		printf("%" PRIu64 " pending, %" PRIu64 " running, %" PRIu64 " finished, %" PRIu64 " cancelled\n", count_of(part, "PENDING"),
			count_of(part, "RUNNING"), count_of(part, "FINISHED"), count_of(part, "CANCELLED"));
	}
	if (futured_value_find(map, "totals", &part)) {
		label(f, "since start");
		printf("%" PRIu64 " submitted, %" PRIu64 " succeeded, %" PRIu64 " failed, %" PRIu64 " cancelled, %" PRIu64 " retried\n",
			count_of(part, "submitted"), count_of(part, "succeeded"), count_of(part, "failed"), count_of(part, "cancelled"),
			count_of(part, "retried"));
	}
	label(f, "failures");
	printf("%" PRIu64 " that nobody has looked at\n", count_of(map, "failures"));
	label(f, "memory");
	print_size(map, "rss");
	fputs(", of it arguments and results ", stdout);
	print_size(map, "bytes");
	fputs("; output on disk ", stdout);
	print_size(map, "spilled");
	putchar('\n');
	print_store(f, map);
	writer_rest(f, map, told);
	free(version);
	free(up);
}

static int
daemon_stats(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	int status = EXIT_OK;

	if (futured_callf(f->c, &reply, "stats", "") != FUTURED_OK)
		status = fut_refused(f, reply);
	else if (f->json)
		writer_object(futured_reply_value(reply));
	else
		print_stats(f, futured_reply_value(reply));
	futured_reply_free(reply);
	return status;
}

/* What could not be applied, a line each. */
static int
daemon_reload(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	struct futured_value inside, item;
	int status = EXIT_OK;
	const char *s;
	size_t n = 0, len;

	if (futured_callf(f->c, &reply, "reload", "") != FUTURED_OK)
		status = fut_refused(f, reply);
	else if (f->json)
		writer_object(futured_reply_value(reply));
	else if (futured_value_array(futured_reply_value(reply), &n, &inside)) {
		while (futured_value_next(&inside, &item))
			if (futured_value_text(item, &s, &len)) {
				text_visible(stdout, s, len, TEXT_LINE);
				putchar('\n');
			}
		fut_note(f, n == 0 ? "reloaded; all of it holds now" : "reloaded, but for this");
	}
	futured_reply_free(reply);
	return status;
}

static int
daemon_config(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply;
	const char *s;
	size_t len;
	int status = EXIT_OK;

	if (futured_callf(f->c, &reply, "config", "") != FUTURED_OK)
		status = fut_refused(f, reply);
	else if (f->json) {
		fputs("{\"config\": ", stdout);
		jsonout_value(stdout, futured_reply_value(reply));
		fputs("}\n", stdout);
	} else if (futured_value_text(futured_reply_value(reply), &s, &len))
		fwrite(s, 1, len, stdout);
	futured_reply_free(reply);
	return status;
}

/* The daemon writes it, so a relative path is made one of ours first. */
static int
daemon_backup(struct args *a)
{
	struct fut *f = a->fut;
	char path[PATH_MAX], *here = NULL;
	struct futured_reply *reply;

	if (a->operands[0][0] != '/' && (here = getcwd(NULL, 0)) == NULL)
		return args_wrong(f, "backup: the current directory is gone; name an absolute path");
	int n = snprintf(path, sizeof path, "%s%s%s", here != NULL ? here : "", here != NULL ? "/" : "", a->operands[0]);
	free(here);
	if (n >= (int)sizeof path)
		return args_wrong(f, "backup: the path is too long");
	enum futured_status called = futured_callf(f->c, &reply, "backup", "s", path);
	return action_simple(a, called, reply);
}

static int
daemon_drain(struct args *a)
{
	const struct daemon *d = a->wish;
	struct fut *f = a->fut;
	struct futured_reply *reply;
	enum futured_status called = d->timeout >= 0 ? futured_callf(f->c, &reply, "drain", "d", d->timeout) :
		futured_callf(f->c, &reply, "drain", "");
	return action_simple(a, called, reply);
}

/* "2 pending (5,6)", new; NULL: none, or nobody says, as the daemon may be gone by now. */
static char *
left_text(struct fut *f, const char *state, const char *word)
{
	enum { SHOWN = 20 };
	struct futured_reply *reply = NULL;
	struct futured_value inside, map;
	uint64_t ids[SHOWN + 1];
	size_t n = 0, count;
	char *names, *text = NULL;

	if (futured_is_connected(f->c) && futured_callf(f->c, &reply, "list", "{ss si}", "state", state, "limit", SHOWN + 1) == FUTURED_OK &&
	    futured_value_array(futured_reply_value(reply), &count, &inside))
		while (n <= SHOWN && futured_value_next(&inside, &map))
			n += futured_find_uint(map, "id", &ids[n]);
	futured_reply_free(reply);
	if (n == 0)
		return NULL;
	names = show_ids(ids, n > SHOWN ? SHOWN : n);
	if (asprintf(&text, n > SHOWN ? "more than %zu %s (%s, …)" : "%zu %s (%s)", n > SHOWN ? (size_t)SHOWN : n, word, names) < 0)
		need(NULL);
	free(names);
	return text;
}

/* The time is over, and it goes on with what it was told. */
static int
say_waiting(struct fut *f)
{
	char *running = left_text(f, "RUNNING", "running"), *pending = left_text(f, "PENDING", "pending");

	if (running != NULL || pending != NULL)
		fut_error(f, FUTURED_TIMEOUT, "it still waits for %s%s%s", running != NULL ? running : "", running != NULL && pending != NULL ? " and " : "",
			pending != NULL ? pending : "");
	else
		fut_error(f, FUTURED_TIMEOUT, "it has not ended yet");
	free(running);
	free(pending);
	return EXIT_FAILED;
}

/* A person waits, and wonders what for. */
static void
note_running(struct fut *f)
{
	char *running = left_text(f, "RUNNING", "running");

	if (running != NULL)
		fut_note(f, "waits for %s; if not done by stop_timeout, or by the next `fut daemon stop`, they are killed", running);
	free(running);
}

/* The same of a shutdown, which has no bound. */
static void
note_left(struct fut *f, const struct daemon *d)
{
	char *running = left_text(f, "RUNNING", "running"), *pending = d->cancel_futures ? NULL : left_text(f, "PENDING", "pending");

	if (running != NULL || pending != NULL)
		fut_note(f, "waits for %s%s%s", running != NULL ? running : "", running != NULL && pending != NULL ? " and " : "",
			pending != NULL ? pending : "");
	free(running);
	free(pending);
}

/* Until the process that answered is gone; the connection ends a little earlier. */
static int
await_end(struct fut *f, const struct daemon *d, double begin, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	double end = begin + (d->timeout >= 0 ? d->timeout : 1e6), tell = d->wait || d->cancel_futures ? end + 1 : begin + 1; /* a shutdown was told of */

	for (;;) {
		double now = clock_seconds(), until = tell < end ? tell : end;

		if (poll(&p, 1, until <= now ? 0 : until - now > 1000 ? 1000000 : (int)((until - now) * 1000) + 1) > 0)
			return EXIT_OK;
		now = clock_seconds();
		if (now >= end)
			return say_waiting(f);
		if (now < tell)
			continue;
		note_running(f);
		tell = end + 1;
	}
}

/* A daemon that is elsewhere, or of another user, can only be asked. */
static int
ask_shutdown(struct fut *f, const struct daemon *d)
{
	struct futured_pack *p = need(futured_pack_new());
	struct futured_reply *reply;
	enum futured_status called;
	int status = EXIT_OK;

	if (d->wait || (d->cancel_futures && futured_daemon_pid(f->c) > 0))
		note_left(f, d);
	futured_packf(p, "{sb sb}", "wait", (int)d->wait, "cancel_futures", (int)d->cancel_futures);
	called = futured_call(f->c, "shutdown", p, d->timeout, &reply);
	/* It may be gone before its answer is here: that is what was asked for. */
	if (called == FUTURED_TIMEOUT && reply == NULL)
		status = say_waiting(f);
	else if (called != FUTURED_OK && called != FUTURED_LOST)
		status = fut_refused(f, reply);
	futured_reply_free(reply);
	futured_pack_free(p);
	return status;
}

static int
daemon_stop(struct args *a)
{
	const struct daemon *d = a->wish;
	struct fut *f = a->fut;
	int64_t pid = futured_daemon_pid(f->c);
	double begin = clock_seconds();
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U) : -1, status = EXIT_OK;

	bool asked = d->wait || d->cancel_futures || fd < 0 || syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0U) < 0;

	if (asked && fd >= 0 && !d->wait && !d->cancel_futures) { /* another user's: what it does then may take as long as it likes */
		close(fd);
		fd = -1;
	}
	if (asked)
		status = ask_shutdown(f, d);
	if (status == EXIT_OK && fd >= 0)
		status = await_end(f, d, begin, fd);
	if (fd >= 0)
		close(fd);
	if (status == EXIT_OK && (fd >= 0 || d->wait))
		fut_note(f, "stopped");
	else if (status == EXIT_OK) /* there is no more to see of it */
		fut_note(f, "told to end, which it does once %s tasks are done", d->cancel_futures ? "running" : "all");
	return status;
}

static int
daemon_version(struct args *a)
{
	struct fut *f = a->fut;
	struct futured_reply *reply = NULL;
	const char *s = NULL;
	size_t len = 0;

	if (futured_callf(f->c, &reply, "hello", "{si ss}", "protocol", 1, "client", "fut") == FUTURED_OK &&
	    !futured_find_text(futured_reply_value(reply), "server", &s, &len))
		s = NULL;
	if (f->json)
		printf("{\"fut\": \"%s\", \"server\": \"%.*s\"}\n", futured_version(), (int)len, s != NULL ? s : "");
	else
		printf("fut %s\n%.*s\n", futured_version(), (int)len, s != NULL ? s : "");
	futured_reply_free(reply);
	return EXIT_OK;
}

static int
daemon_token(struct args *a)
{
	struct daemon *d = a->wish;

	d->token.name = a->operands[0];
	return token_make(a->fut, &d->token);
}

static const struct action actions[] = {
	{ "start", { NULL }, true, daemon_start },
	{ "ping", { NULL }, false, daemon_ping },
	{ "stats", { NULL }, false, daemon_stats },
	{ "config", { NULL }, false, daemon_config },
	{ "reload", { NULL }, false, daemon_reload },
	{ "drain", { NULL }, false, daemon_drain },
	{ "backup", { "FILE, the name of a new one" }, false, daemon_backup },
	{ "stop", { NULL }, false, daemon_stop },
	{ "version", { NULL }, false, daemon_version },
	{ "token", { "NAME, a name for it" }, true, daemon_token },
	{ NULL, { NULL }, false, NULL },
};

static int
daemon_main(struct fut *f, int argc, char **argv)
{
	struct daemon d = { .timeout = -1, .token = { .role = "user", .expires = "never" } };
	struct args a;
	int key;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		switch (key) {
		case DAEMON_WAIT:
			d.wait = true;
			break;
		case DAEMON_CANCEL:
			d.cancel_futures = true;
			break;
		case DAEMON_TIMEOUT:
			if (!args_duration(f, "--timeout", a.value, &d.timeout))
				return EXIT_USAGE;
			break;
		case DAEMON_ROLE:
			d.token.role = a.value;
			break;
		case DAEMON_EXPIRES:
			d.token.expires = a.value;
			break;
		case DAEMON_TOKENS:
			d.token.file = a.value;
			break;
		default:
			return a.status;
		}
	a.wish = &d;
	return action_run(&a);
}

static const struct option_row daemon_options[] = {
	{ DAEMON_WAIT, "wait", NULL, "stop: once all tasks are done, those that wait too" },
	{ DAEMON_CANCEL, "cancel-futures", NULL, "stop: pending tasks are cancelled, running ones finish" },
	{ DAEMON_TIMEOUT, "timeout", "S", "ping, drain, stop: wait no longer than that" },
	{ DAEMON_ROLE, "role", "ROLE", "token: admin, user (default) or read-only" },
	{ DAEMON_EXPIRES, "expires", "WHEN", "token: never (default), 2027-01-31, or 90d from now" },
	{ DAEMON_TOKENS, "tokens", "FILE", "token: add the line to this file of the daemon's, instead of printing it on stderr" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_daemon = {
	.name = "daemon",
	.operands = "start | ping | stats | config | reload | drain | backup FILE | stop | version | token NAME",
	.summary = "start, look at and end the daemon",
	.examples = "  fut daemon start           # your own, in the background (run, submit, call and map do it by themselves)\n"
		    "  fut daemon stop            # running tasks get a moment, then are killed; pending ones stay in the store\n"
		    "  fut daemon stop --wait     # once all is done\n"
		    "  fut daemon backup copy.db  # a copy of the store; sqlite3 copy.db 'select * from futures'\n"
		    "  fut daemon config          # what holds: every key, as futured.yaml(5) has them\n"
		    "  fut --json daemon stats    # counters\n"
		    "  (umask 077; fut daemon token ci --expires 90d --tokens /etc/futured/tokens >ci.token)",
	.options = daemon_options,
	.actions = actions,
	.run = daemon_main,
};

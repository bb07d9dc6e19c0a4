/* fut result: what a task returned, and fut logs: what it printed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/args.h"
#include "client/fut/json.h"
#include "client/fut/outcome.h"
#include "client/fut/printed.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"

enum { RESULT_TIMEOUT = OPTION_LONG, LOGS_STDERR, LOGS_STDOUT };

/* One stream of a command that did not fit into the value: it is fetched, as far as it was kept. */
static int
print_long(struct fut *f, uint64_t id, const char *stream, int fd, uint64_t total)
{
	struct printed_sizes sizes = { .total = total };
	int status = printed_copy(f, id, stream, fd, &sizes.kept);

	return status == EXIT_OK && printed_is_cut(f, id, stream, sizes) ? fut_failed(f) : status;
}

/* A command's stdout and stderr on ours. */
static int
print_command(struct fut *f, uint64_t id, const struct printed *p)
{
	int status = EXIT_OK, more = EXIT_OK;

	if (p->out_cut > 0)
		status = print_long(f, id, "stdout", STDOUT_FILENO, p->out_len + p->out_cut);
	else
		show_bytes(f, id, p->out, p->out_len);
	fut_flush();
	if (p->err_cut > 0)
		more = print_long(f, id, "stderr", STDERR_FILENO, p->err_len + p->err_cut);
	else
		fwrite(p->err, 1, p->err_len, stderr);
	return status != EXIT_OK ? status : more;
}

static int
print_result(struct fut *f, uint64_t id, const struct futured_reply *reply)
{
	struct futured_error e;
	struct printed p;
	int status = outcome_status(reply), printed = EXIT_OK;

	if (f->json) {
		outcome_json(stdout, id, reply);
		return status;
	}
	if (outcome_printed(reply, &p))
		printed = print_command(f, id, &p);
	else if (futured_reply_status(reply) == FUTURED_OK)
		show_value(f, futured_reply_value(reply));
	if (futured_reply_error(reply, &e)) {
		if (e.status == FUTURED_TIMEOUT)
			fut_note(f, "timed out; %" PRIu64 " goes on", id);
		else
			outcome_say(f, &e);
	}
	return status != EXIT_OK ? status : printed;
}

/* stdout becomes the file, so that all of the above need not know. */
static bool
redirect(struct fut *f, const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0)
		return true;
	if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0 || dup2(fd, STDOUT_FILENO) < 0) {
		fut_say(f, "cannot write %s: %s", path, strerror(errno));
		return false;
	}
	f->out_name = path;
	close(fd);
	f->tty_out = f->paint_out = false;
	return true;
}

static int
result_main(struct fut *f, int argc, char **argv)
{
	struct futured_reply *reply;
	enum futured_status called;
	const char *path = NULL;
	uint64_t *ids = NULL;
	double timeout = -1;
	struct args a;
	size_t n = 0;
	int key, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == 'o')
			path = a.value;
		else if (key == ARGS_STOP || !args_duration(f, "--timeout", a.value, &timeout))
			return key == ARGS_STOP ? a.status : fut_usage(f);
	if (!args_expect(&a, 1, 1) || !args_all_ids(&a, &ids, &n))
		return a.status;
	if (n != 1)
		status = args_wrong(f, "expected one id");
	else if ((status = reach(f, REACH_ONLY)) == EXIT_OK) {
		called = futured_result(f->c, ids[0], timeout, &reply);
		if (reply == NULL || called == FUTURED_LOST)
			status = fut_lost_ids(f, called, ids, 1);
		else
			status = path != NULL && !redirect(f, path) ? fut_failed(f) : print_result(f, ids[0], reply);
		futured_reply_free(reply);
	}
	free(ids);
	return status;
}

static const struct option_row result_options[] = {
	{ 'o', "output", "FILE", "write there instead of stdout; - is stdout" },
	{ RESULT_TIMEOUT, "timeout", "S", "wait no longer than that (status 124); the task goes on" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_result = {
	.name = "result",
	.operands = "ID",
	.summary = "wait for a task and print what it returned; exit as it did",
	.examples = "  fut result 17               # its stdout and stderr, its status\n"
		    "  fut result 17 -o out.tar    # to a file\n"
		    "  fut --json result 17        # {\"id\", \"status\", \"value\" or \"error\"}",
	.options = result_options,
	.run = result_main,
	.flags = VERB_TASK,
};

/* ---- logs ---- */

struct logs {
	struct fut *f;
	uint64_t id;
	bool out, err, follow;
	int64_t lines; /* negative: all */
};

static int
logs_print(struct logs *l)
{
	/* One stream alone goes to stdout, whichever it is. */
	int err_fd = l->out ? STDERR_FILENO : STDOUT_FILENO, status = EXIT_OK;
	struct printed_from from = { 0, 0 };
	uint64_t length;

	if (l->out)
		status = l->lines < 0 ? (l->follow ? EXIT_OK : printed_copy(l->f, l->id, "stdout", STDOUT_FILENO, &length)) :
			printed_tail(l->f, l->id, "stdout", STDOUT_FILENO, l->lines, &from.out);
	if (status == EXIT_OK && l->err)
		status = l->lines < 0 ? (l->follow ? EXIT_OK : printed_copy(l->f, l->id, "stderr", err_fd, &length)) :
			printed_tail(l->f, l->id, "stderr", err_fd, l->lines, &from.err);
	if (status == EXIT_OK && l->follow)
		status = printed_follow(l->f, l->id, l->out ? STDOUT_FILENO : -1, l->err ? err_fd : -1, from);
	return status;
}

static int
logs_main(struct fut *f, int argc, char **argv)
{
	struct logs l = { .f = f, .out = true, .err = true, .lines = -1 };
	uint64_t *ids = NULL;
	struct args a;
	size_t n = 0;
	int key, status;

	args_init(&a, f, argc, argv, false);
	while ((key = args_next(&a)) != ARGS_END)
		switch (key) {
		case 'f':
			l.follow = true;
			break;
		case 'n':
			if (!args_int(f, "-n", a.value, 0, 1 << 30, &l.lines))
				return EXIT_USAGE;
			break;
		case LOGS_STDERR:
			l.out = false;
			break;
		case LOGS_STDOUT:
			l.err = false;
			break;
		default:
			return a.status;
		}
	if (!l.out && !l.err)
		l.out = l.err = true;
	if (!args_expect(&a, 1, 1) || !args_all_ids(&a, &ids, &n))
		return a.status;
	if (n != 1)
		status = args_wrong(f, "expected one id");
	else if ((status = reach(f, REACH_ONLY)) == EXIT_OK) {
		l.id = ids[0];
		status = f->json ? printed_json(f, l.id, l.out, l.err, l.follow) : logs_print(&l);
		if (status == EXIT_OK)
			status = printed_check(f, l.id, l.out, l.err);
	}
	free(ids);
	return status;
}

static const struct option_row logs_options[] = {
	{ 'f', "follow", NULL, "go on until it ends" },
	{ 'n', "lines", "N", "the last N lines only" },
	{ LOGS_STDOUT, "stdout", NULL, "stdout only" },
	{ LOGS_STDERR, "stderr", NULL, "stderr only, on our stdout" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_logs = {
	.name = "logs",
	.operands = "ID",
	.summary = "what a task printed so far",
	.examples = "  fut logs 17              # its stdout on ours, its stderr on ours\n"
		    "  fut logs -f -n 20 17     # the last 20 lines and what follows\n"
		    "  fut logs --stderr 17 | grep -i warning",
	.options = logs_options,
	.run = logs_main,
};

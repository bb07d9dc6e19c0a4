/* The joblog of map. */
#include "client/fut/joblog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/outcome.h"
#include "client/fut/text.h"

static const char head[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/* What an earlier run says of one number; the last line counts. */
struct earlier {
	uint64_t number;
	bool well;
	char *command;
};

struct joblog {
	struct fut *f;
	const char *path, *pool;
	int fd;
	bool broken;
	size_t waiting;
	struct earlier *earlier; /* sorted by number */
	size_t count, cap;
};

/* A line whose times are being asked for. */
struct line {
	struct joblog *log;
	uint64_t number;
	uint64_t received;
	int exit, signal;
	bool cancelled;
	char *command;
};

/* ---- reading ---- */

/* The next field of a line, terminated in place. */
static char *
field(char **at)
{
	char *begin = *at, *tab = begin != NULL ? strchr(begin, '\t') : NULL;

	if (tab != NULL)
		*tab = '\0';
	*at = tab != NULL ? tab + 1 : NULL;
	return begin;
}

static bool
read_line(struct joblog *log, char *text)
{
	char *at = text, *number = field(&at), *exit = NULL, *signal, *end;
	uint64_t n;

	for (int i = 0; i < 6; i++)
		exit = field(&at);
	signal = field(&at);
	if (at == NULL)
		return false;
	n = strtoull(number, &end, 10);
	if (n == 0 || *end != '\0')
		return false;
	if (log->count == log->cap)
		log->earlier = need(realloc(log->earlier, (log->cap = log->cap == 0 ? 256 : log->cap * 2) * sizeof *log->earlier));
	log->earlier[log->count++] = (struct earlier){ n, strcmp(exit, "0") == 0 && strcmp(signal, "0") == 0, need(strdup(at)) };
	return true;
}

/* qsort is not stable: lines of one number are in the order of the file, which their places in memory still tell. */
static int
by_number(const void *a, const void *b)
{
	const struct earlier *x = *(struct earlier *const *)a, *y = *(struct earlier *const *)b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x < y ? -1 : 1;
}

/* Sorted, and only the last of each number. */
static void
sort_earlier(struct joblog *log)
{
	struct earlier **order = need(calloc(log->count + 1, sizeof *order)), *sorted = need(calloc(log->count + 1, sizeof *sorted));
	size_t n = 0;

	for (size_t i = 0; i < log->count; i++)
		order[i] = &log->earlier[i];
	qsort(order, log->count, sizeof *order, by_number);
	for (size_t i = 0; i < log->count; i++) {
		if (n > 0 && sorted[n - 1].number == order[i]->number)
			free(sorted[--n].command);
		sorted[n++] = *order[i];
	}
	free(order);
	free(log->earlier);
	log->earlier = sorted;
	log->count = n;
}

static bool
read_earlier(struct joblog *log)
{
	int fd = dup(log->fd);
	FILE *in = need(fd >= 0 ? fdopen(fd, "r") : NULL);
	char *line = NULL;
	size_t cap = 0, number = 0;
	bool well = true;
	ssize_t n;

	while (well && (n = getline(&line, &cap, in)) > 0) {
		if (line[n - 1] != '\n')
			break; /* it was being written when the earlier run ended */
		line[n - 1] = '\0';
		if (number++ > 0 && !read_line(log, line)) {
			fut_say(log->f, "%s:%zu: not a line of a joblog", log->path, number);
			well = false;
		}
	}
	free(line);
	fclose(in);
	sort_earlier(log);
	return well;
}

enum joblog_known
joblog_known(const struct joblog *log, uint64_t number, const char *command)
{
	size_t low = 0, high = log->count;
	char *text;
	bool same;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (log->earlier[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == log->count || log->earlier[low].number != number)
		return JOBLOG_UNKNOWN;
	text = text_escape(command, strlen(command), TEXT_LINE);
	same = strcmp(text, log->earlier[low].command) == 0;
	if (!same)
		fut_say(log->f, "%s: item %" PRIu64 " was '%s' and is now '%s'; --resume wants the same command and items", log->path, number,
			log->earlier[low].command, text);
	free(text);
	return !same ? JOBLOG_OTHER : log->earlier[low].well ? JOBLOG_WELL : JOBLOG_UNKNOWN;
}

/* ---- writing ---- */

static void
write_text(struct joblog *log, const char *text, size_t len)
{
	if (log->broken || write(log->fd, text, len) == (ssize_t)len)
		return;
	log->broken = true;
	fut_say(log->f, "cannot write the joblog %s: %s", log->path, strerror(errno));
}

/* A line that an earlier run did not bring to its end is cut off. */
static bool
end_lines(struct joblog *log)
{
	off_t size = lseek(log->fd, 0, SEEK_END);
	char c;

	while (size > 0 && pread(log->fd, &c, 1, size - 1) == 1 && c != '\n')
		size--;
	return ftruncate(log->fd, size) == 0;
}

struct joblog *
joblog_open(struct fut *f, const char *path, const char *pool, bool resume)
{
	struct joblog *log = need(calloc(1, sizeof *log));

	log->f = f;
	log->path = path;
	log->pool = pool;
	log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (resume ? 0 : O_TRUNC), 0666);
	if (log->fd < 0) {
		fut_say(f, "cannot write the joblog %s: %s", path, strerror(errno));
		goto fail;
	}
	if (resume && (!read_earlier(log) || !end_lines(log)))
		goto fail;
	if (lseek(log->fd, 0, SEEK_END) <= 0)
		write_text(log, head, sizeof head - 1);
	if (!log->broken)
		return log;
fail:
	joblog_free(log);
	return NULL;
}

void
joblog_free(struct joblog *log)
{
	if (log == NULL)
		return;
	for (size_t i = 0; i < log->count; i++)
		free(log->earlier[i].command);
	free(log->earlier);
	if (log->fd >= 0)
		close(log->fd);
	free(log);
}

static void
on_shown(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct line *l = data;
	struct futured_value map = futured_reply_value(reply);
	double started, finished;
	char *text = NULL;
	size_t size;
	FILE *out;

	(void)c;
	l->log->waiting--;
	if (!futured_find_number(map, "finished", &finished))
		goto out;
	if (!futured_find_number(map, "started", &started)) {
		if (l->cancelled)
			goto out;
		started = finished;
	}
	out = need(open_memstream(&text, &size));
	fprintf(out, "%" PRIu64 "\t%s\t%.3f\t%10.3f\t0\t%" PRIu64 "\t%d\t%d\t", l->number, l->log->pool, started, finished - started,
		l->received, l->exit, l->signal);
	text_visible(out, l->command, strlen(l->command), TEXT_LINE);
	fputc('\n', out);
	if (fclose(out) != 0)
		need(NULL);
	write_text(l->log, text, size);
	free(text);
out:
	free(l->command);
	free(l);
}

void
joblog_done(struct joblog *log, uint64_t number, uint64_t id, const char *command, const struct futured_reply *outcome)
{
	struct line *l = need(calloc(1, sizeof *l));
	struct futured_error e;
	struct printed p;

	*l = (struct line){ .log = log, .number = number, .command = need(strdup(command)), .exit = outcome_status(outcome),
		.cancelled = futured_reply_status(outcome) == FUTURED_CANCELLED };
	if (futured_reply_error(outcome, &e) && e.signal > 0) {
		l->signal = (int)e.signal;
		l->exit = 0;
	}
	if (outcome_printed(outcome, &p))
		l->received = p.out_len + p.out_cut;
	log->waiting++;
	if (futured_requestf(log->f->c, on_shown, l, "show", "u", id) == FUTURED_OK)
		return;
	log->waiting--;
	free(l->command);
	free(l);
}

size_t
joblog_waiting(const struct joblog *log)
{
	return log != NULL ? log->waiting : 0;
}

bool
joblog_is_well(const struct joblog *log)
{
	return log == NULL || !log->broken;
}

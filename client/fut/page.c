/* A future, as a page. What is usual (no tags, priority 0, one attempt, an environment like ours) is left out. */
#include "client/fut/page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/fut/json.h"
#include "client/fut/list.h"
#include "client/fut/outcome.h"
#include "client/fut/printed.h"
#include "client/fut/processes.h"
#include "client/fut/show.h"
#include "client/fut/text.h"
#include "client/fut/writer.h"

enum { LABEL = 10, TAIL_LINES = 10, ENV_LINES = 20, ENV_WIDTH = 200, ENV_LEAST = 20 };

/* Keys that this page tells in its own way; others follow as they are. */
static const char *const told[] = { "id", "pool", "fn", "name", "tags", "state", "owner", "priority", "attempt", "submitted", "started",
	"finished", "pid", "args", "failed", "error", "retries", "rusage", "position", "why", "output",
	"timeout", "deadline", "delay", "after", "retry_delay", "retain", "key", "kwargs", "cwd", "env", "umask", "nice", "limits", NULL };

static double
number_or(struct futured_value map, const char *key, double otherwise)
{
	futured_find_number(map, key, &otherwise);
	return otherwise;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
is_in_state(struct futured_value map, const char *name)
{
	struct futured_value state;

	return futured_value_find(map, "state", &state) && futured_value_is_str(state, name);
}

/* ---- the state in a sentence ---- */

/* A clock time, with its day where that is another. */
static void
print_clock(FILE *out, double t)
{
	time_t whole = (time_t)t, today = time(NULL);
	struct tm then, here;
	char text[32];

	localtime_r(&whole, &then);
	localtime_r(&today, &here);
	strftime(text, sizeof text, then.tm_yday == here.tm_yday && then.tm_year == here.tm_year ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &then);
	fputs(text, out);
}

static void
print_span(FILE *out, double seconds)
{
	char *text = show_span(seconds);

	fputs(text, out);
	free(text);
}

static void
print_ago(FILE *out, struct futured_value map, const char *key, const char *before, const char *after)
{
	double t;

	if (!futured_find_number(map, key, &t))
		return;
	fputs(before, out);
	print_span(out, now() - t);
	fputs(after, out);
}

static void
print_pending(FILE *out, struct futured_value map)
{
	struct futured_value why;
	const char *s;
	size_t len;
	double until;

	if (!futured_value_find(map, "why", &why) || !futured_find_text(why, "message", &s, &len)) {
		fputs("the daemon gives no reason", out);
		return;
	}
	text_visible(out, s, len, TEXT_LINE);
	if (futured_find_number(why, "until", &until)) {
		fputs(", at ", out);
		print_clock(out, until);
	}
	if (futured_find_text(why, "code", &s, &len)) {
		fputs(" (", out);
		text_visible(out, s, len, TEXT_LINE);
		fputc(')', out);
	}
}

static void
print_failure(FILE *out, struct futured_value map)
{
	struct futured_value error;
	struct futured_error e;
	char *words;

	if (!futured_value_find(map, "error", &error) || !futured_error_read(error, &e))
		return;
	words = outcome_words(&e);
	fputs(": ", out);
	text_visible(out, words, strlen(words), TEXT_LINE);
	free(words);
}

char *
page_state(struct futured_value map)
{
	char *text = NULL;
	bool failed = false;
	size_t size;
	FILE *out = need(open_memstream(&text, &size));

	futured_find_bool(map, "failed", &failed);
	if (is_in_state(map, "PENDING"))
		print_pending(out, map);
	else if (is_in_state(map, "RUNNING")) {
		fputs("it is running", out);
		print_ago(out, map, "started", ", for ", "");
	} else if (is_in_state(map, "CANCELLED")) {
		fputs("it was cancelled", out);
		print_ago(out, map, "finished", " ", " ago");
	} else {
		fputs(failed ? "it failed" : "it has finished", out);
		print_ago(out, map, "finished", failed ? " " : ", ", " ago");
		if (failed)
			print_failure(out, map);
	}
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

/* ---- the page ---- */

static void
label(struct fut *f, const char *name)
{
	printf("%s%s%s%*s", paint_code(f->paint_out, PAINT_DIM), name, paint_end(f->paint_out), LABEL + 1 - (int)text_width(name), "");
}

static void
print_head(struct fut *f, struct futured_value map)
{
	char *name = cell_text(map, "name"), *command = list_command(map);
	uint64_t id = 0;

	futured_find_uint(map, "id", &id);
	printf("%s%" PRIu64 "%s", paint_code(f->paint_out, PAINT_BOLD), id, paint_end(f->paint_out));
	if (name != NULL && *name != '\0') {
		fputs("  ", stdout);
		text_visible(stdout, name, strlen(name), TEXT_LINE);
	}
	fputs(name != NULL && *name != '\0' ? "\n   " : "  ", stdout);
	if (command != NULL)
		text_visible(stdout, command, strlen(command), TEXT_LINE);
	puts("\n");
	free(name);
	free(command);
}

static void
print_state(struct fut *f, struct futured_value map)
{
	enum paint paint = PAINT_NONE;
	char *state = cell_state(map, &paint), *sentence;

	label(f, "state");
	printf("%s%s%s", paint_code(f->paint_out, paint), state != NULL ? state : "?", paint_end(f->paint_out));
	if (is_in_state(map, "PENDING")) {
		sentence = page_state(map);
		printf(", %s", sentence);
		free(sentence);
	}
	putchar('\n');
	free(state);
}

/* By which process: of a command its worker's only child, where that can be seen. */
static void
print_process(struct fut *f, struct futured_value map)
{
	struct processes *ps;
	struct futured_value cwd;
	int64_t worker, pid = 0;

	if (!futured_find_int(map, "pid", &worker))
		return;
	if (!futured_value_find(map, "cwd", &cwd) || futured_value_type(cwd) == FUTURED_TYPE_NIL) {
		printf(", in process %" PRId64, worker);
		return;
	}
	if (futured_daemon_pid(f->c) > 0) {
		ps = processes_new();
		processes_read(ps);
		pid = processes_first_child(ps, worker);
		processes_free(ps);
	}
	if (pid > 0)
		printf(", in process %" PRId64 " of worker %" PRId64, pid, worker);
	else
		printf(", by worker %" PRId64, worker);
}

/* How long it is, or will be, kept. */
static void
print_kept(struct fut *f, struct futured_value map, double finished)
{
	char *span;
	double retain;

	if (!futured_find_number(map, "retain", &retain))
		return;
	label(f, "kept");
	span = show_span_exactly(retain);
	if (finished > 0) {
		fputs("until ", stdout);
		print_clock(stdout, finished + retain);
		printf(", %s after it finished\n", span);
	} else
		printf("for %s after it has finished\n", span);
	free(span);
}

static void
print_times(struct fut *f, struct futured_value map)
{
	double submitted = number_or(map, "submitted", 0), started = number_or(map, "started", 0), finished = number_or(map, "finished", 0);
	char *owner = cell_text(map, "owner");

	label(f, "submitted");
	print_clock(stdout, submitted);
	print_ago(stdout, map, "submitted", ", ", " ago");
	if (owner != NULL) {
		fputs(", by ", stdout);
		text_visible(stdout, owner, strlen(owner), TEXT_LINE);
	}
	putchar('\n');
	free(owner);
	if (started > 0) {
		label(f, "started");
		print_clock(stdout, started);
		fputs(", after ", stdout);
		print_span(stdout, started - submitted);
		putchar('\n');
		label(f, finished > 0 ? "ran" : "running");
		fputs("for ", stdout);
		print_span(stdout, (finished > 0 ? finished : now()) - started);
		print_process(f, map);
		putchar('\n');
	}
	if (finished > 0) {
		label(f, "finished");
		print_clock(stdout, finished);
		print_ago(stdout, map, "finished", ", ", " ago\n");
	}
	print_kept(f, map, finished);
}

/* What was printed and is not to be had. */
static void
print_missing(struct fut *f, const char *stream, struct printed_sizes sizes)
{
	char *missing, *total;

	if (sizes.kept >= sizes.total)
		return;
	missing = show_count(sizes.total - sizes.kept);
	total = show_count(sizes.total);
	label(f, "cut");
	printf("%s of %s bytes of %s were not kept\n", missing, total, stream);
	free(missing);
	free(total);
}

static void
print_usage(struct fut *f, struct futured_value map)
{
	struct printed_sizes out, err;
	struct futured_value usage;
	double rss;
	char *size;

	if (futured_value_find(map, "rusage", &usage) && futured_value_type(usage) == FUTURED_TYPE_MAP) {
		label(f, "used");
		print_span(stdout, number_or(usage, "utime", 0));
		fputs(" user, ", stdout);
		print_span(stdout, number_or(usage, "stime", 0));
		fputs(" system", stdout);
		if (futured_find_number(usage, "maxrss", &rss) && rss > 0) {
			size = show_size(rss);
			printf(", %s of memory", size);
			free(size);
		}
		putchar('\n');
	}
	printed_sizes(f, map, &out, &err);
	if (out.kept + err.kept > 0) {
		char *a = show_size((double)out.kept), *b = show_size((double)err.kept);

		label(f, "printed");
		printf("%s to stdout, %s to stderr\n", a, b);
		free(a);
		free(b);
	}
	print_missing(f, "stdout", out);
	print_missing(f, "stderr", err);
}

static void
print_tags(struct fut *f, struct futured_value map)
{
	struct futured_value tags, inside, tag;
	const char *s;
	size_t n, len;

	if (!futured_value_find(map, "tags", &tags) || !futured_value_array(tags, &n, &inside) || n == 0)
		return;
	label(f, "tags");
	for (size_t i = 0; i < n && futured_value_next(&inside, &tag); i++)
		if (futured_value_text(tag, &s, &len)) {
			fputs(i > 0 ? ", " : "", stdout);
			text_visible(stdout, s, len, TEXT_LINE);
		}
	putchar('\n');
}

static void
print_way(struct fut *f, struct futured_value map)
{
	double priority = number_or(map, "priority", 0), attempt = number_or(map, "attempt", 0), retries = number_or(map, "retries", 0);
	char *pool = cell_text(map, "pool"), *span;
	double delay;

	label(f, "pool");
	if (pool != NULL)
		text_visible(stdout, pool, strlen(pool), TEXT_LINE);
	if (priority < 0 || priority > 0)
		printf(", priority %.0f", priority);
	if (retries > 0)
		printf(", attempt %.0f of %.0f", attempt < 1 ? 1 : attempt, retries + 1);
	if (retries > 0 && futured_find_number(map, "retry_delay", &delay)) {
		span = show_span_exactly(delay);
		printf(", %s between them, doubled each time", span);
		free(span);
	}
	putchar('\n');
	free(pool);
}

/* ---- as it was asked for ---- */

static void
print_text(struct fut *f, struct futured_value map, const char *key, const char *title)
{
	const char *s;
	size_t len;

	if (!futured_find_text(map, key, &s, &len))
		return;
	label(f, title);
	text_visible(stdout, s, len, TEXT_LINE);
	putchar('\n');
}

/* Ids, and [first, count]: as they are written on a command line. */
static void
print_after(struct fut *f, struct futured_value map)
{
	struct futured_value after, inside, item, pair, part;
	size_t n, parts, count = 0, cap = 0;
	uint64_t *ids = NULL, first, many;
	char *text;

	if (!futured_value_find(map, "after", &after) || !futured_value_array(after, &n, &inside) || n == 0)
		return;
	while (futured_value_next(&inside, &item)) {
		many = 1;
		if (futured_value_array(item, &parts, &pair)) {
			if (!futured_value_next(&pair, &part) || !futured_value_uint(part, &first) || !futured_value_next(&pair, &part) ||
			    !futured_value_uint(part, &many))
				continue;
		} else if (!futured_value_uint(item, &first))
			continue;
		for (uint64_t i = 0; i < many && count < 1000000; i++) {
			if (count == cap)
				ids = need(realloc(ids, (cap = 2 * cap + 16) * sizeof *ids));
			ids[count++] = first + i;
		}
	}
	label(f, "after");
	text = show_ids(ids, count);
	puts(text);
	free(text);
	free(ids);
}

static void
print_limit(const char *before, const char *name, char *value, const char *after)
{
	printf("%s%s %s%s", before, name, value, after);
	free(value);
}

static bool
is_size(const char *name, size_t len)
{
	static const char *const names[] = { "memory", "file_size", "core", "stack", NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

/* One of `limits`: in bytes, seconds of a processor, or a number. */
static void
print_resource(bool first, struct futured_value name, struct futured_value v)
{
	char *text, *value = NULL;
	const char *s;
	double number;
	size_t len;

	if (!futured_value_text(name, &s, &len) || !futured_value_number(v, &number))
		return;
	if (is_size(s, len))
		value = show_size(number);
	else if (len == 3 && memcmp(s, "cpu", 3) == 0)
		value = show_span_exactly(number);
	else if (asprintf(&value, "%.15g", number) < 0)
		need(NULL);
	text = text_escape(s, len, TEXT_LINE);
	print_limit(first ? "" : ", ", text, value, "");
	free(text);
}

static void
print_limits(struct fut *f, struct futured_value map)
{
	struct futured_value limits, inside, name, v;
	double timeout = 0, deadline = 0;
	bool any_time, any;
	size_t n = 0;

	any_time = futured_find_number(map, "timeout", &timeout);
	any_time |= futured_find_number(map, "deadline", &deadline);
	any = futured_value_find(map, "limits", &limits) && futured_value_map(limits, &n, &inside) && n > 0;
	if (!any_time && !any)
		return;
	label(f, "limits");
	if (timeout > 0)
		print_limit("", "timeout", show_span_exactly(timeout), "");
	if (deadline > 0) {
		print_limit(timeout > 0 ? ", " : "", "deadline", show_span_exactly(deadline), " (");
		print_clock(stdout, number_or(map, "submitted", 0) + deadline);
		putchar(')');
	}
	for (size_t i = 0; any && i < n && futured_value_next(&inside, &name) && futured_value_next(&inside, &v); i++)
		print_resource(i == 0 && !any_time, name, v);
	putchar('\n');
}

/* As it is where we are, or what a shell keeps for itself. */
static bool
is_here(const char *name, size_t name_len, const char *value, size_t len)
{
	char *key = need(strndup(name, name_len));
	bool is_shells = strcmp(key, "_") == 0 || strcmp(key, "SHLVL") == 0 || strcmp(key, "OLDPWD") == 0;
	const char *here = getenv(key);

	free(key);
	return is_shells || (here != NULL && strlen(here) == len && memcmp(here, value, len) == 0);
}

/* NAME=value, cut to what a person can take in. */
static void
print_variable(struct fut *f, const char *title, const char *name, size_t name_len, const char *value, size_t len)
{
	size_t room = writer_width(f) > LABEL + 1 + ENV_LEAST ? writer_width(f) - LABEL - 1 : ENV_WIDTH, fits, wide;
	char *shown, *escaped = text_escape(name, name_len, TEXT_LINE);

	wide = text_width(escaped) + 1;
	free(escaped);
	label(f, title);
	text_visible(stdout, name, name_len, TEXT_LINE);
	if (value == NULL) {
		puts(" is unset");
		return;
	}
	shown = text_escape(value, len, TEXT_LINE);
	room = room > wide + ENV_LEAST ? room - wide : ENV_LEAST;
	fits = text_width(shown) > room ? text_fit(shown, room - 1) : strlen(shown);
	printf("=%.*s%s\n", (int)fits, shown, shown[fits] != '\0' ? "…" : "");
	free(shown);
}

/* Most tasks have the environment that they were submitted from, which is mostly the one that we are in. */
static void
print_env(struct fut *f, struct futured_value map)
{
	struct futured_value env, inside, k, v;
	const char *name, *value;
	size_t n, name_len, len, same = 0, shown = 0;

	if (!futured_value_find(map, "env", &env) || !futured_value_map(env, &n, &inside) || n == 0)
		return;
	for (size_t i = 0; i < n && futured_value_next(&inside, &k) && futured_value_next(&inside, &v); i++) {
		if (!futured_value_text(k, &name, &name_len))
			continue;
		if (!futured_value_text(v, &value, &len))
			value = NULL;
		if (value != NULL && is_here(name, name_len, value, len))
			same++;
		else if (shown++ < ENV_LINES)
			print_variable(f, shown == 1 ? "env" : "", name, name_len, value, value != NULL ? len : 0);
	}
	if (shown > ENV_LINES) {
		label(f, "");
		printf("and %zu more (`fut --json show` has them)\n", shown - ENV_LINES);
	}
	label(f, shown == 0 ? "env" : "");
	puts(shown == 0 ? "as it is here" : same > 0 ? "else as it is here" : "and nothing else");
}

/* In octal, as it is known to a shell, where it is not ours. */
static void
print_umask(struct fut *f, struct futured_value map)
{
	mode_t ours = umask(077);
	int64_t mask;

	umask(ours);
	if (!futured_find_int(map, "umask", &mask) || mask == (int64_t)ours)
		return;
	label(f, "umask");
	printf("%03o\n", (unsigned)mask);
}

static void
print_number(struct fut *f, struct futured_value map, const char *key)
{
	int64_t n;

	if (!futured_find_int(map, key, &n) || n == 0)
		return;
	label(f, key);
	printf("%" PRId64 "\n", n);
}

static void
print_delay(struct fut *f, struct futured_value map)
{
	double delay;
	char *span;

	if (!futured_find_number(map, "delay", &delay))
		return;
	label(f, "delay");
	span = show_span_exactly(delay);
	puts(span);
	free(span);
}

static void
print_options(struct fut *f, struct futured_value map)
{
	struct futured_value kwargs;

	print_text(f, map, "key", "key");
	print_after(f, map);
	print_delay(f, map);
	print_limits(f, map);
	print_number(f, map, "nice");
	print_umask(f, map);
	print_text(f, map, "cwd", "directory");
	print_env(f, map);
	if (futured_value_find(map, "kwargs", &kwargs) && futured_value_type(kwargs) == FUTURED_TYPE_MAP) {
		label(f, "kwargs");
		jsonout_value(stdout, kwargs);
		putchar('\n');
	}
}

/* Text behind its label, further lines under the first. */
static void
print_block(const char *s, size_t len)
{
	const char *begin = s, *end = s + len, *next;

	for (; s < end; s = next + 1) {
		next = memchr(s, '\n', (size_t)(end - s));
		next = next != NULL ? next : end;
		printf("%*s", s > begin ? LABEL + 1 : 0, "");
		text_visible(stdout, s, (size_t)(next - s), TEXT_LINE);
		putchar('\n');
	}
}

/* The last lines of what it wrote to stderr: mostly the reason. */
static void
print_last_words(struct fut *f, const struct futured_error *e)
{
	struct futured_value v;
	const void *bytes;
	const char *s;
	size_t len, at;
	int lines = 0;

	if (!futured_value_find(e->map, "stderr", &v) || !futured_value_bin(v, &bytes, &len) || len == 0)
		return;
	s = bytes;
	while (len > 0 && s[len - 1] == '\n')
		len--;
	for (at = len; at > 0 && (s[at - 1] != '\n' || ++lines < TAIL_LINES); at--)
		;
	label(f, at > 0 ? "…stderr" : "stderr");
	print_block(s + at, len - at);
}

static void
print_error(struct fut *f, struct futured_value map)
{
	struct futured_value error;
	struct futured_error e;
	char *words;

	if (!futured_value_find(map, "error", &error) || !futured_error_read(error, &e))
		return;
	words = outcome_words(&e);
	label(f, "error");
	fputs(paint_code(f->paint_out, PAINT_RED), stdout);
	text_visible(stdout, words, strlen(words), TEXT_LINE);
	puts(paint_end(f->paint_out));
	free(words);
	if (e.traceback_len > 0) {
		label(f, "");
		print_block(e.traceback, e.traceback_len);
	}
	print_last_words(f, &e);
}

void
page_future(struct fut *f, struct futured_value map)
{
	if (f->json) {
		writer_object(map);
		return;
	}
	print_head(f, map);
	print_state(f, map);
	print_way(f, map);
	print_tags(f, map);
	print_options(f, map);
	print_times(f, map);
	print_usage(f, map);
	print_error(f, map);
	writer_rest(f, map, told);
}

/* A future, as a page. What is usual (no tags, priority 0, one attempt) is left out. */
#include "client/fut/page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/fut/list.h"
#include "client/fut/outcome.h"
#include "client/fut/printed.h"
#include "client/fut/show.h"
#include "client/fut/text.h"
#include "client/fut/writer.h"

enum { LABEL = 10, TAIL_LINES = 10 };

/* Keys that this page tells in its own way; others follow as they are. */
static const char *const told[] = { "id", "pool", "fn", "name", "tags", "state", "owner", "priority", "attempt", "submitted", "started",
	"finished", "pid", "args", "failed", "error", "retries", "rusage", "position", "why", "output", NULL };

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

static void
print_times(struct fut *f, struct futured_value map)
{
	double submitted = number_or(map, "submitted", 0), started = number_or(map, "started", 0), finished = number_or(map, "finished", 0);
	int64_t pid;
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
		if (futured_find_int(map, "pid", &pid))
			printf(", in process %" PRId64, pid);
		putchar('\n');
	}
	if (finished > 0) {
		label(f, "finished");
		print_clock(stdout, finished);
		print_ago(stdout, map, "finished", ", ", " ago\n");
	}
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
	char *pool = cell_text(map, "pool");

	label(f, "pool");
	if (pool != NULL)
		text_visible(stdout, pool, strlen(pool), TEXT_LINE);
	if (priority < 0 || priority > 0)
		printf(", priority %.0f", priority);
	if (retries > 0)
		printf(", attempt %.0f of %.0f", attempt < 1 ? 1 : attempt, retries + 1);
	putchar('\n');
	free(pool);
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
	print_times(f, map);
	print_usage(f, map);
	print_error(f, map);
	writer_rest(f, map, told);
}

#include "daemon/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "proto/utf8.h"

enum { LINE_MAX_BYTES = 8192, RESERVE = 1024 }; /* a message of 1 KiB, all of it escaped, with all that it may be about */
enum { PATIENCE_MS = 100 };                     /* whoever reads the log may be so slow once; then lines are lost until it reads again */

enum form { FORM_TEXT, FORM_JSON, FORM_JOURNAL };

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	enum form form;
};

static const char *const names[] = { "error", "warn", "info", "debug" };
static const int priorities[] = { 3, 4, 6, 7 }; /* syslog's */
static enum log_level threshold = LOG_LEVEL_INFO;
static bool in_journal, as_json;
static _Atomic unsigned lost; /* lines, since one was written */
static _Atomic bool torn;     /* of the last one only the beginning was written */

enum log_level
log_level_find(const char *name)
{
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (name && strcmp(name, names[i]) == 0)
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

void
log_set_level(enum log_level level)
{
	threshold = level;
}

void
log_set_json(bool json)
{
	as_json = json;
}

void
log_init(void)
{
	in_journal = journal_is_at(STDERR_FILENO) && journal_open();
}

bool
log_is_wanted(enum log_level level)
{
	return level <= threshold;
}

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(l->text + l->len, sizeof l->text - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n < sizeof l->text - l->len ? (size_t)n : sizeof l->text - l->len - 1;
}

/* One character that is shown as it is: UTF-8, and no control character, neither of ASCII nor of Latin 1. */
static size_t
shown(const char *text, size_t len)
{
	unsigned char first = (unsigned char)text[0], second = len > 1 ? (unsigned char)text[1] : 0;
	size_t n = utf8_length(text, len);
	return first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0) ? 0 : n;
}

static void
put_escaped(struct line *l, const char *text)
{
	size_t left = strlen(text), n;

	for (; left && l->len + RESERVE < sizeof l->text; text += n, left -= n) {
		n = shown(text, left);
		if (l->form == FORM_JSON && n == 1 && (*text == '"' || *text == '\\'))
			put(l, "\\%c", *text);
		else if (n)
			put(l, "%.*s", (int)n, text);
		else
			put(l, l->form == FORM_JSON ? "\\u00%02x" : "\\x%02x", (unsigned char)*text);
		n += !n;
	}
}

/* ---- what it is about: a field each in the journal and in JSON, nothing in text, where the message says it ---- */

struct field {
	const char *json, *journal;
};

static void
put_number(struct line *l, struct field f, int64_t value)
{
	if (l->form == FORM_JOURNAL)
		put(l, "%s=%lld\n", f.journal, (long long)value);
	else
		put(l, ",\"%s\":%lld", f.json, (long long)value);
}

static void
put_text(struct line *l, struct field f, const char *value)
{
	put(l, l->form == FORM_JOURNAL ? "%s=" : ",\"%s\":\"", l->form == FORM_JOURNAL ? f.journal : f.json);
	put_escaped(l, value);
	put(l, l->form == FORM_JOURNAL ? "\n" : "\"");
}

static void
put_about(struct line *l, const struct log_about *a)
{
	if (a->future)
		put_number(l, (struct field){ "future", "FUTURE_ID" }, (int64_t)a->future);
	if (a->pool)
		put_text(l, (struct field){ "pool", "FUTURE_POOL" }, a->pool);
	if (a->state)
		put_text(l, (struct field){ "state", "FUTURE_STATE" }, a->state);
	if (a->exit)
		put_number(l, (struct field){ "exit_code", "EXIT_CODE" }, *a->exit);
	if (a->us)
		put_number(l, (struct field){ "duration_usec", "DURATION_USEC" }, (int64_t)*a->us);
	if (a->uid)
		put_number(l, (struct field){ "client_uid", "CLIENT_UID" }, *a->uid);
	if (a->conn)
		put_number(l, (struct field){ "conn", "FUTURED_CONN" }, (int64_t)a->conn);
	if (a->worker)
		put_number(l, (struct field){ "worker", "FUTURED_WORKER" }, a->worker);
}

/* ---- the three forms ---- */

static void
put_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	l->len += strftime(l->text + l->len, sizeof l->text - l->len, "%Y-%m-%dT%H:%M:%S", &tm);
	put(l, ".%03ldZ", ts.tv_nsec / 1000000);
}

static void
format(struct line *l, enum log_level level, const char *subsystem, const struct log_about *about, const char *message)
{
	l->len = 0;
	switch (l->form) {
	case FORM_TEXT:
		put_time(l);
		put(l, " %-5s %s: ", names[level], subsystem);
		put_escaped(l, message);
		put(l, "\n");
		break;
	case FORM_JSON:
		put(l, "{\"time\":\"");
		put_time(l);
		put(l, "\",\"level\":\"%s\",\"subsystem\":\"%s\",\"message\":\"", names[level], subsystem);
		put_escaped(l, message);
		put(l, "\"");
		put_about(l, about);
		put(l, "}\n");
		break;
	case FORM_JOURNAL:
		put(l, "SYSLOG_IDENTIFIER=futured\nPRIORITY=%d\nFUTURED_SUBSYSTEM=%s\nMESSAGE=%s: ", priorities[level], subsystem, subsystem);
		put_escaped(l, message);
		put(l, "\n");
		put_about(l, about);
		break;
	}
}

/* ---- writing: never for longer than whoever reads takes to read ---- */

static bool
has_room(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	return poll(&p, 1, lost ? 0 : PATIENCE_MS) != 0;
}

/* A pipe that has room for anything has it for PIPE_BUF. */
static bool
write_all(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t piece = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		ssize_t n = has_room() ? write(STDERR_FILENO, text + done, piece) : 0;
		if (n <= 0) {
			torn = torn || done;
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

static void
put_out(struct line *l)
{
	static const struct log_about nothing;
	struct line told = { .form = l->form };
	unsigned before = lost;
	char message[80];

	if (before) {
		snprintf(message, sizeof message, "lines are missing here, %u of them: nobody read the log", before);
		format(&told, LOG_LEVEL_WARN, "log", &nothing, message);
	}
	if ((torn && !write_all("\n", 1)) || !write_all(told.text, told.len)) {
		lost++;
		return;
	}
	torn = false;
	lost = !write_all(l->text, l->len);
}

static void vlog(enum log_level level, const char *subsystem, const struct log_about *about, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void
vlog(enum log_level level, const char *subsystem, const struct log_about *about, const char *fmt, va_list ap)
{
	struct line line;
	char message[1024];

	line.form = in_journal ? FORM_JOURNAL : as_json ? FORM_JSON : FORM_TEXT;
	vsnprintf(message, sizeof message, fmt, ap);
	format(&line, level, subsystem, about, message);
	if (in_journal && journal_send(line.text, line.len))
		return;
	if (in_journal) { /* it takes no more now; its stream may */
		line.form = FORM_TEXT;
		format(&line, level, subsystem, about, message);
	}
	put_out(&line);
}

void
log_line(enum log_level level, const char *subsystem, const char *fmt, ...)
{
	static const struct log_about nothing;
	va_list ap;

	if (level > threshold)
		return;
	va_start(ap, fmt);
	vlog(level, subsystem, &nothing, fmt, ap);
	va_end(ap);
}

void
log_about(enum log_level level, const char *subsystem, const struct log_about *about, const char *fmt, ...)
{
	va_list ap;

	if (level > threshold)
		return;
	va_start(ap, fmt);
	vlog(level, subsystem, about, fmt, ap);
	va_end(ap);
}

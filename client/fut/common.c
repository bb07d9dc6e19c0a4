/* What is the same for every verb. */
#include "client/fut/common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/fut/json.h"
#include "client/fut/pools.h"
#include "client/fut/show.h"
#include "client/fut/text.h"

enum { KEY_JSON = 1000, KEY_COLOR, KEY_NO_START, KEY_TOKEN_FILE, KEY_TLS_CA, KEY_TLS_CERT, KEY_TLS_KEY };

const struct option_row common_options[] = {
	{ 'a', "address", "ADDRESS", "whom to ask: unix:PATH, tcp:HOST:PORT, tls:HOST:PORT (default: $FUTURED_ADDRESS, your own daemon, the system's)" },
	{ KEY_JSON, "json", NULL, "answer in JSON: one object, or one per line for lists and streams" },
	{ 'q', "quiet", NULL, "no notes on stderr" },
	{ KEY_COLOR, "color", "WHEN", "auto, always or never" },
	{ KEY_NO_START, "no-start", NULL, "do not start a daemon if none answers" },
	{ KEY_TOKEN_FILE, "token-file", "FILE", "tcp:, tls: the file with your token (default: $FUTURED_TOKEN_FILE)" },
	{ KEY_TLS_CA, "tls-ca", "FILE", "tls: who signs the daemon's certificate (default: $FUTURED_TLS_CA, whom the system trusts)" },
	{ KEY_TLS_CERT, "tls-cert", "FILE", "tls: your certificate (default: $FUTURED_TLS_CERT, none)" },
	{ KEY_TLS_KEY, "tls-key", "FILE", "tls: its private key (default: $FUTURED_TLS_KEY, in the same file)" },
	{ 'h', "help", NULL, "this text" },
	{ 0, NULL, NULL, NULL },
};

bool
common_color(struct fut *f, const char *when)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
	bool able = term != NULL && strcmp(term, "dumb") != 0 && (no == NULL || *no == '\0');

	if (strcmp(when, "auto") == 0) {
		f->paint_out = f->tty_out && able;
		f->paint_err = f->tty_err && able;
	} else if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
		f->paint_out = f->paint_err = *when == 'a';
	else
		return false;
	return true;
}

/* An address that is a file was meant as what -a is for other programs. */
static bool
is_file(struct fut *f, const char *value)
{
	struct stat st;

	if (stat(value, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	fut_say(f, "-a is the daemon's address, and '%s' is a file; fut map reads items from one with :::: %s", value, value);
	return true;
}

int
common_take(struct fut *f, int key, const char *value)
{
	switch (key) {
	case 'a':
		if (is_file(f, value))
			return -1;
		f->address = value;
		return 1;
	case 'q':
		f->quiet = true;
		return 1;
	case KEY_JSON:
		f->json = true;
		return 1;
	case KEY_NO_START:
		f->no_start = true;
		return 1;
	case KEY_TOKEN_FILE:
		f->token_file = value;
		return 1;
	case KEY_TLS_CA:
		f->tls_ca = value;
		return 1;
	case KEY_TLS_CERT:
		f->tls_cert = value;
		return 1;
	case KEY_TLS_KEY:
		f->tls_key = value;
		return 1;
	case KEY_COLOR:
		if (common_color(f, value))
			return 1;
		fut_say(f, "--color: expected auto, always or never, got '%s'", value);
		return -1;
	default:
		return 0;
	}
}

const struct verb *
verb_find(const char *name)
{
	for (size_t i = 0; verbs[i] != NULL; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

/* ---- saying ---- */

int
fut_failed(const struct fut *f)
{
	return f->verb != NULL && f->verb->flags & VERB_TASK ? EXIT_FUTURED : EXIT_FAILED;
}

int
fut_usage(const struct fut *f)
{
	return f->verb != NULL && f->verb->flags & VERB_TASK ? EXIT_FUTURED : EXIT_USAGE;
}

static void __attribute__((format(printf, 2, 0)))
say(const struct fut *f, const char *fmt, va_list ap)
{
	char *text, *line = NULL;
	int len = vasprintf(&text, fmt, ap);
	size_t size;
	FILE *out = need(open_memstream(&line, &size));

	fut_flush();
	fprintf(out, "%sfut:%s ", paint_code(f->paint_err, PAINT_BOLD), paint_end(f->paint_err));
	if (len >= 0) {
		text_visible(out, text, (size_t)len, TEXT_LINES);
		free(text);
	}
	fputc('\n', out);
	if (fclose(out) != 0)
		need(NULL);
	fwrite(need(line), 1, size, stderr); /* in one go: others may be writing there, too */
	free(line);
}

void
fut_say(const struct fut *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, fmt, ap);
	va_end(ap);
}

void
fut_note(const struct fut *f, const char *fmt, ...)
{
	va_list ap;

	if (f->quiet)
		return;
	va_start(ap, fmt);
	say(f, fmt, ap);
	va_end(ap);
}

void
fut_error(const struct fut *f, enum futured_status status, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	need(len < 0 ? NULL : text);
	if (f->json)
		printf("{\"error\": {\"type\": \"%s\", \"message\": ", futured_status_name(status));
	if (f->json)
		jsonout_string(stdout, text, (size_t)len);
	if (f->json)
		puts("}}");
	else
		fut_say(f, "%s", text);
	free(text);
}

int
fut_lost_ids(struct fut *f, enum futured_status status, uint64_t *ids, size_t n)
{
	const char *why = futured_error_text(f->c);
	char *text;

	/* What the daemon says begins with its name for it; what only we can know is a sentence. */
	if (status < FUTURED_TASK && !f->json)
		fut_say(f, "%s: %s", futured_status_name(status), why);
	else if (status != FUTURED_LOST || n == 0)
		fut_error(f, status, "%s%s", status == FUTURED_LOST ? "lost the daemon: " : "", why);
	else {
		text = show_ids(ids, n);
		fut_error(f, status, "lost the daemon; `fut show %s` tells what became of %s", text, n == 1 ? text : "them");
		free(text);
	}
	return fut_failed(f);
}

int
fut_lost(struct fut *f, enum futured_status status)
{
	return fut_lost_ids(f, status, NULL, 0);
}

/* Some runtimes have no more of a traceback than the error once more. */
static bool
has_traceback(const struct futured_error *e)
{
	const char *t = e->traceback;
	size_t len = e->traceback_len;

	while (len > 0 && t[len - 1] == '\n')
		len--;
	return len > 0 && !(len == e->type_len + 2 + e->message_len && memcmp(t, e->type, e->type_len) == 0 &&
				memcmp(t + e->type_len, ": ", 2) == 0 && memcmp(t + e->type_len + 2, e->message, e->message_len) == 0);
}

void
fut_say_error(const struct fut *f, const struct futured_error *e)
{
	if (f->json) {
		fputs("{\"error\": ", stdout);
		jsonout_error(stdout, e);
		puts("}");
		return;
	}
	fut_say(f, "%.*s: %.*s", (int)e->type_len, e->type, (int)e->message_len, e->message);
	if (has_traceback(e) && !f->quiet) {
		char *text = text_escape(e->traceback, e->traceback_len, TEXT_LINES);

		fprintf(stderr, "%s%s", text, e->traceback[e->traceback_len - 1] != '\n' ? "\n" : "");
		free(text);
	}
}

int
fut_refused(struct fut *f, const struct futured_reply *reply)
{
	struct futured_error e;

	if (reply == NULL || !futured_reply_error(reply, &e))
		return fut_lost(f, futured_is_connected(f->c) ? FUTURED_SYSTEM : FUTURED_LOST);
	if (e.status == FUTURED_LOST)
		return fut_lost(f, FUTURED_LOST);
	if (e.status == FUTURED_UNKNOWN_POOL && !f->json)
		pools_unknown_in(f, e.message, e.message_len);
	else
		fut_say_error(f, &e);
	return fut_failed(f);
}

void (*fut_at_need)(void);

void *
need(void *p)
{
	static const char text[] = "fut: out of memory\n";

	if (p != NULL)
		return p;
	if (fut_at_need != NULL)
		fut_at_need();
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(EXIT_FUTURED);
	_exit(EXIT_FUTURED);
}

/* Why stdout could not be written first: a later success would hide it. */
static int out_error;

bool
fut_flush(void)
{
	if (fflush(stdout) != 0 && out_error == 0)
		out_error = errno;
	return out_error == 0 && !ferror(stdout);
}

void
fut_cannot_write(const struct fut *f, int error)
{
	fut_say(f, "cannot write to %s%s%s", f->out_name, error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}

int
fut_finish(struct fut *f, int status)
{
	if (fut_flush())
		return status;
	if (out_error != EPIPE)
		fut_cannot_write(f, out_error);
	return status != 0 ? status : fut_failed(f);
}

/* ---- colour ---- */

const char *
paint_code(bool on, enum paint p)
{
	static const char *const code[] = { "", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[34m", "\033[36m" };

	return on ? code[p] : "";
}

const char *
paint_end(bool on)
{
	return on ? "\033[0m" : "";
}

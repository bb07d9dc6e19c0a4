/* What became of a task. */
#include "client/fut/outcome.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/json.h"

static int
exit_status(const struct futured_error *e)
{
	if (e->signal > 0)
		return EXIT_SIGNALLED + (int)(e->signal & 127);
	return e->has_exit ? (int)(e->exit & 255) : EXIT_FUTURED;
}

int
outcome_status_of(const struct futured_error *e)
{
	switch (e->status) {
	case FUTURED_EXIT:
		return exit_status(e);
	case FUTURED_TIMEOUT:
	case FUTURED_TASK_TIMEOUT:
		return EXIT_TIMED_OUT;
	case FUTURED_TASK:
		return EXIT_FAILED;
	default:
		return EXIT_FUTURED;
	}
}

int
outcome_status(const struct futured_reply *reply)
{
	struct futured_error e;

	return futured_reply_error(reply, &e) ? outcome_status_of(&e) : EXIT_OK;
}

/* Why it was sent, where that is known. */
static const char *
signal_text(const struct futured_error *e)
{
	bool oom = false;

	futured_find_bool(e->map, "oom", &oom);
	return oom ? "memory ran out" : strsignal((int)e->signal);
}

static const char not_found[] = ": not found in ", cannot[] = "cannot start ";

/* The sentence of a program that was not found names the whole path that was searched, which is the same for all. */
static char *
exit_sentence(const struct futured_error *e)
{
	const char *found = e->exit == 127 ? memmem(e->message, e->message_len, not_found, sizeof not_found - 1) : NULL;
	char *text = NULL;
	int n = found != NULL ? asprintf(&text, "%.*s%sPATH", (int)(found - e->message), e->message, not_found) :
				asprintf(&text, "%.*s", (int)e->message_len, e->message);

	return need(n < 0 ? NULL : text);
}

const char *
outcome_hint(const struct futured_error *e)
{
	const char *begin = e->message, *end;

	if (e->status != FUTURED_EXIT || !e->has_exit || e->exit != 127)
		return NULL;
	if ((end = memmem(begin, e->message_len, not_found, sizeof not_found - 1)) == NULL) {
		if (e->message_len < sizeof cannot || memcmp(begin, cannot, sizeof cannot - 1) != 0)
			return NULL;
		begin += sizeof cannot - 1;
		end = memrchr(begin, ':', e->message_len - (sizeof cannot - 1));
	}
	for (; end != NULL && begin < end; begin++)
		if (strchr(" \t\n|&;<>()$`\\\"'*?[]{}~=#%!", *begin) != NULL)
			return "did you mean --shell?";
	return NULL;
}

char *
outcome_words(const struct futured_error *e)
{
	char *text = NULL;
	int n;

	if (e->status == FUTURED_EXIT && e->signal == 0 && e->has_exit && (e->exit == 126 || e->exit == 127))
		return exit_sentence(e);
	if (e->status == FUTURED_EXIT && e->signal > 0)
		n = asprintf(&text, "signal %d (%s)", (int)e->signal, signal_text(e));
	else if (e->status == FUTURED_EXIT && e->has_exit)
		n = asprintf(&text, "exit %d", (int)e->exit);
	else
		n = asprintf(&text, "%.*s: %.*s", (int)e->type_len, e->type, (int)e->message_len, e->message);
	return need(n < 0 ? NULL : text);
}

bool
outcome_is_plain(const struct futured_error *e)
{
	struct futured_value v;
	const void *bytes;
	size_t len = 0;

	if (e->status != FUTURED_EXIT || e->signal > 0 || (e->has_exit && e->exit != 126 && e->exit != 127))
		return e->status == FUTURED_EXIT;
	return futured_value_find(e->map, "stderr", &v) && futured_value_bin(v, &bytes, &len) && len > 0; /* it said so itself */
}

void
outcome_say(const struct fut *f, const struct futured_error *e)
{
	const char *hint = outcome_hint(e);
	char *text;

	if (e->status != FUTURED_EXIT)
		fut_say_error(f, e);
	else if (e->signal > 0)
		fut_note(f, "ended by signal %d (%s)", (int)e->signal, signal_text(e));
	else if (!outcome_is_plain(e)) {
		text = exit_sentence(e);
		fut_say(f, "%s%s%s", text, hint != NULL ? "; " : "", hint != NULL ? hint : "");
		free(text);
	}
}

void
outcome_json(FILE *out, uint64_t id, const struct futured_reply *reply)
{
	struct futured_error e;

	fprintf(out, "{\"id\": %" PRIu64 ", \"status\": %d, ", id, outcome_status(reply));
	if (futured_reply_error(reply, &e)) {
		fputs("\"error\": ", out);
		jsonout_error(out, &e);
	} else {
		fputs("\"value\": ", out);
		jsonout_value(out, futured_reply_value(reply));
	}
	fputs("}\n", out);
}

static void
find(struct futured_value map, const char *key, const char *cut_key, const void **bytes, size_t *len, uint64_t *cut, bool *has)
{
	struct futured_value v;

	*bytes = NULL;
	*len = 0;
	*cut = 0;
	*has = futured_value_find(map, key, &v) && futured_value_bin(v, bytes, len);
	futured_find_uint(map, cut_key, cut);
}

void
outcome_streams(struct futured_value map, struct printed *p)
{
	find(map, "stdout", "stdout_cut", &p->out, &p->out_len, &p->out_cut, &p->has_out);
	find(map, "stderr", "stderr_cut", &p->err, &p->err_len, &p->err_cut, &p->has_err);
}

bool
outcome_printed(const struct futured_reply *reply, struct printed *p)
{
	struct futured_value map = futured_reply_value(reply);
	struct futured_error e;
	int64_t exit;

	if (futured_reply_error(reply, &e))
		map = e.map;
	outcome_streams(map, p);
	if (e.status != FUTURED_OK)
		return e.status == FUTURED_EXIT || p->has_out;
	return p->has_out && p->has_err && futured_find_int(map, "exit", &exit);
}

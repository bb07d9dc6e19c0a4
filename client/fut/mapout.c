/* What fut map prints: results in their order, a summary of failures; and letting go of what is printed. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/json.h"
#include "client/fut/map.h"
#include "client/fut/outcome.h"
#include "client/fut/printed.h"
#include "client/fut/text.h"

enum { SINK_HIGH = 1 << 20 };

size_t
map_reply_size(const struct futured_reply *reply)
{
	struct futured_value v = futured_reply_value(reply);
	struct futured_error e;

	if (futured_reply_error(reply, &e))
		v = e.map;
	return (size_t)(v.end - v.at);
}

void
map_pack(struct map *m, const char *program, const struct futured_pack *args, size_t count, struct futured_pack *p)
{
	struct futured_value cursor = futured_pack_value(args), one;

	futured_packf(p, "ss", m->pool, program);
	if (!m->template.varies)
		futured_pack_array(p, count);
	while (futured_value_next(&cursor, &one))
		futured_pack_copy(p, one);
	futured_options_pack(m->options, p);
}

char *
map_item_words(const struct item *i)
{
	char *joined = need(malloc(i->len + 1)), *text;

	memcpy(joined, i->text, i->len);
	for (size_t at = strlen(i->text), n = 1; n < (size_t)i->fields; n++, at += strlen(i->text + at + 1) + 1)
		joined[at] = ' ';
	text = text_escape(joined, i->len, TEXT_LINE);
	free(joined);
	return text;
}

static void
note_failure(struct map *m, const struct item *i, const struct futured_error *e)
{
	if (m->hint == NULL)
		m->hint = outcome_hint(e);
	for (size_t n = 0; n < FAILURES_SHOWN; n++)
		if (m->failure[n].item == NULL) {
			m->failure[n].id = i->id;
			m->failure[n].item = map_item_words(i);
			m->failure[n].words = outcome_words(e);
			m->failure[n].plain = outcome_is_plain(e);
			return;
		}
}

/* What a task printed, and the progress line keep out of each other's way. */
static void
put(struct map *m, struct sink *s, const char *bytes, size_t len)
{
	bool shown = s == &m->out ? m->f->tty_out : m->f->tty_err;

	if (len == 0)
		return;
	if (shown)
		progress_hide(&m->progress);
	else if (s == &m->out && m->piped)
		progress_hold(&m->progress, bytes[len - 1] != '\n' && !text_is_binary(bytes, len));
	sink_add(s, bytes, len);
	if (shown)
		progress_wrote(&m->progress, bytes, len);
}

/* One field as it is, several as an array. */
static void
print_fields(FILE *out, const struct item *i)
{
	const char *at = i->text;

	if (i->fields == 1) {
		jsonout_printed(out, i->text, i->len);
		return;
	}
	for (int n = 0; n < i->fields; n++, at += strlen(at) + 1) {
		fputs(n == 0 ? "[" : ", ", out);
		jsonout_printed(out, at, strlen(at));
	}
	fputc(']', out);
}

static void
print_json(struct map *m, const struct item *i)
{
	struct futured_error e;
	char *text = NULL;
	size_t size;
	FILE *out = need(open_memstream(&text, &size));

	fprintf(out, "{\"number\": %" PRIu64 ", \"item\": ", i->number);
	print_fields(out, i);
	fprintf(out, ", \"id\": %" PRIu64 ", \"status\": %d, ", i->id, outcome_status(i->outcome));
	if (futured_reply_error(i->outcome, &e)) {
		fputs("\"error\": ", out);
		jsonout_error(out, &e);
	} else {
		fputs("\"value\": ", out);
		jsonout_value(out, futured_reply_value(i->outcome));
	}
	fputs("}\n", out);
	if (fclose(out) != 0)
		need(NULL);
	put(m, &m->out, text, size);
	free(text);
}

static bool
put_piece(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data)
{
	struct map *m = data;
	struct sink *s = strcmp(stream, "stderr") == 0 ? &m->err : &m->out;

	(void)f;
	(void)offset;
	put(m, s, bytes, len);
	sink_drain(s);
	return !s->gone;
}

/* What was too long for the outcome is fetched piece by piece, as far as it was kept. */
static void
print_long(struct map *m, const struct item *i, const char *stream, const struct sink *s, uint64_t total)
{
	struct printed_sizes sizes = { .total = total };

	printed_each(m->f, i->id, stream, &sizes.kept, put_piece, m);
	if (s->gone || sizes.kept >= total)
		return;
	progress_break(&m->progress);
	if (m->cut++ < CUTS_SHOWN)
		printed_is_cut(m->f, i->id, stream, sizes);
}

static void
print_value(struct map *m, const struct item *i)
{
	char *text = NULL;
	const char *s;
	size_t size;
	FILE *out;

	if (futured_value_text(futured_reply_value(i->outcome), &s, &size)) {
		put(m, &m->out, s, size);
		put(m, &m->out, "\n", 1);
		return;
	}
	out = need(open_memstream(&text, &size));
	jsonout_value(out, futured_reply_value(i->outcome));
	fputc('\n', out);
	if (fclose(out) != 0)
		need(NULL);
	put(m, &m->out, text, size);
	free(text);
}

static void
print_item(struct map *m, struct item *i)
{
	struct futured_error e;
	struct printed p;

	if (i->dropped || (i->id == 0 && !m->f->json)) /* a refusal of several is said once */
		return;
	if (futured_reply_error(i->outcome, &e))
		note_failure(m, i, &e);
	if (m->f->json) {
		print_json(m, i);
		return;
	}
	if (!outcome_printed(i->outcome, &p)) {
		if (e.status == FUTURED_OK)
			print_value(m, i);
		return;
	}
	if (p.out_cut > 0)
		print_long(m, i, "stdout", &m->out, p.out_len + p.out_cut);
	else
		put(m, &m->out, p.out, p.out_len);
	if (p.err_cut > 0)
		print_long(m, i, "stderr", &m->err, p.err_len + p.err_cut);
	else
		put(m, &m->err, p.err, p.err_len);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void
map_release(struct map *m, bool all)
{
	struct futured_pack *p;

	if (m->releases > 0 && (all || m->releases == RELEASE_AT) && !m->lost) {
		qsort(m->release, m->releases, sizeof m->release[0], by_value);
		p = need(futured_pack_new());
		futured_pack_ids(p, m->release, m->releases);
		futured_request(m->f->c, "release", p, NULL, NULL, NULL);
		futured_pack_free(p);
		m->releases = 0;
	}
	while (all && futured_waiting(m->f->c) > 0)
		if (futured_step(m->f->c, 5) != FUTURED_OK)
			break;
}

static void
item_free(struct map *m, struct item *i)
{
	if (i->outcome != NULL && futured_reply_status(i->outcome) == FUTURED_OK && i->id > 0 && !m->keep) {
		map_release(m, false);
		m->release[m->releases++] = i->id;
	}
	futured_reply_free(i->outcome);
	free(i->command);
	free(i);
}

void
map_print(struct map *m)
{
	struct item **at = &m->first, *i;

	sink_flush(&m->out);
	sink_flush(&m->err);
	while ((i = *at) != NULL && m->held > 0 && sink_waiting(&m->out) < SINK_HIGH && sink_waiting(&m->err) < SINK_HIGH) {
		if (i->outcome == NULL) {
			if (!m->as_completed)
				return;
			at = &i->next;
			continue;
		}
		m->held--;
		m->held_bytes -= i->size;
		print_item(m, i);
		if ((*at = i->next) == NULL)
			m->last = at;
		item_free(m, i);
	}
}

/* The options with which a list has what was run here, and little else. */
static void
print_filter(const struct map *m)
{
	if (strcmp(m->pool, "shell") != 0) {
		fputs(" -p ", stderr);
		text_shell_word(stderr, m->pool, strlen(m->pool));
	}
	if (m->task->tag_count > 0) {
		fputs(" -T ", stderr);
		text_shell_word(stderr, m->task->tags[0], strlen(m->task->tags[0]));
	}
}

static void
show_failures(struct map *m)
{
	uint64_t more = m->failed > FAILURES_SHOWN ? m->failed - FAILURES_SHOWN : 0;

	fut_note(m->f, "%" PRIu64 " of %" PRIu64 " failed:", m->failed, m->done);
	for (size_t n = 0; n < FAILURES_SHOWN && m->failure[n].item != NULL; n++) {
		fprintf(stderr, "  %s%" PRIu64 "%s  %s: ", paint_code(m->f->paint_err, PAINT_BOLD), m->failure[n].id,
			paint_end(m->f->paint_err), m->failure[n].item);
		text_visible(stderr, m->failure[n].words, strlen(m->failure[n].words), TEXT_LINE);
		fputc('\n', stderr);
	}
	if (more > 0) {
		fprintf(stderr, "  and %" PRIu64 " more; `fut ls", more);
		print_filter(m);
		fputs(" -s failed` lists them\n", stderr);
	}
	if (m->hint != NULL)
		fut_note(m->f, "%s", m->hint);
}

/* -q leaves the notes out, not the errors. */
static void
say_errors(struct map *m)
{
	for (size_t n = 0; n < FAILURES_SHOWN && m->failure[n].item != NULL; n++)
		if (!m->failure[n].plain)
			fut_say(m->f, "%s: %s", m->failure[n].item, m->failure[n].words);
}

/* After ^C and the like; a reader that has left wants no words. */
static void
say_cancelled(struct map *m)
{
	if (m->signal == SIGPIPE)
		return;
	progress_break(&m->progress);
	fut_note(m->f, "%" PRIu64 " cancelled, %" PRIu64 " done", m->dropped, m->done);
}

void
map_summary(struct map *m)
{
	if (m->cut > CUTS_SHOWN || (m->failed > 0 && m->failure[0].item != NULL) || m->halted)
		progress_break(&m->progress);
	if (m->cut > CUTS_SHOWN)
		fut_say(m->f, "%" PRIu64 " more were cut", m->cut - CUTS_SHOWN);
	if (m->f->json)
		return;
	if (m->signal != 0)
		say_cancelled(m);
	else if (m->failed > 0 && m->f->quiet)
		say_errors(m);
	else if (m->failed > 0 && m->failure[0].item != NULL)
		show_failures(m);
	if (m->f->quiet || m->signal != 0)
		return;
	if (!m->halted)
		return;
	if (m->items.total > 0)
		fut_note(m->f, "stopped early, as --halt says: %" PRIu64 " of %" PRIu64 " items were run", m->done, m->items.total - m->skipped);
	else
		fut_note(m->f, "stopped early, as --halt says: %" PRIu64 " items were run", m->done);
}

void
map_clear(struct map *m)
{
	struct block *b;
	struct item *i;

	joblog_free(m->joblog);
	futured_reply_free(m->refusal);
	futured_reply_free(m->full);
	free(m->slots);
	m->keep = true; /* nothing more is released */
	while ((i = m->first) != NULL) {
		m->first = i->next;
		item_free(m, i);
	}
	while ((b = m->blocks) != NULL || (b = m->again) != NULL) {
		*(m->blocks != NULL ? &m->blocks : &m->again) = b->next;
		free(b);
	}
	for (size_t n = 0; n < FAILURES_SHOWN; n++) {
		free(m->failure[n].item);
		free(m->failure[n].words);
	}
	futured_options_free(m->options);
	futured_pack_free(m->scratch);
	futured_pack_free(m->params);
	sink_free(&m->out);
	sink_free(&m->err);
	template_free(&m->template);
	items_free(&m->items);
}

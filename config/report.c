/* Why a list: see report.h. Running out of memory while reporting is itself reported, in one line without allocation. */
#include "config/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

enum { QUOTE_SHOWN = 40 };

struct mistake {
	size_t line;
	size_t col;
	size_t order; /* as found: qsort is not stable */
	char *text;   /* "key: expected …" */
};

void
report_init(struct report *r, const char *file)
{
	memset(r, 0, sizeof(*r));
	r->file = file;
}

void
report_clear(struct report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		free(r->item[i].text);
	free(r->item);
	report_init(r, r->file);
}

bool
report_is_empty(const struct report *r)
{
	return !r->count && !r->no_memory;
}

void
report_add(struct report *r, size_t line, size_t col, const char *key, const char *fmt, ...)
{
	char text[1024];
	struct mistake *grown;
	va_list args;
	int n;

	if (r->count == REPORT_MAX) {
		r->more++;
		return;
	}
	n = snprintf(text, sizeof(text), "%.*s%s", REPORT_KEY, key, *key ? ": " : "");
	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	grown = memory_grow(r->item, r->count, &r->cap, sizeof(*grown));
	if (!grown) {
		r->no_memory = true;
		return;
	}
	r->item = grown;
	grown += r->count;
	*grown = (struct mistake){line, col, r->count, memory_text(text, strlen(text))};
	if (!grown->text)
		r->no_memory = true;
	else
		r->count++;
}

static int
mistake_compare(const void *left, const void *right)
{
	const struct mistake *a = left, *b = right;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

void
report_write(struct report *r, FILE *out)
{
	size_t i;

	if (r->count)
		qsort(r->item, r->count, sizeof(*r->item), mistake_compare);
	for (i = 0; i < r->count; i++) {
		const struct mistake *m = &r->item[i];

		if (m->line)
			fprintf(out, "%s:%zu:%zu: %s\n", r->file, m->line, m->col, m->text);
		else
			fprintf(out, "%s: %s\n", r->file, m->text);
	}
	if (r->more)
		fprintf(out, "%s: and %zu more mistakes\n", r->file, r->more);
	if (r->no_memory)
		fprintf(out, "%s: out of memory\n", r->file);
}

/* Writes the bytes made visible, at most QUOTE_SHOWN of them, and an ellipsis where cut; returns the end. */
static char *
show(char *out, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len && i < QUOTE_SHOWN; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f) {
			*out++ = (char)c;
			continue;
		}
		*out++ = '\\';
		*out++ = 'x';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	if (i < len) {
		memcpy(out, "...", 3);
		out += 3;
	}
	*out = '\0';
	return out;
}

const char *
report_quote(char *out, const char *text, size_t len)
{
	char *end;

	out[0] = '\'';
	end = show(out + 1, text, len);
	end[0] = '\'';
	end[1] = '\0';
	return out;
}

void
report_key(char *path, const char *part, size_t len)
{
	char shown[REPORT_QUOTE];
	size_t used = strlen(path);

	if (len)
		show(shown, part, len);
	else
		memcpy(shown, "''", sizeof("''"));
	snprintf(path + used, REPORT_KEY - used, "%s%s", used ? "." : "", shown);
}

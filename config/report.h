/* The mistakes found in one file: collected as they are met, written in the order of the file.
 *
 * The YAML reader and the checks run one after the other, so mistakes arrive out of order; a person mends a file from
 * the top. Text that comes from the file is quoted with its control characters made visible. */
#ifndef FUTURED_CONFIG_REPORT_H
#define FUTURED_CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	REPORT_MAX = 1000,  /* mistakes kept; the rest are counted */
	REPORT_QUOTE = 200, /* bytes that hold any quoted text */
	REPORT_KEY = 256,   /* bytes that hold any key's path */
};

struct mistake;

struct report {
	const char *file; /* borrowed; stands before each line */
	struct mistake *item;
	size_t count;
	size_t cap;
	size_t more;    /* beyond REPORT_MAX */
	bool no_memory; /* an allocation failed, here or in a caller that set this */
};

void report_init(struct report *r, const char *file);
void report_clear(struct report *r);
/* One mistake. line, col: from 1; line 0: of the whole file. key: its path, "" for none. */
void report_add(struct report *r, size_t line, size_t col, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
bool report_is_empty(const struct report *r);
/* Writes all, one line each. */
void report_write(struct report *r, FILE *out);

/* Writes 'text' with quotes, cut after 40 bytes, control characters and bytes that are no ASCII as \xNN. Returns out,
 * which has REPORT_QUOTE bytes. */
const char *report_quote(char *out, const char *text, size_t len);
/* Appends a part to a key's path of REPORT_KEY bytes: a dot where needed, then the part made visible and cut. */
void report_key(char *path, const char *part, size_t len);

#endif

/* Lists and pages: the daemon's maps as a table or a page for a person, or as JSON for a program. The verbs say which columns they
 * like; everything else about looks is here. */
#ifndef FUT_WRITER_H
#define FUT_WRITER_H

#include "client/fut/fut.h"

struct column {
	const char *title;
	/* Writes the cell for this map; *paint may be set. Returns new text, NULL for none. */
	char *(*cell)(struct futured_value map, enum paint *paint);
	bool right; /* numbers */
	bool flex;  /* gives way when the terminal is narrow */
	int drop;   /* goes when that is not enough: the highest first, then the last; the first column stays */
};

/* Prints an array of maps: with --json one object per line, else a table, with `none` (on stderr) if it is empty. */
void writer_table(struct fut *f, const struct column *columns, struct futured_value array, const char *none);
/* The same from several arrays, as pages of a list come: add rows, then end. */
struct table;
struct table *table_new(struct fut *f, const struct column *columns);
void table_add(struct table *t, struct futured_value map);
/* Each row is printed over what was on its line before: for a screen that is drawn again and again. */
void table_redraw(struct table *t);
/* The rows from this one on, the other way round. */
void table_reverse(struct table *t, size_t from);
size_t table_rows(const struct table *t);
/* Prints and frees. */
void table_end(struct table *t, const char *none);

/* A page of one map: with --json the object, else a line per field: first those of `order` (NULL-terminated), then the others. */
void writer_page(struct fut *f, struct futured_value map, const char *const *order);
/* A line per field that is not one of `told` (NULL-terminated). */
void writer_rest(struct fut *f, struct futured_value map, const char *const *told);
/* One JSON object and a newline. */
void writer_object(struct futured_value v);

/* Cells that many tables share. */
char *cell_text(struct futured_value map, const char *key);
char *cell_number(struct futured_value map, const char *key);
char *cell_since(struct futured_value map, const char *key);
/* "FINISHED" and what became of it, coloured. */
char *cell_state(struct futured_value map, enum paint *paint);
/* How wide stdout is; 0: not a terminal. */
size_t writer_width(const struct fut *f);
/* How high; 24 where that is not known. */
size_t writer_height(void);

#endif

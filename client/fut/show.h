/* Values and pages on stdout. */
#ifndef FUT_SHOW_H
#define FUT_SHOW_H

#include "client/fut/fut.h"

/* Prints a task's value: with --json as JSON; else a string or bytes as they are (bytes on a terminal get a hint), anything else as
 * JSON. */
void show_value(struct fut *f, struct futured_value v);
/* Raw bytes, colours and all, or on a terminal a hint if they are no text. `id`: of the command that printed them; 0: of none. */
void show_bytes(struct fut *f, uint64_t id, const void *bytes, size_t len);

/* Writes a field of a map in a person's words: "3 min ago", "12.4 MiB". The caller frees. */
char *show_time(double unix_seconds);
char *show_span(double seconds);
/* To the second, "1 h 30 min"; below a minute to the millisecond. */
char *show_span_exactly(double seconds);
char *show_size(double bytes);
/* 1,234,567 */
char *show_count(uint64_t n);
/* 3-5,9 as ids are written on a command line; sorts them. Of many runs only the first. */
char *show_ids(uint64_t *ids, size_t n);

#endif

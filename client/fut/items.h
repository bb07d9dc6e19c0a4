/* What map works on: operands, files, lines of stdin as they come, or all combinations of several of these.
 *
 *	::: A B      a source: these words          :::+ C D     the same, going along with the source before it
 *	:::: F       a source: the lines of F       ::::+ F      …
 *
 * An item is one field of each source; the last source changes fastest. Sources that go along change together, and the shortest of them
 * ends them all. One stream alone (stdin, or one file) is read as it is needed; everything else is read first. */
#ifndef FUT_ITEMS_H
#define FUT_ITEMS_H

#include "client/fut/fut.h"
#include "client/fut/template.h"

struct source {
	struct field *values;
	size_t count;
	bool along;  /* changes together with the one before it */
	bool owned;  /* the values' bytes are ours */
};

struct items {
	struct source *sources; /* none: a stream */
	size_t source_count;
	struct field *fields;   /* of the item just taken */
	size_t field_cap;
	uint64_t at;            /* combinations taken */
	int fd;                 /* the stream; -1: none */
	char separator;         /* of the stream */
	const char *columns;    /* separates the fields of a line; NULL: one field */
	char *data;      /* read and not yet taken, from `begin` on */
	size_t begin, len, cap;
	bool ended;      /* nothing more will come from the stream */
	uint64_t taken;
	uint64_t total;  /* 0: not known yet */
};

/* How many words stand in front of the first ::: or the like. */
int items_before(char **operands, int count);
/* `operands` begin with ::: or the like, or there are none: stdin. False: said. */
bool items_init(struct items *it, struct fut *f, char **operands, int count, char separator, const char *columns);
void items_free(struct items *it);
/* How many fields every item has; 0: that depends on the item. */
int items_fields(const struct items *it);
/* Whether stdin is read. */
bool items_from_stdin(const struct items *it);
/* Takes the next that is there now; its fields stay good until the next call. */
bool items_next(struct items *it, const struct field **fields, int *count);
/* Whether one is there now. */
bool items_ready(struct items *it);
/* Whether there will be none any more. */
bool items_over(struct items *it);
/* To be polled for reading; -1: nothing more will come, or enough has been read ahead. */
int items_fd(const struct items *it);
/* Reads more; false if the stream cannot be read or a line is too long (said). */
bool items_read(struct items *it, struct fut *f);

#endif

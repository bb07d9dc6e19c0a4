/* YAML text as a tree of what was written where: scalars, lists, maps, each with its line and column.
 *
 * Knows nothing of the keys. Refuses what makes YAML dangerous or ambiguous: anchors, aliases, tags, directives, more than
 * one document, duplicate keys, nesting over 16. */
#ifndef FUTURED_CONFIG_TREE_H
#define FUTURED_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/report.h"

enum {
	TREE_BYTES_MAX = 1 << 20,
	TREE_DEPTH_MAX = 16,
	TREE_VALUES_MAX = 1 << 16, /* bounds the memory: a node per two bytes otherwise */
};

enum node_type {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
	NODE_BAD, /* a mistake was reported for it; pass over it in silence */
};

struct node {
	enum node_type type;
	bool plain;        /* scalar: without quotes, so null, true and 1 are no strings */
	size_t line;       /* from 1 */
	size_t col;
	char *text;        /* scalar: owned, terminated; may have NULs inside */
	size_t len;
	struct node *item; /* list: elements; map: key, value, key, value, … (owned) */
	size_t count;      /* of items: even for a map */
	size_t cap;
};

/* Reads one document. False if it could not be read to its end (a mistake was reported); other mistakes leave a
 * NODE_BAD. *root is a plain empty scalar if there is nothing in the text; the caller clears it in any case. */
bool tree_parse(const char *text, size_t len, struct node *root, struct report *report);
void node_clear(struct node *n);

/* Plain and empty, ~ or null. */
bool node_is_null(const struct node *n);
/* What it is, for "got …": a quoted scalar, "a list", "a map", "nothing". Returns out (REPORT_QUOTE bytes). */
const char *node_show(const struct node *n, char *out);

#endif

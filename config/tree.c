/* Builds the tree from libyaml's events.
 *
 * Not from its documents: libyaml recurses for those and has no bound on depth, and 200 KB of '[' cost it 43 s. With
 * events we stop at the 17th level. A stack holds the containers that are open; one that ends moves into its parent.
 * Directives are refused before libyaml sees them, for it compares each %TAG with all others. */
#include "config/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/memory.h"

struct builder {
	struct node open[TREE_DEPTH_MAX];
	size_t depth;
	size_t values;
	size_t documents;
	struct node *root;
	struct report *report;
};

void
node_clear(struct node *n)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		node_clear(&n->item[i]);
	free(n->item);
	free(n->text);
	memset(n, 0, sizeof(*n));
}

bool
node_is_null(const struct node *n)
{
	return n->type == NODE_SCALAR && n->plain &&
		(!n->len || !strcmp(n->text, "~") || !strcmp(n->text, "null") || !strcmp(n->text, "Null") ||
		 !strcmp(n->text, "NULL"));
}

const char *
node_show(const struct node *n, char *out)
{
	if (n->type == NODE_LIST)
		return "a list";
	if (n->type == NODE_MAP)
		return "a map";
	if (n->plain && !n->len)
		return "nothing";
	return report_quote(out, n->text, n->len);
}

/* The path of the place that is being read. */
static void
builder_path(const struct builder *b, char *path)
{
	size_t i;

	path[0] = '\0';
	for (i = 0; i < b->depth; i++) {
		const struct node *n = &b->open[i];
		const struct node *key = n->count ? &n->item[n->count - 1] : NULL;

		if (n->type == NODE_MAP && n->count % 2 && key->type == NODE_SCALAR)
			report_key(path, key->text, key->len);
	}
}

static void
builder_complain(struct builder *b, const yaml_mark_t *mark, const char *message)
{
	char path[REPORT_KEY];

	builder_path(b, path);
	report_add(b->report, mark->line + 1, mark->column + 1, path, "%s", message);
}

/* Takes the node; it becomes the root or part of the innermost open container. */
static bool
builder_add(struct builder *b, struct node *n)
{
	struct node *parent, *grown;

	if (!b->depth) {
		*b->root = *n;
		return true;
	}
	parent = &b->open[b->depth - 1];
	grown = memory_grow(parent->item, parent->count, &parent->cap, sizeof(*grown));
	if (!grown) {
		b->report->no_memory = true;
		node_clear(n);
		return false;
	}
	parent->item = grown;
	grown[parent->count++] = *n;
	return true;
}

static int
key_compare(const void *left, const void *right)
{
	const struct node *a = *(struct node *const *)left, *b = *(struct node *const *)right;
	int order;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	order = memcmp(a->text, b->text, a->len);
	if (order)
		return order;
	return a < b ? -1 : 1;
}

/* Reports the keys that a map has twice; the later ones and their values become NODE_BAD. Sorts, since a map may have
 * tens of thousands. */
static bool
builder_find_duplicates(struct builder *b, struct node *map)
{
	struct node **key;
	size_t i, n = 0;

	if (map->count < 4)
		return true;
	key = memory_new(map->count / 2 * sizeof(struct node *));
	if (!key) {
		b->report->no_memory = true;
		return false;
	}
	for (i = 0; i < map->count; i += 2)
		if (map->item[i].type == NODE_SCALAR)
			key[n++] = &map->item[i];
	if (n)
		qsort(key, n, sizeof(struct node *), key_compare);
	for (i = 1; i < n; i++) {
		struct node *first = key[i - 1], *again = key[i];
		char path[REPORT_KEY];

		if (first->len != again->len || memcmp(first->text, again->text, again->len) != 0)
			continue;
		builder_path(b, path);
		report_key(path, again->text, again->len);
		report_add(b->report, again->line, again->col, path, "expected a key once, got it again (first on line %zu)",
			first->line);
		again[0].type = NODE_BAD;
		again[1].type = NODE_BAD;
	}
	free(key);
	return true;
}

static bool
builder_open(struct builder *b, enum node_type type, const yaml_mark_t *mark)
{
	if (b->depth == TREE_DEPTH_MAX) {
		builder_complain(b, mark, "expected nesting of at most 16 levels, got more");
		return false;
	}
	b->open[b->depth++] = (struct node){.type = type, .line = mark->line + 1, .col = mark->column + 1};
	return true;
}

static bool
builder_close(struct builder *b)
{
	struct node n = b->open[--b->depth];

	if (n.type == NODE_MAP && !builder_find_duplicates(b, &n)) {
		node_clear(&n);
		return false;
	}
	return builder_add(b, &n);
}

static bool
builder_scalar(struct builder *b, const yaml_event_t *e)
{
	struct node n = {
		.type = NODE_SCALAR,
		.plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
		.line = e->start_mark.line + 1,
		.col = e->start_mark.column + 1,
		.len = e->data.scalar.length,
	};

	n.text = memory_text((const char *)e->data.scalar.value, n.len);
	if (!n.text) {
		b->report->no_memory = true;
		return false;
	}
	return builder_add(b, &n);
}

/* Anchors and tags mean nothing here; the value under them is still checked, so that its mistakes are reported too. */
static void
builder_refuse_marks(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		builder_complain(b, &e->start_mark, "expected a value without an anchor, got one (&)");
	if (tag)
		builder_complain(b, &e->start_mark, "expected a value without a tag, got one (!)");
}

static bool
builder_value(struct builder *b, const yaml_event_t *e)
{
	struct node bad = {.type = NODE_BAD, .line = e->start_mark.line + 1, .col = e->start_mark.column + 1};

	if (++b->values > TREE_VALUES_MAX) {
		builder_complain(b, &e->start_mark, "expected at most 65536 values in a file, got more");
		return false;
	}
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		builder_complain(b, &e->start_mark, "expected a value, got an alias (*)");
		return builder_add(b, &bad);
	case YAML_SEQUENCE_START_EVENT:
		builder_refuse_marks(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		return builder_open(b, NODE_LIST, &e->start_mark);
	case YAML_MAPPING_START_EVENT:
		builder_refuse_marks(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		return builder_open(b, NODE_MAP, &e->start_mark);
	default:
		builder_refuse_marks(b, e, e->data.scalar.anchor, e->data.scalar.tag);
		return builder_scalar(b, e);
	}
}

/* False: stop reading. */
static bool
builder_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++) {
			builder_complain(b, &e->start_mark, "expected one document, got another (---)");
			return false;
		}
		return true;
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return builder_value(b, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return builder_close(b);
	default:
		return true;
	}
}

/* What libyaml says about text that is not YAML. It knows no line for bytes that are no characters. */
static void
builder_parser_failed(struct builder *b, const yaml_parser_t *p, const char *text, size_t len)
{
	yaml_mark_t mark = p->problem_mark;
	char message[256];
	size_t i;

	if (p->error == YAML_MEMORY_ERROR) {
		b->report->no_memory = true;
		return;
	}
	if (p->error == YAML_READER_ERROR) {
		memset(&mark, 0, sizeof(mark));
		for (i = 0; i < p->problem_offset && i < len; i++) {
			mark.column++;
			if (text[i] == '\n') {
				mark.line++;
				mark.column = 0;
			}
		}
	}
	if (p->error != YAML_READER_ERROR && p->context)
		snprintf(message, sizeof(message), "expected YAML, got an error: %s, %s that began on line %zu", p->problem,
			p->context, p->context_mark.line + 1);
	else
		snprintf(message, sizeof(message), "expected YAML, got an error: %s", p->problem ? p->problem : "unknown");
	builder_complain(b, &mark, message);
}

/* Whether a line begins at text[i], by what libyaml takes for the end of one: also U+0085, U+2028 and U+2029. */
static bool
is_line_start(const char *text, size_t i)
{
	if (i == 0 || text[i - 1] == '\n' || text[i - 1] == '\r')
		return true;
	if (i >= 2 && !memcmp(text + i - 2, "\xc2\x85", 2))
		return true;
	return i >= 3 && (!memcmp(text + i - 3, "\xe2\x80\xa8", 3) || !memcmp(text + i - 3, "\xe2\x80\xa9", 3));
}

/* A line that begins with %: outside of a document's text it is a directive. */
static bool
has_directive(const char *text, size_t len, struct report *report)
{
	size_t i, line = 1;

	for (i = 0; i < len; i++) {
		if (text[i] == '%' && is_line_start(text, i)) {
			report_add(report, line, 1, "", "expected YAML without directives, got a line that begins with %%");
			return true;
		}
		line += text[i] == '\n';
	}
	return false;
}

bool
tree_parse(const char *text, size_t len, struct node *root, struct report *report)
{
	struct builder b = {.root = root, .report = report};
	yaml_parser_t parser;
	yaml_event_t event;
	bool more = true, whole = false;

	*root = (struct node){.type = NODE_SCALAR, .plain = true, .line = 1, .col = 1};
	if (has_directive(text, len, report))
		return false;
	if (!yaml_parser_initialize(&parser)) {
		report->no_memory = true;
		return false;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (more) {
		if (!yaml_parser_parse(&parser, &event)) {
			builder_parser_failed(&b, &parser, text, len);
			break;
		}
		whole = event.type == YAML_STREAM_END_EVENT;
		more = builder_event(&b, &event) && !whole;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	while (b.depth)
		node_clear(&b.open[--b.depth]);
	return whole;
}

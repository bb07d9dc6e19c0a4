/* Tables and pages. */
#include "client/fut/writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client/fut/json.h"
#include "client/fut/show.h"
#include "client/fut/text.h"

enum { COLUMNS_MAX = 12, FLEX_MIN = 12 };
#define NO_ROOM SIZE_MAX

struct cell {
	char *text;
	enum paint paint;
};

struct table {
	struct fut *f;
	const struct column *columns;
	size_t count;
	struct cell *cells; /* count a row */
	size_t rows;
	const char *eol;
};

size_t
writer_width(const struct fut *f)
{
	const char *env = getenv("COLUMNS");
	struct winsize w;

	if (!f->tty_out)
		return 0;
	if (env != NULL && atoi(env) > 0)
		return (size_t)atoi(env);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		return w.ws_col;
	return 80;
}

size_t
writer_height(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 ? w.ws_row : 24;
}

void
writer_object(struct futured_value v)
{
	jsonout_value(stdout, v);
	fputc('\n', stdout);
}

struct table *
table_new(struct fut *f, const struct column *columns)
{
	struct table *t = need(calloc(1, sizeof *t));

	t->f = f;
	t->columns = columns;
	t->eol = "\n";
	while (columns[t->count].title != NULL && t->count < COLUMNS_MAX)
		t->count++;
	return t;
}

void
table_add(struct table *t, struct futured_value map)
{
	if (t->f->json) {
		writer_object(map);
		t->rows++;
		return;
	}
	if ((t->rows & (t->rows + 1)) == 0) /* at powers of two, room for as many again */
		t->cells = need(realloc(t->cells, (2 * t->rows + 2) * t->count * sizeof *t->cells));
	for (size_t i = 0; i < t->count; i++) {
		struct cell *c = &t->cells[t->rows * t->count + i];
		char *text;

		c->paint = PAINT_NONE;
		text = t->columns[i].cell(map, &c->paint);
		c->text = text != NULL ? text_escape(text, strlen(text), TEXT_LINE) : need(strdup(""));
		free(text);
	}
	t->rows++;
}

void
table_redraw(struct table *t)
{
	t->eol = "\033[K\n";
}

void
table_reverse(struct table *t, size_t from)
{
	for (size_t a = from, b = t->rows; !t->f->json && a + 1 < b; a++) {
		b--;
		for (size_t i = 0; i < t->count; i++) {
			struct cell c = t->cells[a * t->count + i];

			t->cells[a * t->count + i] = t->cells[b * t->count + i];
			t->cells[b * t->count + i] = c;
		}
	}
}

size_t
table_rows(const struct table *t)
{
	return t->rows;
}

/* A column that there is no room for has the width NO_ROOM. */
static bool
is_last(const struct table *t, const size_t width[], size_t i)
{
	while (++i < t->count)
		if (width[i] != NO_ROOM)
			return false;
	return true;
}

static void
print_cell(const struct table *t, const char *text, const size_t widths[], size_t i, enum paint paint)
{
	const struct column *col = &t->columns[i];
	size_t width = widths[i], used = text_width(text), pad = used < width ? width - used : 0;
	bool cut = used > width, last = is_last(t, widths, i);

	if (width == NO_ROOM)
		return;
	if (col->right)
		printf("%*s", (int)pad, "");
	fputs(paint_code(t->f->paint_out && paint != PAINT_NONE, paint), stdout);
	if (cut)
		printf("%.*s…", (int)text_fit(text, width > 0 ? width - 1 : 0), text);
	else
		fputs(text, stdout);
	fputs(paint_end(t->f->paint_out && paint != PAINT_NONE), stdout);
	if (!col->right && !last)
		printf("%*s", (int)pad, "");
	fputs(last ? t->eol : "  ", stdout);
}

/* Flexible columns give what is lacking, down to `least`. */
static size_t
narrow(const struct table *t, size_t width[], size_t total, size_t most, size_t least)
{
	for (size_t i = t->count; i-- > 0 && total > most;)
		if (t->columns[i].flex && width[i] > least) {
			size_t give = total - most < width[i] - least ? total - most : width[i] - least;

			width[i] -= give;
			total -= give;
		}
	return total;
}

/* The column that goes next; 0: none, for the first stays. */
static size_t
next_to_go(const struct table *t, const size_t width[])
{
	size_t next = 0;

	for (size_t i = 1; i < t->count; i++)
		if (!t->columns[i].flex && width[i] != NO_ROOM && (next == 0 || t->columns[i].drop >= t->columns[next].drop))
			next = i;
	return next;
}

/* The flexible columns give what the terminal lacks; then others go; what those leave, the flexible ones get back. */
static void
fit(const struct table *t, size_t width[])
{
	size_t total = 2 * (t->count - 1), most = writer_width(t->f), natural[COLUMNS_MAX], go;

	for (size_t i = 0; i < t->count; i++)
		total += natural[i] = width[i];
	if (most == 0 || total <= most)
		return;
	total = narrow(t, width, total, most, FLEX_MIN);
	while (total > most && (go = next_to_go(t, width)) > 0) {
		total -= width[go] + 2;
		width[go] = NO_ROOM;
	}
	for (size_t i = 0; i < t->count && total < most; i++)
		if (t->columns[i].flex && width[i] < natural[i]) {
			size_t take = most - total < natural[i] - width[i] ? most - total : natural[i] - width[i];

			width[i] += take;
			total += take;
		}
	narrow(t, width, total, most, 1);
}

static void
print_table(const struct table *t)
{
	size_t width[COLUMNS_MAX];

	for (size_t i = 0; i < t->count; i++) {
		width[i] = text_width(t->columns[i].title);
		for (size_t r = 0; r < t->rows; r++) {
			size_t w = text_width(t->cells[r * t->count + i].text);

			width[i] = w > width[i] ? w : width[i];
		}
	}
	fit(t, width);
	for (size_t i = 0; i < t->count; i++)
		print_cell(t, t->columns[i].title, width, i, PAINT_DIM);
	for (size_t r = 0; r < t->rows; r++)
		for (size_t i = 0; i < t->count; i++)
			print_cell(t, t->cells[r * t->count + i].text, width, i, t->cells[r * t->count + i].paint);
}

void
table_end(struct table *t, const char *none)
{
	if (!t->f->json && t->rows > 0)
		print_table(t);
	else if (t->rows == 0 && !t->f->json && none != NULL)
		fut_note(t->f, "%s", none);
	for (size_t i = 0; !t->f->json && i < t->rows * t->count; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

void
writer_table(struct fut *f, const struct column *columns, struct futured_value array, const char *none)
{
	struct table *t = table_new(f, columns);
	struct futured_value inside, item;
	size_t n;

	if (futured_value_array(array, &n, &inside))
		while (futured_value_next(&inside, &item))
			table_add(t, item);
	table_end(t, none);
}

/* ---- pages ---- */

/* Fields that are points in time, by their names. */
static bool
is_time(const char *key)
{
	static const char *const names[] = { "submitted", "started", "finished", "not_before", "expires", NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		if (strcmp(key, names[i]) == 0)
			return true;
	return false;
}

static bool
is_plain(struct futured_value v)
{
	enum futured_type type = futured_value_type(v);

	return type != FUTURED_TYPE_MAP && type != FUTURED_TYPE_ARRAY;
}

static void
print_value(struct fut *f, const char *key, struct futured_value v)
{
	const char *s;
	char *text;
	double t;
	size_t len;

	if (is_time(key) && futured_value_number(v, &t) && t > 1e8) {
		text = show_time(t);
		fputs(text, stdout);
		free(text);
	} else if (strcmp(key, "mean_run_time") == 0 && futured_value_number(v, &t)) {
		text = show_span(t);
		fputs(text, stdout);
		free(text);
	} else if (strcmp(key, "maxrss") == 0 && futured_value_number(v, &t)) {
		text = show_size(t);
		fputs(text, stdout);
		free(text);
	} else if (futured_value_text(v, &s, &len)) {
		text_visible(stdout, s, len, f->tty_out ? TEXT_LINE : TEXT_LINES);
	} else
		jsonout_value(stdout, v);
}

static void print_map(struct fut *f, struct futured_value map, const char *const *order, int indent);

static void
print_field(struct fut *f, const char *key, struct futured_value v, int indent)
{
	struct futured_value code, message;

	if (futured_value_type(v) == FUTURED_TYPE_NIL)
		return;
	printf("%*s%s%-13s%s ", indent, "", paint_code(f->paint_out, PAINT_DIM), key, paint_end(f->paint_out));
	/* A reason reads best as its sentence. */
	if (futured_value_find(v, "code", &code) && futured_value_find(v, "message", &message)) {
		print_value(f, key, message);
		fputs(" (", stdout);
		print_value(f, key, code);
		puts(")");
		return;
	}
	if (futured_value_type(v) == FUTURED_TYPE_MAP) {
		putchar('\n');
		print_map(f, v, NULL, indent + 2);
		return;
	}
	print_value(f, key, v);
	putchar('\n');
}

static bool
is_in(const char *const *order, struct futured_value key)
{
	for (; order != NULL && *order != NULL; order++)
		if (futured_value_is_str(key, *order))
			return true;
	return false;
}

static void
print_others(struct fut *f, struct futured_value map, const char *const *order, int indent)
{
	struct futured_value inside, k, v;
	const char *s;
	size_t n, len;

	if (!futured_value_map(map, &n, &inside))
		return;
	for (; n > 0 && futured_value_next(&inside, &k) && futured_value_next(&inside, &v); n--) {
		char *key;

		if (is_in(order, k) || !futured_value_text(k, &s, &len))
			continue;
		key = text_escape(s, len, TEXT_LINE);
		print_field(f, key, v, indent);
		free(key);
	}
}

static void
print_map(struct fut *f, struct futured_value map, const char *const *order, int indent)
{
	struct futured_value v;

	for (size_t i = 0; order != NULL && order[i] != NULL; i++)
		if (futured_value_find(map, order[i], &v))
			print_field(f, order[i], v, indent);
	print_others(f, map, order, indent);
}

void
writer_rest(struct fut *f, struct futured_value map, const char *const *told)
{
	print_others(f, map, told, 0);
}

void
writer_page(struct fut *f, struct futured_value map, const char *const *order)
{
	if (f->json || is_plain(map))
		writer_object(map);
	else
		print_map(f, map, order, 0);
}

/* ---- cells ---- */

char *
cell_text(struct futured_value map, const char *key)
{
	const char *s;
	size_t len;

	return futured_find_text(map, key, &s, &len) ? need(strndup(s, len)) : NULL;
}

char *
cell_number(struct futured_value map, const char *key)
{
	char *text = NULL;
	double v;
	int n;

	if (!futured_find_number(map, key, &v))
		return NULL;
	n = asprintf(&text, "%.15g", v);
	return need(n < 0 ? NULL : text);
}

char *
cell_since(struct futured_value map, const char *key)
{
	struct timespec now;
	double t;

	if (!futured_find_number(map, key, &t))
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	return show_span((double)now.tv_sec + (double)now.tv_nsec / 1e9 - t);
}

char *
cell_state(struct futured_value map, enum paint *paint)
{
	struct futured_value state, error;
	bool failed = false;

	if (!futured_value_find(map, "state", &state))
		return NULL;
	if (futured_value_find(map, "error", &error) && futured_value_type(error) != FUTURED_TYPE_NIL)
		failed = true;
	futured_find_bool(map, "failed", &failed);
	if (futured_value_is_str(state, "FINISHED")) {
		*paint = failed ? PAINT_RED : PAINT_GREEN;
		return need(strdup(failed ? "failed" : "finished"));
	}
	if (futured_value_is_str(state, "RUNNING")) {
		*paint = PAINT_CYAN;
		return need(strdup("running"));
	}
	*paint = futured_value_is_str(state, "CANCELLED") ? PAINT_YELLOW : PAINT_NONE;
	return need(strdup(futured_value_is_str(state, "CANCELLED") ? "cancelled" : "pending"));
}

/* How top looks. From above: the daemon, the pools, the tasks, and one line of keys, or of news. Everything is cut to what fits; the
 * chosen row is always on the screen. */
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/fut/show.h"
#include "client/fut/text.h"
#include "client/fut/top.h"

enum tint { TINT_NONE, TINT_RED, TINT_GREEN, TINT_YELLOW, TINT_CYAN };
enum { BAR = 10, POOLS_LEAST = 3 };

static bool on, colors, wide;

static attr_t
tinted(enum tint t)
{
	return colors && t != TINT_NONE ? (attr_t)COLOR_PAIR(t) : 0;
}

bool
top_draw_begin(bool want_colors)
{
	setlocale(LC_CTYPE, "");
	wide = MB_CUR_MAX > 1;
	if (newterm(NULL, stdout, stdin) == NULL)
		return false;
	on = true;
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	colors = want_colors && has_colors() && start_color() == OK;
	if (colors) {
		use_default_colors();
		init_pair(TINT_RED, COLOR_RED, -1);
		init_pair(TINT_GREEN, COLOR_GREEN, -1);
		init_pair(TINT_YELLOW, COLOR_YELLOW, -1);
		init_pair(TINT_CYAN, COLOR_CYAN, -1);
	}
	return true;
}

void
top_draw_end(void)
{
	if (on)
		endwin();
	on = false;
}

void
top_draw_pause(void)
{
	def_prog_mode();
	endwin();
}

void
top_draw_resume(void)
{
	reset_prog_mode();
	raise(SIGWINCH); /* ncurses asks for the size anew, and getch tells of it */
	clearok(curscr, TRUE);
}

/* ---- pieces ---- */

/* Text in a field of `width` columns from x on; returns the column behind it and a gap. */
static int
put(int y, int x, int width, const char *text, bool right, attr_t attr)
{
	int room = COLS - x < width ? COLS - x : width, used = (int)text_width(text), pad;

	if (room <= 0)
		return x + width + 2;
	attron(attr);
	if (used > room) {
		mvaddnstr(y, x, text, (int)text_fit(text, (size_t)room - 1));
		addstr(wide ? "…" : ">");
	} else {
		pad = right ? room - used : 0;
		mvaddstr(y, x + pad, text);
	}
	attroff(attr);
	return x + width + 2;
}

static int
put_number(int y, int x, int width, uint64_t n, attr_t attr)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRIu64, n);
	return put(y, x, width, text, true, attr);
}

static int
put_span(int y, int x, int width, double seconds, attr_t attr)
{
	char *text = show_span(seconds);

	x = put(y, x, width, seconds < 0 ? "" : text, true, attr);
	free(text);
	return x;
}

static int
put_bar(int y, int x, uint64_t full, uint64_t of, attr_t attr)
{
	uint64_t cells = of > 0 ? (full * BAR + of - 1) / of : 0;

	for (int i = 0; i < BAR && x + i < COLS; i++) {
		bool is_full = (uint64_t)i < cells;

		attron(is_full ? attr : A_DIM);
		mvaddstr(y, x + i, is_full ? (wide ? "█" : "#") : (wide ? "░" : "."));
		attroff(is_full ? attr : A_DIM);
	}
	return x + BAR + 1;
}

static void
mark_row(int y, bool chosen, bool focused)
{
	if (chosen)
		mvchgat(y, 0, COLS, focused ? A_REVERSE : A_BOLD, 0, NULL);
}

/* Where to begin so that `chosen` of `count` rows is on a screen of `rows`. */
static size_t
scroll_to(size_t first, size_t chosen, size_t count, int rows)
{
	size_t n = rows > 0 ? (size_t)rows : 1;

	if (chosen < first)
		first = chosen;
	if (chosen >= first + n)
		first = chosen - n + 1;
	if (first + n > count)
		first = count > n ? count - n : 0;
	return first;
}

/* ---- parts ---- */

/* Words with gaps between them, as many as there is room for. */
static void
put_words(int y, int width, int gap, const char *const words[], size_t count)
{
	int x = 0;

	for (size_t i = 0; i < count; i++) {
		int used = (int)text_width(words[i]);

		if (x + used > width)
			break;
		x = put(y, x, used, words[i], false, 0) - 2 + gap;
	}
}

static void
draw_counts(const struct top_look *look, int width)
{
	enum { WORDS = 7, SIZE = 40 };
	char *up = show_span(look->uptime), *rss = show_size(look->rss > 0 ? look->rss : 0), text[WORDS][SIZE];
	const char *words[WORDS];
	double rate = 0;

	for (size_t i = 0; i < look->pool_count; i++)
		rate += look->pools[i].rate > 0 ? look->pools[i].rate : 0;
	snprintf(text[0], SIZE, "%" PRIu64 " running", look->running);
	snprintf(text[1], SIZE, "%" PRIu64 " pending", look->pending);
	snprintf(text[2], SIZE, "%" PRIu64 " finished", look->finished);
	snprintf(text[3], SIZE, "%" PRIu64 " cancelled", look->cancelled);
	snprintf(text[4], SIZE, "%.*f/s", rate < 10, rate);
	snprintf(text[5], SIZE, "%s", rss);
	snprintf(text[6], SIZE, "up %s", up);
	for (size_t i = 0; i < WORDS; i++)
		words[i] = text[i];
	put_words(1, width, 3, words, WORDS);
	free(up);
	free(rss);
}

static void
draw_head(const struct top_screen *s)
{
	char text[40] = "", clock[16];
	time_t now = time(NULL);
	struct tm tm;
	int width = 0;

	localtime_r(&now, &tm);
	strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	put(0, 0, COLS - 10, s->address, false, A_BOLD);
	put(0, COLS - 8, 8, clock, true, 0);
	if (s->look->failures > 0)
		width = snprintf(text, sizeof text, "%" PRIu64 " failed unseen", s->look->failures);
	put(1, COLS > width ? COLS - width : 0, width, text, false, tinted(TINT_RED) | A_BOLD);
	draw_counts(s->look, width > 0 ? COLS - width - 3 : COLS);
}

/* What a narrow screen has no room for: columns go, in this order, until the rest fits. Each has its width and a gap. */
static void
drop_columns(int *const order[], size_t count, int total, int room)
{
	for (size_t i = 0; i < count && total > room; i++) {
		total -= *order[i] + 2;
		*order[i] = 0;
	}
}

/* In a column that may have gone. */
static int
put_column(int y, int x, int width, const char *text, bool right, attr_t attr)
{
	return width > 0 ? put(y, x, width, text, right, attr) : x;
}

/* Widths that depend on what there is. */
struct pool_widths {
	int name, kind, bar, busy, pending, oldest, rate, mean, state;
};

static void
busy_words(const struct top_pool *p, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64 "/%" PRIu64, p->busy, p->workers);
}

static struct pool_widths
pool_widths(const struct top_look *look)
{
	enum { GAPS = 2 * 7 + 1, KIND_LEAST = 7 }; /* between the bar and its figures there is one */
	struct pool_widths w = { 4, 4, BAR, 4, 7, 6, 7, 6, 6 };
	int *const order[] = { &w.mean, &w.rate, &w.kind, &w.oldest, &w.bar };
	char text[64];
	int total, kind;

	for (size_t i = 0; i < look->pool_count; i++) {
		const struct top_pool *p = &look->pools[i];

		busy_words(p, text, sizeof text);
		w.name = (int)text_width(p->name) > w.name ? (int)text_width(p->name) : w.name;
		w.kind = (int)text_width(p->kind) > w.kind ? (int)text_width(p->kind) : w.kind;
		w.busy = (int)strlen(text) > w.busy ? (int)strlen(text) : w.busy;
	}
	w.name = w.name > 16 ? 16 : w.name;
	total = w.name + w.kind + w.bar + w.busy + w.pending + w.oldest + w.rate + w.mean + w.state + GAPS;
	kind = w.kind - (total - COLS) > KIND_LEAST || total <= COLS ? w.kind - (total > COLS ? total - COLS : 0) : KIND_LEAST;
	total -= w.kind - (kind < w.kind ? kind : w.kind);
	w.kind = kind < w.kind ? kind : w.kind;
	drop_columns(order, sizeof order / sizeof order[0], total, COLS);
	return w;
}

/* Without its runtime where both do not fit. */
static int
put_kind(int y, int x, int width, const char *kind)
{
	char text[64];

	snprintf(text, sizeof text, "%.*s", (int)((int)text_width(kind) > width ? strcspn(kind, "/") : strlen(kind)), kind);
	return put(y, x, width, text, false, 0);
}

static int
put_pool_span(int y, int x, int width, double seconds)
{
	return width > 0 ? put_span(y, x, width, seconds, 0) : x;
}

static void
draw_pool(int y, const struct top_pool *p, const struct pool_widths *w)
{
	enum tint tint = p->reason != NULL ? TINT_RED : p->paused ? TINT_YELLOW : TINT_GREEN;
	char text[64];
	int x = put(y, 0, w->name, p->name, false, A_BOLD);

	x = w->kind > 0 ? put_kind(y, x, w->kind, p->kind) : x;
	x = w->bar > 0 ? put_bar(y, x, p->busy, p->workers, tinted(tint)) : x;
	busy_words(p, text, sizeof text);
	x = put(y, x, w->busy, text, false, 0);
	x = put_number(y, x, w->pending, p->pending, 0);
	x = put_pool_span(y, x, w->oldest, p->oldest);
	snprintf(text, sizeof text, "%.*f/s", p->rate < 10, p->rate);
	x = put_column(y, x, w->rate, p->rate < 0 ? "" : text, true, 0);
	x = put_pool_span(y, x, w->mean, p->mean);
	put(y, x, w->state, p->reason != NULL ? "broken" : p->paused ? "paused" : "ready", false, tinted(tint));
}

static int
draw_pools(struct top_screen *s, int y, int rows)
{
	const struct top_look *look = s->look;
	struct pool_widths w = pool_widths(look);
	int x = put(y, 0, w.name, "POOL", false, A_DIM);

	x = put_column(y, x, w.kind, "KIND", false, A_DIM);
	x = put(y, x, (w.bar > 0 ? w.bar + 1 : 0) + w.busy, "BUSY", false, A_DIM);
	x = put(y, x, w.pending, "PENDING", true, A_DIM);
	x = put_column(y, x, w.oldest, "OLDEST", true, A_DIM);
	x = put_column(y, x, w.rate, "RATE", true, A_DIM);
	x = put_column(y, x, w.mean, "MEAN", true, A_DIM);
	put(y, x, w.state, "STATE", false, A_DIM);
	s->first_pool = scroll_to(s->first_pool, s->pool, look->pool_count, rows);
	for (int i = 0; i < rows && s->first_pool + (size_t)i < look->pool_count; i++) {
		size_t n = s->first_pool + (size_t)i;

		draw_pool(y + 1 + i, &look->pools[n], &w);
		mark_row(y + 1 + i, n == s->pool, s->focus == FOCUS_POOLS);
	}
	return y + 1 + rows;
}

struct task_widths {
	int id, pool, state, age, cpu, memory;
};

static struct task_widths
task_widths(const struct top_look *look)
{
	enum { TITLE_LEAST = 16 };
	struct task_widths w = { 3, 4, 7, 6, 5, 9 };
	int *const order[] = { &w.memory, &w.pool, &w.cpu, &w.age };

	for (size_t i = 0; i < look->task_count; i++) {
		char text[32];
		int n = snprintf(text, sizeof text, "%" PRIu64, look->tasks[i].id);

		w.id = n > w.id ? n : w.id;
		n = (int)text_width(look->tasks[i].pool);
		w.pool = n > w.pool ? n : w.pool;
	}
	w.pool = w.pool > 12 ? 12 : w.pool;
	drop_columns(order, sizeof order / sizeof order[0], w.id + w.pool + w.state + w.age + w.cpu + w.memory + 2 * 6 + TITLE_LEAST, COLS);
	return w;
}

static void
draw_task(int y, const struct top_task *t, const struct task_widths *w)
{
	char text[64], *memory = show_size(t->memory > 0 ? t->memory : 0);
	int x = put_number(y, 0, w->id, t->id, A_BOLD);

	x = put_column(y, x, w->pool, t->pool, false, 0);
	x = put(y, x, w->state, t->running ? "running" : "pending", false, t->running ? tinted(TINT_CYAN) : 0);
	x = w->age > 0 ? put_span(y, x, w->age, t->age, 0) : x;
	snprintf(text, sizeof text, "%.0f%%", t->cpu * 100);
	x = put_column(y, x, w->cpu, t->cpu < 0 ? "" : text, true, 0);
	x = put_column(y, x, w->memory, t->memory < 0 ? "" : memory, true, 0);
	put(y, x, COLS - x, t->title, false, 0);
	free(memory);
}

static void
draw_tasks(struct top_screen *s, int y, int rows)
{
	const struct top_look *look = s->look;
	struct task_widths w = task_widths(look);
	int x = put(y, 0, w.id, "ID", true, A_DIM);

	x = put_column(y, x, w.pool, "POOL", false, A_DIM);
	x = put(y, x, w.state, "STATE", false, A_DIM);
	x = put_column(y, x, w.age, "AGE", true, A_DIM);
	x = put_column(y, x, w.cpu, "CPU", true, A_DIM);
	x = put_column(y, x, w.memory, "MEMORY", true, A_DIM);
	put(y, x, COLS - x, "TASK", false, A_DIM);
	if (look->task_count == 0)
		put(y + 1, 0, COLS, "nothing runs and nothing waits", false, A_DIM);
	s->first_task = scroll_to(s->first_task, s->task, look->task_count, rows);
	for (int i = 0; i < rows && s->first_task + (size_t)i < look->task_count; i++) {
		size_t n = s->first_task + (size_t)i;

		draw_task(y + 1 + i, &look->tasks[n], &w);
		mark_row(y + 1 + i, n == s->task, s->focus == FOCUS_TASKS);
	}
}

/* As many keys as there is room for, and the last, which tells the others, in any case. */
static void
draw_keys(const char *const keys[])
{
	const char *shown[16];
	size_t count = 0, last = 0;
	int used;

	while (keys[last + 1] != NULL)
		last++;
	used = (int)text_width(keys[last]);
	while (count < last && (used += (int)text_width(keys[count]) + 2) <= COLS) {
		shown[count] = keys[count];
		count++;
	}
	shown[count++] = keys[last];
	attron(A_DIM);
	put_words(LINES - 1, COLS, 2, shown, count);
	attroff(A_DIM);
}

static void
draw_foot(const struct top_screen *s)
{
	static const char *const output[] = { "q back", "↑↓ scroll", "End follow", "Tab the other stream", "c cancel", "k kill", "? help", NULL };
	static const char *const pools[] = { "q quit", "Tab tasks", "↑↓ choose", "p pause/resume", "+ - workers", "? help", NULL };
	static const char *const tasks[] = { "q quit", "Tab pools", "↑↓ choose", "Enter output", "w why", "c cancel", "k kill", "? help", NULL };

	if (s->message != NULL)
		put(LINES - 1, 0, COLS, s->message, false, s->asking ? A_BOLD | tinted(TINT_YELLOW) : A_BOLD);
	else
		draw_keys(s->output_of != 0 ? output : s->focus == FOCUS_POOLS ? pools : tasks);
}

static void
draw_output(const struct top_screen *s)
{
	const struct top_output *o = s->output;
	int rows = LINES - 3;
	size_t back = s->back, last;
	char text[200], *size = show_size((double)o->length);

	if (back + (size_t)(rows > 0 ? rows : 1) > o->count)
		back = o->count > (size_t)rows ? o->count - (size_t)rows : 0;
	last = o->count - back;
	snprintf(text, sizeof text, "%" PRIu64 " %s  %s  %s%s", s->output_of, s->stream, o->state != NULL ? o->state : "", size,
		back > 0 ? "  (scrolled back)" : "");
	put(0, 0, COLS, text, false, A_BOLD);
	if (o->count == 0)
		put(2, 0, COLS, "nothing yet", false, A_DIM);
	for (int i = 0; i < rows && (size_t)i < last; i++) {
		size_t n = last > (size_t)rows ? last - (size_t)rows + (size_t)i : (size_t)i;

		put(1 + i, 0, COLS, o->lines[n], false, 0);
	}
	free(size);
}

static void
draw_help(void)
{
	static const char *const lines[] = {
		"Tab            from pools to tasks and back",
		"up, down       choose; also PgUp, PgDn, Home, End",
		"",
		"pools",
		"  p            pause: nothing new begins; again: resume",
		"  + -          a worker more or less; running tasks finish",
		"  r            ask for the number of workers",
		"  w            why it is broken",
		"",
		"tasks",
		"  Enter, o     what it printed, as it comes; Tab there: stdout or stderr",
		"  w            why it does not run yet",
		"  c            cancel it, if it has not begun",
		"  k            kill it, with all its processes",
		"",
		"space          look again now        q  quit (also ^C)",
		"",
		"CPU and memory are of the task's own processes, 100% is one processor.",
		"They are known where the daemon is on this machine and tasks have",
		"processes of their own: in pools of programs and of processes.",
	};

	int count = (int)(sizeof lines / sizeof lines[0]);

	for (int i = 0; i < count && i < LINES - 2; i++)
		put(1 + i, 2, COLS - 2, i == LINES - 3 && i + 1 < count ? "… the rest needs a higher window" : lines[i], false, 0);
}

void
top_draw(struct top_screen *s)
{
	int pools = (int)s->look->pool_count, most = (LINES - 7) / 3 > POOLS_LEAST ? (LINES - 7) / 3 : POOLS_LEAST, y;

	erase();
	if (s->help)
		draw_help();
	else if (s->output_of != 0)
		draw_output(s);
	else {
		draw_head(s);
		y = draw_pools(s, 3, pools < most ? pools : most) + 1;
		draw_tasks(s, y, LINES - 2 - y);
	}
	draw_foot(s);
	refresh();
}

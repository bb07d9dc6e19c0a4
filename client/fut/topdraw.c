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

static void
draw_head(const struct top_screen *s)
{
	const struct top_look *look = s->look;
	char *up = show_span(look->uptime), *rss = show_size(look->rss > 0 ? look->rss : 0), text[400], clock[16];
	time_t now = time(NULL);
	struct tm tm;
	double rate = 0;

	localtime_r(&now, &tm);
	strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	put(0, 0, COLS - 10, s->address, false, A_BOLD);
	put(0, COLS - 8, 8, clock, true, 0);
	for (size_t i = 0; i < look->pool_count; i++)
		rate += look->pools[i].rate > 0 ? look->pools[i].rate : 0;
	snprintf(text, sizeof text, "%" PRIu64 " running   %" PRIu64 " pending   %" PRIu64 " finished   %" PRIu64 " cancelled   %.*f/s   %s   up %s",
		look->running, look->pending, look->finished, look->cancelled, rate < 10, rate, rss, up);
	put(1, 0, COLS, text, false, 0);
	if (look->failures > 0) {
		snprintf(text, sizeof text, "%" PRIu64 " failed unseen", look->failures);
		put(1, COLS - (int)strlen(text), (int)strlen(text), text, false, tinted(TINT_RED) | A_BOLD);
	}
	free(up);
	free(rss);
}

/* Widths that depend on what there is. */
struct pool_widths {
	int name, kind, busy;
};

static void
busy_words(const struct top_pool *p, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64 "/%" PRIu64, p->busy, p->workers);
}

static struct pool_widths
pool_widths(const struct top_look *look)
{
	struct pool_widths w = { 4, 4, 4 };
	char text[64];
	int rest;

	for (size_t i = 0; i < look->pool_count; i++) {
		const struct top_pool *p = &look->pools[i];

		busy_words(p, text, sizeof text);
		w.name = (int)text_width(p->name) > w.name ? (int)text_width(p->name) : w.name;
		w.kind = (int)text_width(p->kind) > w.kind ? (int)text_width(p->kind) : w.kind;
		w.busy = (int)strlen(text) > w.busy ? (int)strlen(text) : w.busy;
	}
	w.name = w.name > 16 ? 16 : w.name;
	rest = COLS - w.name - w.busy - 59; /* what the other columns take */
	if (w.kind > rest)
		w.kind = rest > 4 ? rest : 4;
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

static void
draw_pool(int y, const struct top_pool *p, const struct pool_widths *w)
{
	enum tint tint = p->reason != NULL ? TINT_RED : p->paused ? TINT_YELLOW : TINT_GREEN;
	char text[64];
	int x = put(y, 0, w->name, p->name, false, A_BOLD);

	x = put_kind(y, x, w->kind, p->kind);
	x = put_bar(y, x, p->busy, p->workers, tinted(tint));
	busy_words(p, text, sizeof text);
	x = put(y, x, w->busy, text, false, 0);
	x = put_number(y, x, 7, p->pending, 0);
	x = put_span(y, x, 6, p->oldest, 0);
	snprintf(text, sizeof text, "%.*f/s", p->rate < 10, p->rate);
	x = put(y, x, 7, p->rate < 0 ? "" : text, true, 0);
	x = put_span(y, x, 6, p->mean, 0);
	put(y, x, 6, p->reason != NULL ? "broken" : p->paused ? "paused" : "ready", false, tinted(tint));
}

static int
draw_pools(struct top_screen *s, int y, int rows)
{
	const struct top_look *look = s->look;
	struct pool_widths w = pool_widths(look);
	int x = put(y, 0, w.name, "POOL", false, A_DIM);

	x = put(y, x, w.kind, "KIND", false, A_DIM);
	x = put(y, x, BAR - 1 + w.busy, "BUSY", false, A_DIM) + 2;
	x = put(y, x, 7, "PENDING", true, A_DIM);
	x = put(y, x, 6, "OLDEST", true, A_DIM);
	x = put(y, x, 7, "RATE", true, A_DIM);
	x = put(y, x, 6, "MEAN", true, A_DIM);
	put(y, x, 6, "STATE", false, A_DIM);
	s->first_pool = scroll_to(s->first_pool, s->pool, look->pool_count, rows);
	for (int i = 0; i < rows && s->first_pool + (size_t)i < look->pool_count; i++) {
		size_t n = s->first_pool + (size_t)i;

		draw_pool(y + 1 + i, &look->pools[n], &w);
		mark_row(y + 1 + i, n == s->pool, s->focus == FOCUS_POOLS);
	}
	return y + 1 + rows;
}

static void
draw_task(int y, const struct top_task *t, int id, int pool)
{
	char text[64], *memory = show_size(t->memory > 0 ? t->memory : 0);
	int x = put_number(y, 0, id, t->id, A_BOLD);

	x = put(y, x, pool, t->pool, false, 0);
	x = put(y, x, 7, t->running ? "running" : "pending", false, t->running ? tinted(TINT_CYAN) : 0);
	x = put_span(y, x, 6, t->age, 0);
	snprintf(text, sizeof text, "%.0f%%", t->cpu * 100);
	x = put(y, x, 5, t->cpu < 0 ? "" : text, true, 0);
	x = put(y, x, 9, t->memory < 0 ? "" : memory, true, 0);
	put(y, x, COLS - x, t->title, false, 0);
	free(memory);
}

static void
draw_tasks(struct top_screen *s, int y, int rows)
{
	const struct top_look *look = s->look;
	int id = 3, pool = 4, x;

	for (size_t i = 0; i < look->task_count; i++) {
		char text[32];
		int n = snprintf(text, sizeof text, "%" PRIu64, look->tasks[i].id);

		id = n > id ? n : id;
		n = (int)text_width(look->tasks[i].pool);
		pool = n > pool ? n : pool;
	}
	pool = pool > 12 ? 12 : pool;
	x = put(y, 0, id, "ID", true, A_DIM);
	x = put(y, x, pool, "POOL", false, A_DIM);
	x = put(y, x, 7, "STATE", false, A_DIM);
	x = put(y, x, 6, "AGE", true, A_DIM);
	x = put(y, x, 5, "CPU", true, A_DIM);
	x = put(y, x, 9, "MEMORY", true, A_DIM);
	put(y, x, COLS - x, "TASK", false, A_DIM);
	if (look->task_count == 0)
		put(y + 1, 0, COLS, "nothing runs and nothing waits", false, A_DIM);
	s->first_task = scroll_to(s->first_task, s->task, look->task_count, rows);
	for (int i = 0; i < rows && s->first_task + (size_t)i < look->task_count; i++) {
		size_t n = s->first_task + (size_t)i;

		draw_task(y + 1 + i, &look->tasks[n], id, pool);
		mark_row(y + 1 + i, n == s->task, s->focus == FOCUS_TASKS);
	}
}

static void
draw_foot(const struct top_screen *s)
{
	const char *keys = s->output_of != 0 ? "q back  ↑↓ scroll  End follow  Tab the other stream  c cancel  k kill" :
		s->focus == FOCUS_POOLS ? "q quit  Tab tasks  ↑↓ choose  p pause/resume  + - workers  ? help" :
		"q quit  Tab pools  ↑↓ choose  Enter output  w why  c cancel  k kill  ? help";

	if (s->message != NULL)
		put(LINES - 1, 0, COLS, s->message, false, s->asking ? A_BOLD | tinted(TINT_YELLOW) : A_BOLD);
	else
		put(LINES - 1, 0, COLS, keys, false, A_DIM);
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

	for (int i = 0; i < (int)(sizeof lines / sizeof lines[0]) && i < LINES - 2; i++)
		put(1 + i, 2, COLS - 2, lines[i], false, 0);
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

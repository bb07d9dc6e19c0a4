/* fut top: a live look at pools and tasks, and keys to act on them.
 *
 * Once a second everything is asked anew, in as many round trips as there are lists; between that, keys. However it ends (q, a signal, the
 * daemon gone, a failure of our own), the terminal gets back what it was before. So it does for ^Z, which comes as a signal among others:
 * ncurses' own handler would lose one that comes while it draws. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "client/fut/args.h"
#include "client/fut/clock.h"
#include "client/fut/reach.h"
#include "client/fut/stop.h"
#include "client/fut/text.h"
#include "client/fut/top.h"
#include "client/fut/writer.h"

#define EVERY_S 1.0
#define MESSAGE_S 4.0

enum question { ASK_NOTHING, ASK_KILL, ASK_WORKERS };

struct top {
	struct fut *f;
	struct processes *processes;
	struct top_look look;
	struct top_screen screen;
	struct top_output output;
	uint64_t task_id;  /* chosen; 0: none */
	char *pool_name;   /* chosen; NULL: none */
	char *message;
	double message_until;
	enum question question;
	uint64_t kill_id;
	char typed[8];
	bool over;
	bool lost;
};

static void __attribute__((format(printf, 2, 3)))
tell(struct top *t, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		need(NULL);
	va_end(ap);
	free(t->message);
	t->message = text_escape(text, strlen(text), TEXT_LINE);
	t->message_until = clock_seconds() + MESSAGE_S;
	free(text);
}

/* ---- looking ---- */

/* What was chosen stays chosen, wherever it is now. */
static void
choose_again(struct top *t)
{
	struct top_screen *s = &t->screen;

	for (size_t i = 0; t->pool_name != NULL && i < t->look.pool_count; i++)
		if (strcmp(t->look.pools[i].name, t->pool_name) == 0)
			s->pool = i;
	for (size_t i = 0; t->task_id != 0 && i < t->look.task_count; i++)
		if (t->look.tasks[i].id == t->task_id)
			s->task = i;
	if (s->pool >= t->look.pool_count)
		s->pool = t->look.pool_count > 0 ? t->look.pool_count - 1 : 0;
	if (s->task >= t->look.task_count)
		s->task = t->look.task_count > 0 ? t->look.task_count - 1 : 0;
}

static void
remember_choice(struct top *t)
{
	t->task_id = t->screen.task < t->look.task_count ? t->look.tasks[t->screen.task].id : 0;
	free(t->pool_name);
	t->pool_name = t->screen.pool < t->look.pool_count ? need(strdup(t->look.pools[t->screen.pool].name)) : NULL;
}

static void
look_again(struct top *t)
{
	struct top_look look;
	bool well = top_ask(t->f, t->processes, &t->look, &look);

	if (!well && !futured_is_connected(t->f->c)) {
		top_forget(&look);
		t->over = t->lost = true;
		return;
	}
	top_forget(&t->look);
	t->look = look;
	choose_again(t);
	remember_choice(t);
	if (t->screen.output_of != 0) {
		size_t before = t->output.count;

		top_forget_output(&t->output);
		t->over = t->lost = !top_ask_output(t->f, t->screen.output_of, t->screen.stream, &t->output);
		if (t->screen.back > 0 && t->output.count > before)
			t->screen.back += t->output.count - before; /* what one reads stays where it is */
	}
}

/* ---- acting ---- */

static void
tell_refusal(struct top *t, struct futured_reply *reply)
{
	struct futured_error e;

	if (reply != NULL && futured_reply_error(reply, &e))
		tell(t, "%.*s: %.*s", (int)e.type_len, e.type, (int)e.message_len, e.message);
	else
		tell(t, "%s", futured_error_text(t->f->c));
}

static struct top_pool *
chosen_pool(struct top *t)
{
	return t->screen.pool < t->look.pool_count ? &t->look.pools[t->screen.pool] : NULL;
}

static uint64_t
chosen_task(struct top *t)
{
	if (t->screen.output_of != 0)
		return t->screen.output_of;
	return t->screen.task < t->look.task_count ? t->look.tasks[t->screen.task].id : 0;
}

static void
pause_pool(struct top *t)
{
	struct top_pool *p = chosen_pool(t);
	struct futured_reply *reply = NULL;

	if (p == NULL)
		return;
	if (futured_callf(t->f->c, &reply, p->paused ? "resume" : "pause", "s", p->name) == FUTURED_OK)
		tell(t, "%s is %s", p->name, p->paused ? "resumed" : "paused: nothing new begins, p resumes it");
	else
		tell_refusal(t, reply);
	futured_reply_free(reply);
}

static void
resize_pool(struct top *t, int64_t workers)
{
	struct top_pool *p = chosen_pool(t);
	struct futured_reply *reply = NULL;

	if (p == NULL || workers < 0)
		return;
	if (futured_callf(t->f->c, &reply, "resize", "sI", p->name, workers) == FUTURED_OK)
		tell(t, "%s has %" PRId64 " worker%s", p->name, workers, workers == 1 ? "" : "s");
	else
		tell_refusal(t, reply);
	futured_reply_free(reply);
}

static void
cancel_task(struct top *t, uint64_t id, enum futured_how how)
{
	struct futured_reply *reply = NULL;
	struct futured_value inside, one;
	bool cancelled = false;
	size_t n;

	if (id == 0)
		return;
	if (futured_callf(t->f->c, &reply, "cancel", "[u]{ss}", id, "running", how == FUTURED_CANCEL_KILL ? "kill" : "no") != FUTURED_OK)
		tell_refusal(t, reply);
	else if (futured_value_array(futured_reply_value(reply), &n, &inside) && futured_value_next(&inside, &one) &&
		 futured_value_bool(one, &cancelled) && cancelled)
		tell(t, "%" PRIu64 " %s", id, how == FUTURED_CANCEL_KILL ? "is being stopped" : "is cancelled");
	else
		tell(t, "%" PRIu64 " is not pending any more%s", id, how == FUTURED_CANCEL_KILL ? "" : "; k kills a running one");
	futured_reply_free(reply);
}

static void
tell_why(struct top *t)
{
	uint64_t id = chosen_task(t);
	struct futured_reply *reply = NULL;
	struct futured_value why;
	const char *s;
	size_t len;

	if (id == 0)
		return;
	if (futured_callf(t->f->c, &reply, "show", "u", id) != FUTURED_OK)
		tell_refusal(t, reply);
	else if (futured_value_find(futured_reply_value(reply), "why", &why) && futured_find_text(why, "message", &s, &len))
		tell(t, "%" PRIu64 ": %.*s", id, (int)len, s);
	else
		tell(t, "%" PRIu64 " does not wait any more", id);
	futured_reply_free(reply);
	t->message_until += 2 * MESSAGE_S;
}

static void
show_output(struct top *t, uint64_t id)
{
	t->screen.output_of = id;
	t->screen.back = 0;
	top_forget_output(&t->output);
	if (id != 0)
		t->over = t->lost = !top_ask_output(t->f, id, t->screen.stream, &t->output);
}

/* ---- keys ---- */

static void
move_by(struct top *t, long by)
{
	struct top_screen *s = &t->screen;
	size_t *at = s->focus == FOCUS_POOLS ? &s->pool : &s->task, count = s->focus == FOCUS_POOLS ? t->look.pool_count : t->look.task_count;
	long to = (long)*at + by;

	if (s->output_of != 0) {
		to = (long)s->back - by;
		s->back = to < 0 ? 0 : to > (long)t->output.count ? t->output.count : (size_t)to;
		return;
	}
	*at = to < 0 || count == 0 ? 0 : to >= (long)count ? count - 1 : (size_t)to;
	remember_choice(t);
}

static bool
is_movement(int key, long *by)
{
	switch (key) {
	case KEY_UP:
		*by = -1;
		return true;
	case KEY_DOWN:
		*by = 1;
		return true;
	case KEY_PPAGE:
		*by = -(LINES - 4);
		return true;
	case KEY_NPAGE:
		*by = LINES - 4;
		return true;
	case KEY_HOME:
		*by = -1000000;
		return true;
	case KEY_END:
		*by = 1000000;
		return true;
	default:
		return false;
	}
}

static void
answer(struct top *t, int key)
{
	size_t len = strlen(t->typed);
	enum question question = t->question;

	if (question == ASK_WORKERS && key >= '0' && key <= '9' && len < sizeof t->typed - 1) {
		t->typed[len] = (char)key;
		t->typed[len + 1] = '\0';
		return;
	}
	if (question == ASK_WORKERS && (key == KEY_BACKSPACE || key == 127 || key == '\b')) {
		t->typed[len > 0 ? len - 1 : 0] = '\0';
		return;
	}
	t->question = ASK_NOTHING;
	if (question == ASK_KILL && (key == 'y' || key == 'Y'))
		cancel_task(t, t->kill_id, FUTURED_CANCEL_KILL);
	else if (question == ASK_WORKERS && (key == '\r' || key == '\n' || key == KEY_ENTER) && len > 0)
		resize_pool(t, atoll(t->typed));
	else
		tell(t, "left as it is");
	look_again(t);
}

static void
on_output_key(struct top *t, int key)
{
	switch (key) {
	case 'q':
	case 27:
	case '\r':
	case 'o':
		show_output(t, 0);
		break;
	case '\t':
		t->screen.stream = strcmp(t->screen.stream, "stdout") == 0 ? "stderr" : "stdout";
		show_output(t, t->screen.output_of);
		break;
	default:
		break;
	}
}

static void
on_pool_key(struct top *t, int key)
{
	struct top_pool *p = chosen_pool(t);

	if (p == NULL)
		return;
	if (key == 'p')
		pause_pool(t);
	else if (key == '+' || key == '=')
		resize_pool(t, (int64_t)p->workers + 1);
	else if (key == '-' && p->workers > 0)
		resize_pool(t, (int64_t)p->workers - 1);
	else if (key == 'w')
		tell(t, "%s: %s", p->name, p->reason != NULL ? p->reason : p->paused ? "it is paused; p resumes it" : "it is ready");
	else if (key == 'r') {
		t->question = ASK_WORKERS;
		t->typed[0] = '\0';
		return;
	} else
		return;
	look_again(t);
}

static void
on_task_key(struct top *t, int key)
{
	uint64_t id = chosen_task(t);

	if (id == 0)
		return;
	if (key == 'c') {
		cancel_task(t, id, FUTURED_CANCEL_PENDING);
		look_again(t);
	} else if (key == 'k') {
		t->question = ASK_KILL;
		t->kill_id = id;
	} else if (key == 'w')
		tell_why(t);
	else if ((key == '\r' || key == '\n' || key == KEY_ENTER || key == 'o') && t->screen.output_of == 0)
		show_output(t, id);
}

static void
on_key(struct top *t, int key)
{
	long by;

	if (key == KEY_RESIZE) /* ncurses' word: what asks goes on asking */
		return;
	if (t->screen.help) {
		t->screen.help = false;
		return;
	}
	if (t->question != ASK_NOTHING) {
		answer(t, key);
		return;
	}
	if (key == '?' || key == 'h')
		t->screen.help = true;
	else if (key == ' ')
		look_again(t);
	else if (key == 12) /* ^L */
		clearok(curscr, TRUE);
	else if (is_movement(key, &by))
		move_by(t, by);
	else if (t->screen.output_of != 0 && key != 'c' && key != 'k')
		on_output_key(t, key);
	else if (key == 'q' || key == 'Q')
		t->over = true;
	else if (key == '\t' || key == KEY_BTAB || key == KEY_LEFT || key == KEY_RIGHT)
		t->screen.focus = t->screen.focus == FOCUS_POOLS ? FOCUS_TASKS : FOCUS_POOLS;
	else if (t->screen.focus == FOCUS_POOLS)
		on_pool_key(t, key);
	else
		on_task_key(t, key);
}

/* ---- the loop ---- */

static void
draw(struct top *t)
{
	struct top_screen *s = &t->screen;
	char question[200];

	if (t->message != NULL && clock_seconds() > t->message_until) {
		free(t->message);
		t->message = NULL;
	}
	s->look = &t->look;
	s->output = &t->output;
	s->message = t->message;
	s->asking = t->question != ASK_NOTHING;
	if (t->question == ASK_KILL)
		snprintf(question, sizeof question, "kill %" PRIu64 " with all its processes? y or n", t->kill_id);
	else if (t->question == ASK_WORKERS)
		snprintf(question, sizeof question, "how many workers for %.100s? %s_", t->pool_name != NULL ? t->pool_name : "", t->typed);
	if (s->asking)
		s->message = question;
	top_draw(s);
	s->message = NULL;
}

/* ^Z: the terminal is the shell's until we are continued. Its size may be another by then. */
static void
suspend(void)
{
	top_draw_pause();
	stop_for(SIGTSTP);
	top_draw_resume();
}

/* Returns the signal that ended it; 0: none, or ^C, which is as good as q. */
static int
run(struct top *t, int stop)
{
	double next = 0;
	int signal;

	while (!t->over) {
		struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { stop, POLLIN, 0 } };
		double now = clock_seconds();
		int key;

		if (now >= next) {
			look_again(t);
			next = now + EVERY_S;
		}
		if (t->over)
			break;
		draw(t);
		now = clock_seconds();
		if (poll(p, 2, now < next ? (int)((next - now) * 1000) + 1 : 0) < 0 && errno != EINTR)
			break;
		signal = stop_take();
		if (signal == SIGTSTP)
			suspend();
		else if (signal != 0)
			return signal == SIGINT ? 0 : signal;
		if ((p[0].revents & (POLLHUP | POLLERR)) != 0)
			return SIGHUP;
		while (!t->over && (key = getch()) != ERR)
			on_key(t, key);
	}
	return 0;
}

static int
top_main(struct fut *f, int argc, char **argv)
{
	struct top t = { .f = f, .screen = { .focus = FOCUS_TASKS, .stream = "stdout" } };
	const char *term = getenv("TERM");
	struct args a;
	int status, stop, signal;

	args_init(&a, f, argc, argv, false);
	if (args_next(&a) != ARGS_END || !args_expect(&a, 0, 0))
		return a.status;
	if (f->json || !f->tty_out || isatty(STDIN_FILENO) != 1)
		return args_wrong(f, "it draws on a terminal, and %s; `fut --json pool ls`, `fut --json ls` and `fut events` are for programs",
			f->json ? "knows no JSON" : "this is none");
	if ((status = reach(f, REACH_ONLY)) != EXIT_OK)
		return status;
	stop = stop_begin();
	stop_also(SIGQUIT);
	stop_also(SIGTSTP);
	if (term == NULL || strcmp(term, "dumb") == 0 || !top_draw_begin(f->paint_out)) {
		fut_say(f, "top: this terminal (TERM=%s) cannot be drawn on", term != NULL ? term : "");
		return EXIT_FAILED;
	}
	atexit(top_draw_end);
	fut_at_need = top_draw_end;
	t.processes = processes_new();
	t.screen.address = futured_address(f->c);
	signal = run(&t, stop);
	top_draw_end();
	if (t.lost)
		status = fut_lost(f, FUTURED_LOST);
	else if (signal != 0)
		status = EXIT_SIGNALLED + signal;
	top_forget(&t.look);
	top_forget_output(&t.output);
	processes_free(t.processes);
	free(t.pool_name);
	free(t.message);
	return status;
}

const struct verb verb_top = {
	.name = "top",
	.operands = "",
	.summary = "a live look at pools and tasks, with keys to act on them",
	.examples = "  fut top          # q quits, ? tells the keys",
	.run = top_main,
};

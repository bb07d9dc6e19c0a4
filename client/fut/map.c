/* fut map: one task per item.
 *
 * Items come from operands, files or stdin; those that are there go to the daemon in blocks, one `map` request each, with the request to
 * be told of every end. At most `window` are in flight (-j, else 1,024) and at most HELD_ITEMS or HELD_BYTES of results wait for their
 * turn to be printed, so memory stays flat however many items there are. What has been printed and went well is released.
 * It goes otherwise when: a request is refused (no more items are taken; what flies is waited for), --halt says so (what waits is
 * cancelled, with `now` what runs too), ^C (pending and running are cancelled and waited for, a second one leaves them), stdout loses
 * its reader or its room (the same as ^C), or the daemon goes away. */
#include "client/fut/map.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/fut/reach.h"
#include "client/fut/show.h"
#include "client/fut/stop.h"

enum { MAP_AS_COMPLETED = TASK_LAST, MAP_KEEP, MAP_HALT, MAP_JOBLOG, MAP_RESUME, MAP_COLSEP, MAP_DRY };

enum { WINDOW = 1024, BLOCK_MOST = 512, BLOCK_FIRST = 64, HELD_ITEMS = 8192, HELD_BYTES = 64 << 20, UNSENT_MOST = 4 << 20, WAITING_MOST = 16 };
enum { CALM_FROM = 256, CALM_MS = 5 };

static struct item *
item_new(struct map *m, const struct filling *from)
{
	size_t len = (size_t)from->count - 1, at = 0;
	struct item *i;

	for (int n = 0; n < from->count; n++)
		len += from->fields[n].len;
	i = need(calloc(1, sizeof *i + len + 1));
	for (int n = 0; n < from->count; n++) {
		memcpy(i->text + at, from->fields[n].s, from->fields[n].len);
		at += from->fields[n].len + 1;
	}
	i->len = len;
	i->fields = from->count;
	i->number = from->number;
	i->slot = (size_t)from->slot;
	if (m->joblog != NULL)
		i->command = template_command(&m->template, from);
	*m->last = i;
	m->last = &i->next;
	return i;
}

/* ---- news ---- */

static struct item *
find_item(struct map *m, uint64_t id, struct block ***at)
{
	for (struct block **b = &m->blocks; *b != NULL; b = &(*b)->next)
		if ((*b)->first > 0 && id >= (*b)->first && id < (*b)->first + (*b)->count) {
			*at = b;
			return (*b)->items[id - (*b)->first];
		}
	return NULL;
}

/* What is in flight and not done. Only that: a released one would make the whole call an error. */
static void
cancel_block(struct map *m, const struct block *b)
{
	uint64_t ids[BLOCK_MOST];
	struct futured_pack *p;
	size_t n = 0;

	for (size_t i = 0; b->first > 0 && i < b->count; i++)
		if (b->items[i] != NULL)
			ids[n++] = b->first + i;
	if (n == 0)
		return;
	p = need(futured_pack_new());
	futured_pack_ids(p, ids, n);
	futured_packf(p, "{ss}", "running", m->stopping == STOPPING_NOW ? "kill" : "no");
	futured_request(m->f->c, "cancel", p, NULL, NULL, NULL);
	futured_pack_free(p);
}

static void
stop_all(struct map *m, enum stopping how)
{
	if (how <= m->stopping)
		return;
	m->stopping = how;
	for (struct block *b = m->blocks; b != NULL; b = b->next)
		cancel_block(m, b);
}

static void
item_done(struct map *m, struct item *i, const struct futured_reply *reply)
{
	enum futured_status status = futured_reply_status(reply);

	i->outcome = need(futured_reply_copy(reply));
	i->size = map_reply_size(reply);
	i->dropped = m->stopping != STOPPING_NO && status == FUTURED_CANCELLED;
	m->flying--;
	if (i->dropped)
		m->dropped++;
	else {
		m->done++;
		m->failed += status != FUTURED_OK;
	}
	m->held++;
	m->held_bytes += i->size;
	if (m->slots != NULL)
		m->slots[m->slots_free++] = i->slot;
	if (m->joblog != NULL && i->id > 0)
		joblog_done(m->joblog, i->number, i->id, i->command, reply);
	if (m->stopping == STOPPING_NO && halt_is_reached(&m->halt, m->done, m->failed, m->items.total)) {
		m->halted = true;
		stop_all(m, m->halt.when == HALT_NOW ? STOPPING_NOW : STOPPING_SOON);
	}
}

static void
on_done(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data)
{
	struct map *m = data;
	struct block **at, *b;
	struct item *i = find_item(m, id, &at);

	(void)c;
	if (i == NULL)
		return;
	b = *at;
	b->items[id - b->first] = NULL; /* the list in the order of the items has it */
	item_done(m, i, reply);
	if (--b->left == 0) {
		*at = b->next;
		free(b);
	}
}

/* More than the pool's whole queue holds: it goes again in halves. */
static void
send_again(struct map *m, struct block *b, const struct futured_reply *reply)
{
	if (b->count / 2 < m->most)
		m->most = b->count / 2;
	if (m->full == NULL)
		m->full = need(futured_reply_copy(reply));
	b->next = NULL;
	*m->again_last = b;
	m->again_last = &b->next;
}

static void
block_refused(struct map *m, struct block *b, const struct futured_reply *reply)
{
	struct block **at = &m->blocks;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	if (futured_reply_status(reply) == FUTURED_QUEUE_FULL && b->count > 1 && !m->refused && m->stopping == STOPPING_NO) {
		send_again(m, b, reply);
		return;
	}
	if (!m->refused)
		m->refusal = need(futured_reply_copy(reply));
	m->refused = true;
	for (size_t i = 0; i < b->count; i++)
		item_done(m, b->items[i], reply);
	free(b);
}

/* The answer to `map` is [first, count], to `submit` an id. */
static void
on_accepted(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct block *b = data;
	struct map *m = b->map;
	struct futured_value v = futured_reply_value(reply), inside, first;
	size_t n;

	(void)c;
	m->unanswered--;
	if (futured_value_array(v, &n, &inside) && futured_value_next(&inside, &first))
		v = first;
	if (!futured_value_uint(v, &b->first)) {
		block_refused(m, b, reply);
		return;
	}
	for (size_t i = 0; i < b->count; i++)
		b->items[i]->id = b->first + i;
	if (m->stopping != STOPPING_NO)
		cancel_block(m, b);
}

/* ---- sending ---- */

/* In a small queue most requests wait for room, and few are enough. */
static bool
may_ask(const struct map *m)
{
	return !m->refused && m->stopping == STOPPING_NO && futured_unsent(m->f->c) < UNSENT_MOST && (m->most == BLOCK_MOST || m->unanswered < WAITING_MOST);
}

static bool
may_send(struct map *m)
{
	return may_ask(m) && m->again == NULL && m->flying < m->window && m->held < HELD_ITEMS && m->held_bytes < HELD_BYTES && items_ready(&m->items);
}

/* Without -j, a quarter of the window is gathered before another block is worth its while. */
static bool
is_time(const struct map *m)
{
	return m->exact || m->window - m->flying >= m->window / 4;
}

static size_t
block_size(const struct map *m)
{
	size_t most = m->numbers == 0 && !m->exact ? BLOCK_FIRST : BLOCK_MOST, room = m->window - m->flying;

	if (m->template.varies)
		return 1;
	most = m->most < most ? m->most : most;
	return room < most ? room : most;
}

/* The next item that is to be run: not one that an earlier run has done. */
static bool
next_item(struct map *m, struct filling *next)
{
	enum joblog_known known = JOBLOG_WELL;
	char *command;

	while (known == JOBLOG_WELL) {
		if (!items_next(&m->items, &next->fields, &next->count))
			return false;
		next->number = ++m->numbers;
		if (m->joblog == NULL)
			break;
		next->slot = 0;
		command = template_command(&m->template, next);
		known = joblog_known(m->joblog, next->number, command);
		free(command);
		m->skipped += known == JOBLOG_WELL;
	}
	if (known == JOBLOG_OTHER) {
		m->refused = true;
		m->status = EXIT_USAGE;
		return false;
	}
	next->slot = m->slots != NULL ? m->slots[--m->slots_free] : 0;
	return true;
}

static void
send_request(struct map *m, struct block *b, const char *program)
{
	enum futured_status status;

	b->left = b->count;
	b->next = m->blocks;
	m->blocks = b;
	futured_pack_reset(m->params);
	map_pack(m, program, m->scratch, b->count, m->params);
	if ((status = futured_request(m->f->c, m->template.varies ? "submit" : "map", m->params, on_accepted, b, NULL)) == FUTURED_OK)
		m->unanswered++;
	else {
		m->refused = true;
		m->status = fut_lost(m->f, status);
	}
}

static struct block *
block_new(struct map *m, size_t most)
{
	struct block *b = need(calloc(1, sizeof *b + most * sizeof b->items[0]));

	futured_pack_reset(m->scratch);
	b->map = m;
	return b;
}

static void
send_block(struct map *m)
{
	size_t most = block_size(m);
	struct block *b = block_new(m, most);
	struct filling next = { 0 };
	char *program = NULL;

	while (b->count < most && next_item(m, &next)) {
		b->items[b->count++] = item_new(m, &next);
		if (program == NULL)
			program = template_program(&m->template, &next);
		template_args(&m->template, &next, m->scratch);
	}
	if (b->count == 0) {
		free(b);
		return;
	}
	m->flying += b->count;
	send_request(m, b, program);
	free(program);
}

/* What an item was made of. `fields` has room for them. */
static struct filling
item_filling(const struct item *i, struct field *fields)
{
	const char *at = i->text, *end = i->text + i->len;

	for (int n = 0; n < i->fields; n++, at += strlen(at) + 1)
		fields[n] = (struct field){ at, n + 1 < i->fields ? strlen(at) : (size_t)(end - at) };
	return (struct filling){ fields, i->fields, i->number, i->slot };
}

/* The next piece of what was too much for the queue. */
static void
send_piece(struct map *m)
{
	struct block *from = m->again, *b = block_new(m, m->most);
	char *program = NULL;

	while (b->count < m->most && from->again < from->count) {
		struct item *i = from->items[from->again++];
		struct field *fields = need(calloc((size_t)i->fields, sizeof *fields));
		struct filling next = item_filling(i, fields);

		b->items[b->count++] = i;
		if (program == NULL)
			program = template_program(&m->template, &next);
		template_args(&m->template, &next, m->scratch);
		free(fields);
	}
	if (from->again == from->count) {
		if ((m->again = from->next) == NULL)
			m->again_last = &m->again;
		free(from);
	}
	send_request(m, b, program);
	free(program);
}

/* What was never accepted has no outcome but that. */
static void
drop_again(struct map *m)
{
	struct block *b;

	while ((b = m->again) != NULL) {
		m->again = b->next;
		for (; b->again < b->count; b->again++) {
			b->items[b->again]->dropped = true;
			b->items[b->again]->outcome = need(futured_reply_copy(m->full));
			m->flying--;
			m->dropped++;
			m->held++;
		}
		free(b);
	}
	m->again_last = &m->again;
}

/* ---- the loop ---- */

static void
on_signal(struct map *m, int signal)
{
	if (signal == 0)
		return;
	if (m->signal != 0 || signal == SIGHUP)
		m->left = true;
	if (m->signal != 0)
		return;
	m->signal = signal;
	if (signal == SIGINT) {
		progress_break(&m->progress);
		fut_note(m->f, "cancelling %zu tasks; ^C again does not wait for that", m->flying);
	}
	if (!m->left)
		stop_all(m, STOPPING_NOW);
}

/* Stdout takes no more: all is cancelled, and loudly, unless its reader has left. */
static void
look_at_stdout(struct map *m)
{
	if (m->out.error == EPIPE && m->signal == 0)
		on_signal(m, SIGPIPE);
	if (m->out.error == 0 || m->out.error == EPIPE || m->unwritten)
		return;
	m->unwritten = true;
	progress_break(&m->progress);
	fut_cannot_write(m->f, m->out.error);
	stop_all(m, STOPPING_NOW);
}

static bool
is_over(struct map *m)
{
	if (m->left || m->lost)
		return true;
	return m->flying == 0 && m->held == 0 && joblog_waiting(m->joblog) == 0 &&
	       (m->refused || m->stopping != STOPPING_NO || items_over(&m->items));
}

/* Items are read ahead, so that their number is known as soon as it can be. */
static int
wanted_fd(struct map *m)
{
	return !m->refused && m->stopping == STOPPING_NO ? items_fd(&m->items) : -1;
}

/* While much is in flight, news is left to gather for a moment: a wake for every single one would take the processor from the tasks. */
static int
patience(const struct map *m)
{
	int wait = progress_wait(&m->progress);

	return m->calm && (wait < 0 || wait > CALM_MS) ? CALM_MS : wait;
}

static int
say_lost(struct map *m, enum futured_status status)
{
	char of[32] = "";

	if (status != FUTURED_LOST)
		return fut_lost(m->f, status);
	if (m->items.total > 0)
		snprintf(of, sizeof of, " of %" PRIu64, m->items.total - m->skipped);
	fut_error(m->f, status, "lost the daemon; %" PRIu64 "%s were done%s", m->done, of,
		m->joblog != NULL ? ", and --resume goes on where the joblog ends" : "");
	return EXIT_FAILED;
}

static void
hear(struct map *m)
{
	uint64_t before = m->done;
	enum futured_status status;

	if ((status = futured_process(m->f->c)) != FUTURED_OK) {
		m->lost = true;
		progress_break(&m->progress);
		m->status = say_lost(m, status);
	}
	m->calm = m->done > before && m->flying >= CALM_FROM;
}

/* Output is on its way to the terminal: nothing may be drawn between its bytes. */
static bool
is_writing(const struct map *m)
{
	return (m->f->tty_out && sink_waiting(&m->out) > 0) || (m->f->tty_err && sink_waiting(&m->err) > 0);
}

static void
turn(struct map *m, int stop)
{
	struct pollfd p[5] = { { m->calm ? -1 : futured_fd(m->f->c), futured_events(m->f->c), 0 }, { stop, POLLIN, 0 },
		{ wanted_fd(m), POLLIN, 0 }, { sink_waiting(&m->out) > 0 ? m->out.fd : -1, POLLOUT, 0 },
		{ sink_waiting(&m->err) > 0 ? m->err.fd : -1, POLLOUT, 0 } };

	if (poll(p, 5, patience(m)) < 0 && errno != EINTR)
		need(NULL);
	on_signal(m, stop_take());
	if (p[2].revents != 0 && !items_read(&m->items, m->f)) {
		m->refused = true;
		m->status = EXIT_FAILED;
	}
	hear(m);
	map_print(m);
	look_at_stdout(m);
	if (m->again != NULL && (m->refused || m->stopping != STOPPING_NO))
		drop_again(m);
	while (m->again != NULL && may_ask(m))
		send_piece(m);
	if (is_time(m))
		while (may_send(m))
			send_block(m);
	if (!is_writing(m))
		progress_show(&m->progress, m->done, m->failed, m->items.total > m->skipped ? m->items.total - m->skipped : 0);
}

/* Which they are is told in any case: nobody else knows. */
static void
say_left(const struct map *m)
{
	uint64_t *ids = need(calloc(m->flying + 1, sizeof *ids));
	size_t n = 0;
	char *text;

	for (const struct block *b = m->blocks; b != NULL; b = b->next)
		for (size_t i = 0; b->first > 0 && i < b->count; i++)
			if (b->items[i] != NULL)
				ids[n++] = b->first + i;
	text = show_ids(ids, n);
	if (n > 0 && m->stopping == STOPPING_NOW)
		fut_say(m->f, "%s %s still ending; `fut wait %s` waits for %s", text, n == 1 ? "is" : "are", text, n == 1 ? "it" : "them");
	else if (n > 0)
		fut_say(m->f, "left %zu to %s: %s", n, n == 1 ? "itself" : "themselves", text);
	if (n < m->flying)
		fut_say(m->f, "%zu were sent whose ids were not told yet; `fut ls` has them", m->flying - n);
	free(text);
	free(ids);
}

static int
finish(struct map *m)
{
	progress_hide(&m->progress);
	if (m->refusal != NULL && !m->lost) {
		progress_break(&m->progress);
		m->status = m->f->json ? EXIT_FAILED : task_refused(m->f, m->pool, futured_reply_status(m->refusal), m->refusal);
	}
	if (m->left) {
		progress_break(&m->progress);
		say_left(m);
		return EXIT_SIGNALLED + m->signal;
	}
	sink_drain(&m->out);
	sink_drain(&m->err);
	if (m->out.error != EPIPE)
		look_at_stdout(m);
	map_release(m, true);
	map_summary(m);
	if (m->signal != 0)
		return EXIT_SIGNALLED + m->signal;
	if (m->lost || m->refused)
		return m->status;
	if (m->unwritten || m->cut > 0 || !joblog_is_well(m->joblog) || (m->failed > 0 && !(m->halted && m->halt.what == HALT_SUCCESS)))
		return EXIT_FAILED;
	return EXIT_OK;
}

/* What each of them reads goes along with every request. */
static bool
set_stdin(struct map *m, const char *path)
{
	struct feed feed;
	bool well = feed_open(&feed, m->f, path, true);

	if (well)
		feed_options(&feed, m->options);
	feed_close(&feed);
	return well;
}

static int
map_items(struct map *m, struct task *t)
{
	struct stat st;
	int stop, status;

	if ((status = reach(m->f, REACH_OR_START)) != EXIT_OK)
		return status;
	if ((m->options = task_options(t)) == NULL || !set_stdin(m, t->stdin_path))
		return EXIT_FAILED;
	futured_options_set(m->options, "watch", "b", 1);
	if (!t->block)
		futured_options_set(m->options, "block", "b", 1);
	m->scratch = need(futured_pack_new());
	m->params = need(futured_pack_new());
	sink_init(&m->out, STDOUT_FILENO);
	sink_init(&m->err, STDERR_FILENO);
	m->piped = fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
	progress_init(&m->progress, m->f);
	futured_on_done(m->f->c, on_done, m);
	if (items_from_stdin(&m->items) && isatty(STDIN_FILENO))
		fut_note(m->f, "one item per line; ^D ends them");
	stop = stop_begin();
	while (may_send(m))
		send_block(m);
	while (!is_over(m))
		turn(m, stop);
	return finish(m);
}

/* ---- arguments ---- */

/* What the options say, and what is made of it. */
struct wishes {
	const char *joblog, *columns;
	char separator;
	bool resume, dry;
};

/* --colsep takes \t as it is mostly meant. */
static const char *
column_text(const char *value)
{
	return strcmp(value, "\\t") == 0 ? "\t" : value;
}

static void
number_slots(struct map *m)
{
	m->slots = need(calloc(m->window, sizeof *m->slots));
	while (m->slots_free < m->window) {
		m->slots[m->slots_free] = m->window - m->slots_free;
		m->slots_free++;
	}
}

/* What would be run, one command a line. */
static int
print_commands(struct map *m)
{
	struct filling next = { 0 };
	char *command;

	while (!items_over(&m->items)) {
		if (!items_ready(&m->items) && !items_read(&m->items, m->f))
			return EXIT_FAILED;
		while (items_next(&m->items, &next.fields, &next.count)) {
			next.number = ++m->numbers;
			next.slot = (next.number - 1) % m->window + 1;
			command = template_command(&m->template, &next);
			puts(command);
			free(command);
		}
	}
	return EXIT_OK;
}

static bool
options_agree(struct map *m, const struct task *t, const struct wishes *w)
{
	if (t->key != NULL)
		args_wrong(m->f, "--key stands for one task, and map is many");
	else if (t->stdin_path != NULL && strcmp(t->stdin_path, "-") == 0)
		args_wrong(m->f, "--stdin -: map reads its items from there, or nothing");
	else if (w->resume && w->joblog == NULL)
		args_wrong(m->f, "--resume goes on where a --joblog FILE ended, and there is none");
	else if (w->columns != NULL && *w->columns == '\0')
		args_wrong(m->f, "--colsep: expected what separates columns, got nothing");
	else
		return true;
	return false;
}

static int
map_begin(struct map *m, struct task *t, struct args *a, const struct wishes *w)
{
	int words = items_before(a->operands, a->count), status = EXIT_USAGE;

	if (words == 0)
		return args_wrong(m->f, "expected a command%s%s", words < a->count ? " in front of " : "", words < a->count ? a->operands[0] : "");
	if (!options_agree(m, t, w))
		return status;
	m->pool = t->pool;
	m->task = t;
	if (!items_init(&m->items, m->f, a->operands + words, a->count - words, w->separator, w->columns))
		goto out;
	template_init(&m->template, a->operands, words, t->shell, items_fields(&m->items));
	if (m->template.beyond != 0) {
		args_wrong(m->f, "{%d}: there %s only %d source%s of items; ::: words, :::: files or --colsep make more", m->template.beyond,
			m->template.most == 1 ? "is" : "are", m->template.most, m->template.most == 1 ? "" : "s");
		goto out;
	}
	if (m->template.slots && !m->exact) {
		args_wrong(m->f, "{%%} is a number from 1 to N with -j N, and there is no -j");
		goto out;
	}
	if (w->dry) {
		status = print_commands(m);
		goto out;
	}
	if (m->template.slots)
		number_slots(m);
	status = EXIT_FAILED;
	if (w->joblog == NULL || (m->joblog = joblog_open(m->f, w->joblog, t->pool, w->resume)) != NULL)
		status = map_items(m, t);
out:
	map_clear(m);
	return status;
}

/* A number; as parallel has it, also one more (+1) or less (-1) than there are processors here, a percentage of these, and 0 for as many as
 * possible. */
static bool
take_jobs(struct map *m, const char *value)
{
	bool relative = *value == '+' || *value == '-';
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), n;
	char *end;

	errno = 0;
	n = strtol(value, &end, 10);
	if (end == value || errno != 0 || (*end != '\0' && strcmp(end, "%") != 0) || (relative && *end != '\0') || n < -(1 << 20) || n > 1 << 20) {
		args_wrong(m->f, "-j: expected a number of tasks, +N, -N or N%% of the processors here, got '%s'", value);
		return false;
	}
	m->exact = n != 0 || relative;
	if (relative)
		n += cpus;
	else if (*end == '%')
		n = n * cpus / 100;
	if (m->exact)
		m->window = n < 1 ? 1 : (size_t)n;
	return true;
}

/* -n is the name here, and how many arguments a command gets elsewhere. */
static bool
is_name(struct map *m, const struct args *a)
{
	if (a->value[strspn(a->value, "0123456789")] != '\0' || a->word[1] == '-')
		return true;
	args_wrong(m->f, "-n is a name here (--name %s, if it is to be that); for several arguments: paste -sd'\\t\\n' | fut map --colsep '\\t' CMD {1} {2}", a->value);
	return false;
}

/* 1 taken, 0 not one of map's own, -1 wrong (said). */
static int
map_take(struct map *m, struct wishes *w, int key, const char *value)
{
	switch (key) {
	case 'j':
		return take_jobs(m, value) ? 1 : -1;
	case 'k':
		return 1; /* and the like: that is so in any case */
	case '0':
		w->separator = '\0';
		return 1;
	case MAP_AS_COMPLETED:
		m->as_completed = true;
		return 1;
	case MAP_KEEP:
		m->keep = true;
		return 1;
	case MAP_HALT:
		return halt_read(m->f, value, &m->halt) ? 1 : -1;
	case MAP_JOBLOG:
		w->joblog = value;
		return 1;
	case MAP_RESUME:
		w->resume = true;
		return 1;
	case MAP_COLSEP:
		w->columns = column_text(value);
		return 1;
	case MAP_DRY:
		w->dry = true;
		return 1;
	default:
		return 0;
	}
}

static int
map_main(struct fut *f, int argc, char **argv)
{
	struct map m = { .f = f, .window = WINDOW, .most = BLOCK_MOST };
	struct wishes w = { .separator = '\n' };
	struct args a;
	struct task t;
	int key, taken, status;

	m.last = &m.first;
	m.again_last = &m.again;
	task_init(&t, f);
	args_init(&a, f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == ARGS_STOP || (key == 'n' && !is_name(&m, &a)) || (taken = map_take(&m, &w, key, a.value)) < 0 || (taken == 0 && task_take(&t, key, a.value) < 0)) {
			task_clear(&t);
			return key == ARGS_STOP ? a.status : fut_usage(f);
		}
	status = map_begin(&m, &t, &a, &w);
	task_clear(&t);
	return status;
}

static const struct option_row map_options[] = {
	{ 'j', "jobs", "N", "at most N at once, beside what the pool allows; +N, -N, N%: of the processors here" },
	{ MAP_AS_COMPLETED, "as-completed", NULL, "print results as they come, not in the order of the items" },
	{ MAP_HALT, "halt", "WHEN,WHAT=N", "give up early: soon or now, once N or N% fail, success or done: now,fail=1" },
	{ MAP_JOBLOG, "joblog", "FILE", "write a line for each item that was run, as GNU parallel does" },
	{ MAP_RESUME, "resume", NULL, "pass over what the joblog says went well, and add to it" },
	{ MAP_COLSEP, "colsep", "SEP", "split each item into {1} {2} … at SEP; \\t is a tab" },
	{ 'k', "keep-order", NULL, "as it is in any case; --bar, --eta, --progress, --line-buffer, --lb and --group are taken, too" },
	{ 'k', "bar", NULL, NULL },
	{ 'k', "eta", NULL, NULL },
	{ 'k', "progress", NULL, NULL },
	{ 'k', "line-buffer", NULL, NULL },
	{ 'k', "linebuffer", NULL, NULL },
	{ 'k', "lb", NULL, NULL },
	{ 'k', "group", NULL, NULL },
	{ '0', "null", NULL, "items on stdin or in files end with NUL instead of newline" },
	{ MAP_DRY, "dry-run", NULL, "print the commands instead of running them" },
	{ MAP_KEEP, "keep", NULL, "do not release those that went well" },
	TASK_ROWS,
	{ 0, NULL, NULL, NULL },
};

/* What parallel has and is otherwise here. */
static const struct option_hint map_hints[] = {
	{ "-N", "for two arguments each: paste -sd'\\t\\n' | fut map --colsep '\\t' CMD {1} {2}" },
	{ "--max-args", "for two arguments each: paste -sd'\\t\\n' | fut map --colsep '\\t' CMD {1} {2}" },
	{ "--max-replace-args", "for two arguments each: paste -sd'\\t\\n' | fut map --colsep '\\t' CMD {1} {2}" },
	{ "--tagstring", "fut --json map has the item beside what it printed" },
	{ "--results", "--keep, and `fut result ID -o FILE` later; or --shell 'CMD {} >DIR/{#}'" },
	{ "--arg-file", "items come from a file with :::: FILE" },
	{ "--dryrun", "it is --dry-run here" },
	{ "--sshlogin", "a daemon elsewhere is asked with -a tls:HOST:PORT" },
	{ "-S", "a daemon elsewhere is asked with -a tls:HOST:PORT" },
	{ "--pipe", "one task is `fut run CMD`, with its stdin; split(1) makes files for several" },
	{ "--ungroup", "the output of a task stays together; `fut logs -f ID` shows it as it comes" },
	{ "-u", "the output of a task stays together; `fut logs -f ID` shows it as it comes" },
	{ NULL, NULL },
};

const struct verb verb_map = {
	.name = "map",
	.operands = "CMD [{}] [::: A B …]",
	.summary = "run a command once per item, from operands or lines of stdin",
	.examples = "  fut map gzip -9 ::: *.log                       # one task per file\n"
		    "  find . -name '*.wav' | fut map flac -s -o {.}.flac {}\n"
		    "  fut map -j 2 --as-completed curl -fsO < urls    # two at a time, output as it comes\n"
		    "  fut map --shell 'wc -l < {} | sort' ::: *.c     # {} is quoted for the shell\n"
		    "  fut map convert {1} -resize {2} {1.}-{2}.png ::: *.png ::: 64 256     # each with each\n"
		    "  fut map --colsep , ./greet {2} {1} :::: people.csv                    # lines of a file, in columns\n"
		    "  fut map --joblog done --resume --halt soon,fail=10% ./step ::: *.in   # again: only what is missing\n"
		    "\n"
		    "  {} item   {.} without extension   {/} last part   {//} directory   {/.} last part without extension\n"
		    "  {#} number   {%} slot, with -j   {2} {2.} {2/} {2//} {2/.} {-1} of several sources or columns\n"
		    "  ::: words   :::: files   :::+ ::::+ going along with the source before   Without any: lines of stdin.\n"
		    "  Without {} and the like the item is the last argument. Output of each task stays together, in the order of the items.\n"
		    "  Status: 0 if all went well, 1 if one failed, 130 after ^C.",
	.options = map_options,
	.hints = map_hints,
	.run = map_main,
	.flags = VERB_COMMAND,
};

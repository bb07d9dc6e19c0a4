/* fut map: one task per item.
 *
 * Items come from operands or from stdin; those that are there go to the daemon in blocks, one `map` request each, with the request to
 * be told of every end. At most `window` are in flight (-j, else 1,024) and at most HELD_ITEMS or HELD_BYTES of results wait for their
 * turn to be printed, so memory stays flat however many items there are. What has been printed and went well is released.
 * It goes otherwise when: a request is refused (no more items are taken; what flies is waited for), ^C (pending and running are
 * cancelled and waited for, a second one leaves them), stdout loses its reader (the same as ^C), or the daemon goes away. */
#include "client/fut/map.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/reach.h"
#include "client/fut/stop.h"

enum { MAP_AS_COMPLETED = TASK_LAST, MAP_KEEP };

enum { WINDOW = 1024, BLOCK_MOST = 512, BLOCK_FIRST = 64, HELD_ITEMS = 8192, HELD_BYTES = 64 << 20, UNSENT_MOST = 4 << 20 };

static struct item *
item_new(struct map *m, const char *text, size_t len)
{
	struct item *i = need(calloc(1, sizeof *i + len + 1));

	memcpy(i->text, text, len);
	i->len = len;
	i->number = ++m->numbers;
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

static void
item_done(struct map *m, struct item *i, const struct futured_reply *reply)
{
	i->outcome = need(futured_reply_copy(reply));
	i->size = map_reply_size(reply);
	m->flying--;
	m->done++;
	m->failed += futured_reply_status(reply) != FUTURED_OK;
	m->held++;
	m->held_bytes += i->size;
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

static void
block_refused(struct map *m, struct block *b, const struct futured_reply *reply)
{
	struct block **at = &m->blocks;

	if (!m->refused)
		m->status = fut_refused(m->f, reply);
	m->refused = true;
	for (size_t i = 0; i < b->count; i++)
		item_done(m, b->items[i], reply);
	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	free(b);
}

/* Only those that are not done: a released one would make the whole call an error. */
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
	futured_packf(p, "{ss}", "running", "kill");
	futured_request(m->f->c, "cancel", p, NULL, NULL, NULL);
	futured_pack_free(p);
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
	if (futured_value_array(v, &n, &inside) && futured_value_next(&inside, &first))
		v = first;
	if (!futured_value_uint(v, &b->first)) {
		block_refused(m, b, reply);
		return;
	}
	for (size_t i = 0; i < b->count; i++)
		b->items[i]->id = b->first + i;
	if (m->signal != 0)
		cancel_block(m, b);
}

/* ---- sending ---- */

static bool
may_send(struct map *m)
{
	return !m->refused && m->signal == 0 && m->flying < m->window && m->held < HELD_ITEMS && m->held_bytes < HELD_BYTES &&
	       futured_unsent(m->f->c) < UNSENT_MOST && items_ready(&m->items);
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
	return room < most ? room : most;
}

static void
send_block(struct map *m)
{
	size_t most = block_size(m);
	struct block *b = need(calloc(1, sizeof *b + most * sizeof b->items[0]));
	struct futured_pack *args = m->scratch, *p = m->params;
	char *program = NULL;
	const char *text;
	size_t len;

	futured_pack_reset(args);
	futured_pack_reset(p);
	b->map = m;
	while (b->count < most && items_next(&m->items, &text, &len)) {
		b->items[b->count++] = item_new(m, text, len);
		if (program == NULL)
			program = template_program(&m->template, text, m->numbers);
		template_args(&m->template, text, len, m->numbers, args);
	}
	b->left = b->count;
	b->next = m->blocks;
	m->blocks = b;
	m->flying += b->count;
	map_pack(m, program, args, b->count, p);
	free(program);
	if (futured_request(m->f->c, m->template.varies ? "submit" : "map", p, on_accepted, b, NULL) != FUTURED_OK) {
		m->refused = true;
		m->status = fut_lost(m->f);
	}
}

/* ---- the loop ---- */

static void
cancel_all(struct map *m)
{
	for (struct block *b = m->blocks; b != NULL; b = b->next)
		cancel_block(m, b);
}

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
		progress_hide(&m->progress);
		fut_note(m->f, "cancelling %zu tasks; ^C again leaves them to themselves", m->flying);
	}
	if (!m->left)
		cancel_all(m);
}

static bool
is_over(struct map *m)
{
	if (m->left || m->lost)
		return true;
	return m->flying == 0 && m->held == 0 && (m->refused || m->signal != 0 || items_over(&m->items));
}

/* Items are read only when there is room for them. */
static int
wanted_fd(struct map *m)
{
	bool room = !m->refused && m->signal == 0 && m->flying < m->window && !items_ready(&m->items);

	return room ? items_fd(&m->items) : -1;
}

static void
turn(struct map *m, int stop)
{
	struct pollfd p[5] = { { futured_fd(m->f->c), futured_events(m->f->c), 0 }, { stop, POLLIN, 0 }, { wanted_fd(m), POLLIN, 0 },
		{ sink_waiting(&m->out) > 0 ? m->out.fd : -1, POLLOUT, 0 }, { sink_waiting(&m->err) > 0 ? m->err.fd : -1, POLLOUT, 0 } };

	if (poll(p, 5, progress_wait(&m->progress)) < 0 && errno != EINTR)
		need(NULL);
	on_signal(m, stop_take());
	if (p[2].revents != 0 && !items_read(&m->items, m->f)) {
		m->refused = true;
		m->status = EXIT_FAILED;
	}
	if (futured_process(m->f->c) != FUTURED_OK) {
		m->lost = true;
		progress_hide(&m->progress);
		m->status = fut_lost(m->f);
	}
	map_print(m);
	if (m->out.error == EPIPE)
		on_signal(m, m->signal == 0 ? SIGPIPE : 0);
	if (is_time(m))
		while (may_send(m))
			send_block(m);
	progress_show(&m->progress, m->done, m->failed, m->items.total);
}

static int
finish(struct map *m)
{
	progress_hide(&m->progress);
	if (m->left) {
		fut_note(m->f, "left %zu tasks to themselves", m->flying);
		return EXIT_SIGNALLED + m->signal;
	}
	sink_drain(&m->out);
	sink_drain(&m->err);
	map_release(m, true);
	map_summary(m);
	if (m->signal != 0)
		return EXIT_SIGNALLED + m->signal;
	if (m->lost || m->refused)
		return m->status;
	return m->failed > 0 ? EXIT_FAILED : EXIT_OK;
}

static int
map_items(struct map *m, struct task *t)
{
	int stop, status;

	if ((status = reach(m->f, REACH_OR_START)) != EXIT_OK)
		return status;
	if ((m->options = task_options(t)) == NULL)
		return EXIT_FAILED;
	futured_options_set(m->options, "watch", "b", 1);
	if (!t->block)
		futured_options_set(m->options, "block", "b", 1);
	m->scratch = need(futured_pack_new());
	m->params = need(futured_pack_new());
	sink_init(&m->out, STDOUT_FILENO);
	sink_init(&m->err, STDERR_FILENO);
	progress_init(&m->progress, m->f);
	futured_on_done(m->f->c, on_done, m);
	if (m->items.operands == NULL && isatty(STDIN_FILENO))
		fut_note(m->f, "one item per line; ^D ends them");
	stop = stop_begin();
	while (may_send(m))
		send_block(m);
	while (!is_over(m))
		turn(m, stop);
	return finish(m);
}

/* ---- arguments ---- */

static int
operands_before(char **operands, int count)
{
	int n = 0;

	while (n < count && strcmp(operands[n], ":::") != 0)
		n++;
	return n;
}

static int
map_begin(struct map *m, struct task *t, struct args *a, char separator)
{
	int words = operands_before(a->operands, a->count), status;
	bool listed = words < a->count;

	if (words == 0)
		return args_wrong(m->f, "expected a command%s", listed ? " in front of :::" : "");
	if (listed && operands_before(a->operands + words + 1, a->count - words - 1) < a->count - words - 1)
		return args_wrong(m->f, "only one ::: is understood");
	if (t->key != NULL)
		return args_wrong(m->f, "--key stands for one task, and map is many");
	if (t->stdin_path != NULL && strcmp(t->stdin_path, "-") == 0)
		return args_wrong(m->f, "--stdin -: map reads its items from there, or nothing");
	m->pool = t->pool;
	template_init(&m->template, a->operands, words, t->shell);
	items_init(&m->items, listed ? a->operands + words + 1 : NULL, a->count - words - 1, separator);
	status = map_items(m, t);
	map_clear(m);
	return status;
}

static int
map_main(struct fut *f, int argc, char **argv)
{
	struct map m = { .f = f, .window = WINDOW };
	char separator = '\n';
	struct args a;
	struct task t;
	int64_t n;
	int key, status;

	m.last = &m.first;
	task_init(&t, f);
	args_init(&a, f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END) {
		status = fut_usage(f);
		if (key == ARGS_STOP) {
			status = a.status;
			goto out;
		} else if (key == 'j') {
			if (!args_int(f, "-j", a.value, 1, 1 << 20, &n))
				goto out;
			m.window = (size_t)n;
			m.exact = true;
		} else if (key == '0')
			separator = '\0';
		else if (key == MAP_AS_COMPLETED)
			m.as_completed = true;
		else if (key == MAP_KEEP)
			m.keep = true;
		else if (task_take(&t, key, a.value) < 0)
			goto out;
	}
	status = map_begin(&m, &t, &a, separator);
out:
	task_clear(&t);
	return status;
}

static const struct option_row map_options[] = {
	{ 'j', "jobs", "N", "at most N at once, beside what the pool allows" },
	{ MAP_AS_COMPLETED, "as-completed", NULL, "print results as they come, not in the order of the items" },
	{ '0', "null", NULL, "items on stdin end with NUL instead of newline" },
	{ MAP_KEEP, "keep", NULL, "do not release those that went well" },
	TASK_ROWS,
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_map = {
	.name = "map",
	.operands = "CMD [{}] [::: A B …]",
	.summary = "run a command once per item, from operands or lines of stdin",
	.examples = "  fut map gzip -9 ::: *.log                       # one task per file\n"
		    "  find . -name '*.wav' | fut map flac -s -o {.}.flac {}\n"
		    "  fut map -j 2 --as-completed curl -fsO < urls    # two at a time, output as it comes\n"
		    "  fut map --shell 'wc -l < {} | sort' ::: *.c     # {} is quoted for the shell\n"
		    "\n"
		    "  {} item   {.} without extension   {/} last part   {//} directory   {/.} last part without extension   {#} number\n"
		    "  Without any of them the item is the last argument. Output of each task stays together, in the order of the items.\n"
		    "  Status: 0 if all went well, 1 if one failed, 130 after ^C.",
	.options = map_options,
	.run = map_main,
};

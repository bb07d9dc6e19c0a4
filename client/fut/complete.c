/* fut __complete WORD…: what could stand in the place of the last word, one a line, with a description behind a tab. The scripts that
 * `fut completion` prints ask this. Whatever goes wrong, it answers with less, and in silence: somebody is typing. It asks the daemon only
 * where names of its own are wanted, starts none, and gives up soon.
 *
 * A line that begins with ':' is for the script: ":files", ":directories", or ":command N", where the words from the Nth on are a command
 * line of their own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/action.h"
#include "client/fut/common.h"
#include "client/fut/list.h"
#include "client/fut/text.h"

enum { IDS_MOST = 100, LIST_MOST = 10000, ASK_MS = 700 };

struct complete {
	struct fut *f;
	const char *word; /* being typed; of --option=value and of a list what stands behind the last = or comma */
	const char *whole; /* as it stands there */
	const struct verb *verb;
	char **operands;  /* whole words in front of it */
	int count;
	bool connected, tried;
};

static void
offer(const struct complete *c, const char *text, const char *about)
{
	if (strncmp(text, c->word, strlen(c->word)) != 0 || strchr(text, '\n') != NULL)
		return;
	text_visible(stdout, c->whole, (size_t)(c->word - c->whole), TEXT_LINE);
	text_visible(stdout, text, strlen(text), TEXT_LINE);
	if (about != NULL && *about != '\0') {
		putchar('\t');
		text_visible(stdout, about, strlen(about), TEXT_LINE);
	}
	putchar('\n');
}

static void
offer_each(const struct complete *c, const char *const *texts)
{
	for (; *texts != NULL; texts++)
		offer(c, *texts, NULL);
}

static const char *seen[IDS_MOST * 8];
static size_t seen_count;

/* Each text once. */
static void
offer_once(struct complete *c, const char *s, size_t len)
{
	char *text = need(strndup(s, len));

	for (size_t i = 0; i < seen_count; i++)
		if (strcmp(seen[i], text) == 0) {
			free(text);
			return;
		}
	if (seen_count == sizeof seen / sizeof seen[0]) {
		free(text);
		return;
	}
	seen[seen_count++] = text; /* until we end, which is soon */
	offer(c, text, NULL);
}

/* ---- what the daemon knows ---- */

static bool
connect_quietly(struct complete *c)
{
	if (!c->tried) {
		c->tried = true;
		c->f->c = need(futured_new());
		c->connected = futured_set_address(c->f->c, c->f->address) == FUTURED_OK && futured_connect(c->f->c) == FUTURED_OK;
	}
	return c->connected;
}

static struct futured_reply *
ask(struct complete *c, const char *method, const struct futured_pack *p)
{
	struct futured_reply *reply = NULL;

	if (!connect_quietly(c) || futured_call(c->f->c, method, p, ASK_MS / 1000.0, &reply) != FUTURED_OK) {
		futured_reply_free(reply);
		return NULL;
	}
	return reply;
}

static void
each_pool(struct complete *c, void (*each)(struct complete *c, struct futured_value pool, const char *name))
{
	struct futured_reply *reply = ask(c, "pools", NULL);
	struct futured_value inside, pool;
	const char *s;
	size_t n, len;

	if (reply != NULL && futured_value_array(futured_reply_value(reply), &n, &inside))
		while (futured_value_next(&inside, &pool))
			if (futured_find_text(pool, "name", &s, &len)) {
				char *name = need(strndup(s, len));

				each(c, pool, name);
				free(name);
			}
	futured_reply_free(reply);
}

static void
offer_pool(struct complete *c, struct futured_value pool, const char *name)
{
	uint64_t busy = 0, workers = 0, pending = 0;
	const char *kind = "";
	char about[128];
	size_t len = 0;

	futured_find_text(pool, "kind", &kind, &len);
	futured_find_uint(pool, "busy", &busy);
	futured_find_uint(pool, "workers", &workers);
	futured_find_uint(pool, "pending", &pending);
	snprintf(about, sizeof about, "%.*s, %" PRIu64 "/%" PRIu64 " busy, %" PRIu64 " pending", (int)len, kind, busy, workers, pending);
	offer(c, name, about);
}

static void
offer_command_pool(struct complete *c, struct futured_value pool, const char *name)
{
	struct futured_value kind;

	if (futured_value_find(pool, "kind", &kind) && futured_value_is_str(kind, "command"))
		offer_pool(c, pool, name);
}

static void
offer_functions(struct complete *c, struct futured_value pool, const char *name)
{
	struct futured_value functions, inside, item;
	const char *s;
	size_t n, len;

	if (strcmp(name, c->operands[0]) != 0 || !futured_value_find(pool, "functions", &functions) ||
	    !futured_value_array(functions, &n, &inside))
		return;
	while (futured_value_next(&inside, &item))
		if (futured_value_text(item, &s, &len))
			offer_once(c, s, len);
}

static struct futured_reply *
ask_behind(struct complete *c, const char *key, const char *value, uint64_t after)
{
	struct futured_pack *p = need(futured_pack_new());
	struct futured_reply *reply;

	if (key != NULL)
		futured_packf(p, "{ss su si}", key, value, "after", after, "limit", LIST_MOST);
	else
		futured_packf(p, "{su si}", "after", after, "limit", LIST_MOST);
	reply = ask(c, "list", p);
	futured_pack_free(p);
	return reply;
}

/* As many as one answer has; where there are more, those with the highest ids. */
static struct futured_reply *
ask_list(struct complete *c, const char *key, const char *value)
{
	struct futured_reply *reply = ask_behind(c, key, value, 0), *newest = NULL, *refused = NULL;
	struct futured_value inside;
	uint64_t last;
	size_t n;

	if (reply == NULL || !futured_value_array(futured_reply_value(reply), &n, &inside) || n < LIST_MOST)
		return reply;
	if (list_last(c->f, ASK_MS / 1000.0, &last, &refused) && last > LIST_MOST)
		newest = ask_behind(c, key, value, last - LIST_MOST);
	futured_reply_free(refused);
	if (newest == NULL || !futured_value_array(futured_reply_value(newest), &n, &inside) || n == 0) {
		futured_reply_free(newest);
		return reply;
	}
	futured_reply_free(reply);
	return newest;
}

/* Calls for the last IDS_MOST futures of a reply, the newest first. */
static void
each_newest(struct complete *c, const struct futured_reply *reply, void (*each)(struct complete *c, struct futured_value map))
{
	struct futured_value inside, map, last[IDS_MOST];
	size_t n, at = 0;

	if (reply == NULL || !futured_value_array(futured_reply_value(reply), &n, &inside))
		return;
	while (futured_value_next(&inside, &map))
		last[at++ % IDS_MOST] = map;
	for (size_t i = 0; i < at && i < IDS_MOST; i++)
		each(c, last[(at - 1 - i) % IDS_MOST]);
}

static void
offer_id(struct complete *c, struct futured_value map)
{
	char number[32], *title = list_title(map), *about;
	const char *state = "";
	bool failed = false;
	uint64_t id = 0;
	size_t len = 0;

	futured_find_uint(map, "id", &id);
	futured_find_text(map, "state", &state, &len);
	futured_find_bool(map, "failed", &failed);
	snprintf(number, sizeof number, "%" PRIu64, id);
	if (asprintf(&about, "%.*s %.60s", failed ? 6 : (int)len, failed ? "FAILED" : state, title != NULL ? title : "") < 0)
		need(NULL);
	offer(c, number, about);
	free(about);
	free(title);
}

static void
offer_ids(struct complete *c, const char *const *states)
{
	for (; *states != NULL; states++) {
		struct futured_reply *reply = ask_list(c, "state", *states);

		each_newest(c, reply, offer_id);
		futured_reply_free(reply);
	}
}

static void
offer_tags(struct complete *c, struct futured_value map)
{
	struct futured_value tags, inside, item;
	const char *s;
	size_t n, len;

	if (futured_value_find(map, "tags", &tags) && futured_value_array(tags, &n, &inside))
		while (futured_value_next(&inside, &item))
			if (futured_value_text(item, &s, &len))
				offer_once(c, s, len);
}

static void
offer_name(struct complete *c, struct futured_value map)
{
	const char *s;
	size_t len;

	if (futured_find_text(map, "name", &s, &len))
		offer_once(c, s, len);
}

/* Functions that were called well lately: all there is to say of a runtime that does not list its own. */
static void
offer_called(struct complete *c, struct futured_value map)
{
	bool failed = false;
	const char *s;
	size_t len;

	futured_find_bool(map, "failed", &failed);
	if (!failed && futured_find_text(map, "fn", &s, &len))
		offer_once(c, s, len);
}

static void
offer_listed(struct complete *c, const char *key, const char *value, void (*each)(struct complete *c, struct futured_value map))
{
	struct futured_reply *reply = ask_list(c, key, value);

	each_newest(c, reply, each);
	futured_reply_free(reply);
}

/* ---- what stands in which place ---- */

static const char *const any_state[] = { "RUNNING", "PENDING", "FINISHED", "CANCELLED", NULL };
static const char *const not_done[] = { "RUNNING", "PENDING", NULL };
static const char *const done[] = { "FINISHED", "CANCELLED", NULL };

/* What stands behind the last of these characters. */
static const char *
behind(const char *text, char c)
{
	const char *last = strrchr(text, c);

	return last != NULL ? last + 1 : text;
}

static bool
takes_list(const struct option_row *row)
{
	return strstr(row->value, "[,") != NULL;
}

/* By what the option's row says stands behind it. */
static void
offer_value(struct complete *c, const struct option_row *row)
{
	static const char *const colors[] = { "auto", "always", "never", NULL };
	static const char *const states[] = { "pending", "running", "cancelled", "finished", "succeeded", "failed", NULL };
	static const char *const halts[] = { "never", "soon,fail=1", "soon,fail=10%", "now,fail=1", "now,success=1", NULL };
	static const char *const limits[] = { "memory=", "processes=", "cpus=", "cpu=", "files=", "file_size=", "core=", "stack=", NULL };

	if (takes_list(row))
		c->word = behind(c->word, ',');
	if (strcmp(row->value, "POOL") == 0)
		each_pool(c, c->verb != NULL && row->key == 'p' && c->verb->flags & VERB_COMMAND ? offer_command_pool : offer_pool);
	else if (strcmp(row->value, "TAG") == 0)
		offer_listed(c, NULL, NULL, offer_tags);
	else if (strcmp(row->value, "NAME") == 0)
		offer_listed(c, NULL, NULL, offer_name);
	else if (strncmp(row->value, "ID", 2) == 0)
		offer_ids(c, any_state);
	else if (strncmp(row->value, "WHEN", 4) == 0)
		offer_each(c, strcmp(row->name, "halt") == 0 ? halts : colors);
	else if (row->name != NULL && strcmp(row->name, "state") == 0)
		offer_each(c, states);
	else if (strncmp(row->value, "WHAT", 4) == 0)
		offer_each(c, limits);
	else if (strncmp(row->value, "FILE", 4) == 0)
		puts(":files");
	else if (strcmp(row->value, "DIR") == 0)
		puts(":directories");
}

static void
offer_verbs(const struct complete *c)
{
	for (size_t i = 0; verbs[i] != NULL; i++)
		if (!(verbs[i]->flags & VERB_HIDDEN))
			offer(c, verbs[i]->name, verbs[i]->summary);
}

static void
offer_pool_operand(struct complete *c)
{
	if (c->count == 1 && strcmp(c->operands[0], "ls") != 0)
		each_pool(c, offer_pool);
}

static void
offer_call_operand(struct complete *c)
{
	if (c->count == 0)
		each_pool(c, offer_pool);
	else if (c->count == 1) {
		each_pool(c, offer_functions);
		offer_listed(c, "pool", c->operands[0], offer_called);
	}
}

static void
offer_operand(struct complete *c)
{
	static const char *const shells[] = { "bash", "zsh", "fish", NULL };
	const struct verb *v = c->verb;

	if (v->actions != NULL && c->count == 0)
		for (const struct action *a = v->actions; a->name != NULL; a++)
			offer(c, a->name, NULL);
	else if (v == &verb_pool)
		offer_pool_operand(c);
	else if (v == &verb_call || v == &verb_bench)
		offer_call_operand(c);
	else if (v == &verb_help && c->count == 0) {
		offer_verbs(c);
		offer(c, "options", "what every verb takes");
	} else if (v == &verb_completion && c->count == 0)
		offer_each(c, shells);
	else if (v == &verb_wait || v == &verb_cancel || v == &verb_why)
		offer_ids(c, not_done);
	else if (v == &verb_retry || v == &verb_release)
		offer_ids(c, done);
	else if (v == &verb_logs || v == &verb_show || v == &verb_result)
		offer_ids(c, any_state);
}

static void
offer_options(const struct complete *c, const struct option_row *row)
{
	char text[64];

	for (; row != NULL && row->key != 0; row++)
		if (row->help == NULL)
			continue;
		else if (row->name != NULL) {
			snprintf(text, sizeof text, "--%s", row->name);
			offer(c, text, row->help);
		} else {
			snprintf(text, sizeof text, "-%c", row->key);
			offer(c, text, row->help);
		}
}

static const struct option_row *
find_in(const struct option_row *row, const char *word)
{
	for (; row != NULL && row->key != 0; row++)
		if (word[1] == '-' ? row->name != NULL && strcmp(row->name, word + 2) == 0 :
				     row->key < OPTION_LONG && row->key == word[1] && word[2] == '\0')
			return row;
	return NULL;
}

static const struct option_row *
find_option(const struct complete *c, const char *word)
{
	const struct option_row *row = c->verb != NULL ? find_in(c->verb->options, word) : NULL;

	return row != NULL ? row : find_in(common_options, word);
}

/* --option=value: the option, and what is typed is the value from then on. */
static const struct option_row *
find_with_value(struct complete *c)
{
	size_t len = strcspn(c->word, "=");
	char *name = need(strndup(c->word, len));
	const struct option_row *row = find_option(c, name);

	free(name);
	c->word += len + 1;
	return row != NULL && row->value != NULL ? row : NULL;
}

/* Goes over the words in front of the last as the parser would. */
static int
complete_main(struct fut *f, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[argc - 1] : "";
	struct complete c = { .f = f, .word = word, .whole = word };
	const struct option_row *waiting = NULL;
	bool options_over = false;
	int i;

	c.operands = need(calloc((size_t)argc + 1, sizeof *c.operands));
	for (i = 1; i < argc - 1; i++) {
		char *at = argv[i];

		if (waiting != NULL) {
			if (waiting->key == 'a')
				f->address = at;
			waiting = NULL;
		} else if (!options_over && strcmp(at, "--") == 0)
			options_over = true;
		else if (!options_over && at[0] == '-' && at[1] != '\0') {
			const struct option_row *row = strchr(at, '=') == NULL ? find_option(&c, at) : NULL;

			waiting = row != NULL && row->value != NULL ? row : NULL;
		} else if (c.verb == NULL) {
			if ((c.verb = verb_find(at)) == NULL)
				goto out;
		} else {
			c.operands[c.count++] = at;
			if (c.verb->flags & VERB_COMMAND)
				break; /* from here on it is another program's */
		}
	}
	if (waiting == NULL && !options_over && strncmp(c.word, "--", 2) == 0 && strchr(c.word, '=') != NULL &&
	    (c.count == 0 || !(c.verb->flags & VERB_COMMAND)))
		waiting = find_with_value(&c);
	if (waiting != NULL)
		offer_value(&c, waiting);
	else if (c.count == 0 && !options_over && c.word[0] == '-') {
		offer_options(&c, c.verb != NULL ? c.verb->options : NULL);
		offer_options(&c, common_options);
	} else if (c.verb == NULL)
		offer_verbs(&c);
	else if (c.verb->flags & VERB_COMMAND)
		printf(":command %d\n", i);
	else if (!options_over && c.word[0] == '-') {
		offer_options(&c, c.verb->options);
		offer_options(&c, common_options);
	} else
		offer_operand(&c);
out:
	free(c.operands);
	futured_free(f->c);
	f->c = NULL;
	return EXIT_OK;
}

const struct verb verb_complete = {
	.name = "__complete",
	.operands = "WORD…",
	.summary = "what the completion scripts ask",
	.examples = "",
	.run = complete_main,
	.flags = VERB_HIDDEN,
};

/* Verbs that are several. */
#include "client/fut/action.h"

#include <stdlib.h>
#include <string.h>

#include "client/fut/guess.h"
#include "client/fut/reach.h"

/* What other programs call them. */
static const char *const synonyms[][2] = { { "list", "ls" }, { "status", "show" }, { "stop", "pause" }, { "start", "resume" },
	{ "hold", "pause" }, { "restart", "stop" }, { "shutdown", "stop" }, { "status", "stats" }, { "info", "stats" } };

static const struct action *
find(const struct action *of, const char *name)
{
	while (of->name != NULL && strcmp(of->name, name) != 0)
		of++;
	return of->name != NULL ? of : NULL;
}

static const char *
meant(const struct action *of, const char *word)
{
	const char *names[32] = { NULL };

	for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
		if (strcmp(synonyms[i][0], word) == 0 && find(of, synonyms[i][1]) != NULL)
			return synonyms[i][1];
	for (size_t i = 0; of[i].name != NULL && i < 31; i++)
		names[i] = of[i].name;
	return guess_word(word, names);
}

static int
unknown(struct args *a, const char *word)
{
	char *hint = guess_text(meant(a->fut->verb->actions, word), "");
	int status = args_wrong(a->fut, "there is no '%s'%s", word, hint);

	free(hint);
	return status;
}

int
action_run(struct args *a)
{
	const struct action *action;
	int count = 0, status;

	if (!args_expect(a, 1, -1))
		return a->status;
	if ((action = find(a->fut->verb->actions, a->operands[0])) == NULL)
		return unknown(a, a->operands[0]);
	while (action->operands[count] != NULL)
		count++;
	if (a->count - 1 < count)
		return args_wrong(a->fut, "%s: expected %s", action->name, action->operands[a->count - 1]);
	if (a->count - 1 > count)
		return args_wrong(a->fut, "%s: '%s' is one too many", action->name, a->operands[1 + count]);
	a->operands++;
	a->count--;
	status = action->alone ? EXIT_OK : reach(a->fut, REACH_ONLY);
	return status == EXIT_OK ? action->run(a) : status;
}

int
action_simple(struct args *a, enum futured_status called, struct futured_reply *reply)
{
	int status = called == FUTURED_OK ? EXIT_OK : fut_refused(a->fut, reply);

	if (called == FUTURED_OK && a->fut->json)
		puts("{}");
	futured_reply_free(reply);
	return status;
}

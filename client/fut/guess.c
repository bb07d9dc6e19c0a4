/* What was probably meant: the word that takes the fewest changes, or what another program's word is called here. */
#include "client/fut/guess.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 32, FAR = 99 };

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance with neighbours swapped counting one, of words shorter than LONGEST, in any case. */
static int
distance(const char *a, const char *b)
{
	int d[3][LONGEST];
	size_t n = strlen(a), m = strlen(b);

	if (n >= LONGEST || m >= LONGEST)
		return FAR;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		int *now = d[i % 3], *before = d[(i - 1) % 3], *earlier = d[(i + 1) % 3];

		now[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);

			now[j] = least(before[j - 1] + !same, least(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], earlier[j - 2] + 1);
		}
	}
	return d[n % 3][m];
}

/* How far a word is from what it may stand for. What is left out at the end costs half; the first letter is seldom mistaken. */
static int
cost(const char *word, const char *meant)
{
	size_t len = strlen(word);

	if (len > 0 && strncasecmp(word, meant, len) == 0)
		return (int)(strlen(meant) - len) / 2;
	return distance(word, meant) + (tolower((unsigned char)*word) != tolower((unsigned char)*meant));
}

const char *
guess_word(const char *word, const char *const *list)
{
	const char *best = NULL;
	int lowest = FAR;

	for (; *list != NULL; list++) {
		size_t len = strlen(word) > strlen(*list) ? strlen(word) : strlen(*list);
		int c = cost(word, *list);

		if (c < lowest && (size_t)c * 2 <= len) {
			lowest = c;
			best = *list;
		}
	}
	return best;
}

/* Words that other programs have for a verb of ours, and actions typed as verbs. */
static const char *const synonyms[][2] = {
	{ "status", "ls" }, { "list", "ls" }, { "ps", "ls" }, { "queue", "ls" }, { "watch", "ls --watch" }, { "add", "submit" },
	{ "enqueue", "submit" }, { "exec", "run" }, { "kill", "cancel" }, { "stop", "cancel" }, { "rm", "release" }, { "remove", "release" },
	{ "clean", "release" }, { "forget", "release" }, { "log", "logs" }, { "output", "logs" }, { "follow", "logs" }, { "tail", "logs" },
	{ "attach", "logs" }, { "cat", "logs" }, { "info", "show" }, { "inspect", "show" }, { "restart", "retry" }, { "rerun", "retry" },
	{ "pools", "pool" }, { "errors", "failures" }, { "ping", "daemon ping" }, { "stats", "daemon stats" }, { "start", "daemon start" },
	{ "shutdown", "daemon stop" }, { "version", "daemon version" }, { "reload", "daemon reload" }, { "config", "daemon config" },
	{ "drain", "daemon drain" }, { "backup", "daemon backup" }, { "token", "daemon token" }, { "pause", "pool pause" },
	{ "resume", "pool resume" }, { "resize", "pool resize" }, { "parallel", "map" },
};
enum { SYNONYMS = sizeof synonyms / sizeof synonyms[0] };

static const char *
synonym(const char *word)
{
	for (size_t i = 0; i < SYNONYMS; i++)
		if (strcmp(synonyms[i][0], word) == 0)
			return synonyms[i][1];
	return NULL;
}

const char *
guess_verb(const char *word)
{
	const char *names[64] = { NULL }, *others[SYNONYMS + 1] = { NULL }, *meant = synonym(word);

	for (size_t n = 0, at = 0; verbs[n] != NULL && at < 63; n++)
		if (!(verbs[n]->flags & VERB_HIDDEN))
			names[at++] = verbs[n]->name;
	for (size_t i = 0; i < SYNONYMS; i++)
		others[i] = synonyms[i][0];
	if (meant == NULL)
		meant = guess_word(word, names);
	if (meant == NULL && (meant = guess_word(word, others)) != NULL)
		meant = synonym(meant);
	return meant;
}

char *
guess_text(const char *meant, const char *otherwise)
{
	char *text = NULL;
	int n;

	if (meant == NULL)
		return need(strdup(otherwise));
	/* A whole command is shown as one that can be typed. */
	n = strchr(meant, ' ') != NULL ? asprintf(&text, "; did you mean `fut %s`?", meant) : asprintf(&text, "; did you mean '%s'?", meant);
	return need(n < 0 ? NULL : text);
}

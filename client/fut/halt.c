/* When map gives up early. */
#include "client/fut/halt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/args.h"

enum { AT_LEAST = 3 };

/* Takes one of the words from the front of *text. */
static int
take_word(const char **text, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strncmp(*text, words[i], strlen(words[i])) == 0) {
			*text += strlen(words[i]);
			return i;
		}
	return -1;
}

bool
halt_read(struct fut *f, const char *text, struct halt *h)
{
	static const char *const whens[] = { "never", "soon,", "now,", NULL }, *const whats[] = { "fail=", "success=", "done=", NULL };
	const char *at = text;
	int when = take_word(&at, whens), what;
	char *end;

	h->when = HALT_NEVER;
	if (when == HALT_NEVER && *at == '\0')
		return true;
	if (when <= 0 || (what = take_word(&at, whats)) < 0 || !isdigit((unsigned char)*at))
		goto wrong;
	errno = 0;
	h->count = strtoull(at, &end, 10);
	h->percent = strcmp(end, "%") == 0;
	if (errno != 0 || h->count == 0 || (!h->percent && *end != '\0') || (h->percent && h->count > 100))
		goto wrong;
	h->when = (enum halt_when)when;
	h->what = (unsigned)what;
	return true;
wrong:
	args_wrong(f, "--halt: expected never, or soon or now with fail, success or done and a number: now,fail=1 or soon,fail=10%%; got '%s'",
		text);
	return false;
}

bool
halt_is_reached(const struct halt *h, uint64_t done, uint64_t failed, uint64_t total)
{
	uint64_t n = h->what == HALT_FAIL ? failed : h->what == HALT_SUCCESS ? done - failed : done;

	if (h->when == HALT_NEVER)
		return false;
	if (!h->percent)
		return n >= h->count;
	if (total == 0 && done < AT_LEAST)
		return false;
	return n > 0 && (double)n * 100 >= (double)h->count * (double)(total > 0 ? total : done);
}

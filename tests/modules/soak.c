/* A task of the soak as a C function: see tests/soak/mark.h. A failing one raises TryAgain. */
#include <futured_task.h>

#include "tests/soak/mark.h"

static int
mark(struct futured_task *t)
{
	char ledger[4096], word[128], *out;
	struct mark m = { .ledger = ledger, .word = word, .id = futured_id(t), .attempt = futured_attempt(t) };

	if (!futured_args(t, 6, 7) || !futured_arg_cstr(t, 0, ledger, sizeof ledger) || !futured_arg_cstr(t, 1, word, sizeof word) ||
	    !futured_arg_int(t, 2, &m.sleep_us) || !futured_arg_int(t, 3, &m.fail_until) || !futured_arg_int(t, 4, &m.size) || !futured_arg_int(t, 5, &m.stray))
		return FUTURED_FAILED;
	if (!mark_run(&m, &out))
		return futured_fail(t, "TryAgain", "attempt %u of %s", m.attempt, m.word);
	futured_put_str(t, out, (size_t)m.size);
	free(out);
	return FUTURED_OK;
}

static const struct futured_function functions[] = {
	{"mark", mark, NULL},
	{NULL, NULL, NULL},
};

FUTURED_MODULE("soak", functions, NULL, NULL);

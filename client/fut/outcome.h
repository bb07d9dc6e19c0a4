/* What became of a task, for people and for exit statuses. */
#ifndef FUT_OUTCOME_H
#define FUT_OUTCOME_H

#include "client/fut/fut.h"

/* The status to exit with: the task's own; 124 it ran out of time; 126, 127; 128 + N killed by signal N; 1 where a function
 * raised an exception; 125 anything else. */
int outcome_status(const struct futured_reply *reply);
int outcome_status_of(const struct futured_error *e);
/* Says on stderr what a shell would not have shown: nothing for success and plain exit statuses. */
void outcome_say(const struct fut *f, const struct futured_error *e);
/* In a few words: "exit 3", "signal 9 (Killed)", "ValueError: …". The caller frees. */
char *outcome_words(const struct futured_error *e);

/* Whether a shell would have said nothing of it: an exit status, a signal. */
bool outcome_is_plain(const struct futured_error *e);
/* What was probably meant by a command that was not found; NULL: there is nothing to say. */
const char *outcome_hint(const struct futured_error *e);

/* One JSON object and a newline: {"id", "status", "value" | "error"}. */
void outcome_json(FILE *out, uint64_t id, const struct futured_reply *reply);

/* What a command left: true if the reply is a command's outcome, well or not. */
struct printed {
	const void *out, *err;
	size_t out_len, err_len;
	uint64_t out_cut, err_cut;
	bool has_out, has_err;
};
bool outcome_printed(const struct futured_reply *reply, struct printed *p);
/* The same of a command's value or its error. */
void outcome_streams(struct futured_value map, struct printed *p);

#endif

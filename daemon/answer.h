/* What a host says about a task: taken apart, and applied to its future. */
#ifndef FUTURED_DAEMON_ANSWER_H
#define FUTURED_DAEMON_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/future.h"
#include "proto/reader.h"

struct host;
struct stream;

enum answer_verb { ANSWER_OK, ANSWER_ERROR, ANSWER_CANCELLED, ANSWER_EXIT, ANSWER_OUTPUT, ANSWER_PROGRESS };

struct answer {
	enum answer_verb verb;
	uint64_t id;
	struct reader body; /* what follows the id */
};

/* False, with a constant sentence, if it is no message of a slot. `id` is set whenever it could be read, else 0. */
bool answer_parse(const uint8_t *bytes, size_t len, struct answer *out, const char **why);
/* Whether it ends the task. */
bool answer_is_last(const struct answer *a);
/* output, progress. False, with a constant sentence, if what it says is not that. */
bool answer_apply_early(const struct answer *a, struct future *f, const char **why);
/* The others: the future reaches its next state. The frame is the stream's, and may be taken from it. */
void answer_apply(const struct answer *a, struct future *f, struct stream *st, const uint8_t *frame, size_t len);
/* The host died while it ran this: WorkerLostError, or whatever it was being stopped for. */
void answer_lost(struct future *f, const struct host *h, int wait_status);

#endif

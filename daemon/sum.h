/* Checksums of what is stored: against damage, not against an attacker. */
#ifndef FUTURED_DAEMON_SUM_H
#define FUTURED_DAEMON_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sum_text {
	const void *at;
	size_t len;
};

enum { SUM_SPEC_TEXTS = 7 };

int64_t sum_task(uint64_t id, uint64_t spec, uint64_t gate, const void *args, size_t len);
/* pool, owner, fn, kwargs, run, env, stdin; and numbers. */
int64_t sum_spec(const struct sum_text text[SUM_SPEC_TEXTS], uint32_t run_pairs, int stdin_kind, uint64_t stdin_future, uint32_t retries);
/* Of a value that is in a file (PAYLOAD_LARGE or longer) only the rest is summed: it would have to be read from end to end at each start. */
int64_t sum_result(uint64_t id, const char *state, bool failed, struct sum_text value, struct sum_text rusage);

#endif

#include "daemon/sum.h"

#include <string.h>

#include "daemon/payload.h"

static const uint64_t basis = 0xcbf29ce484222325u;

/* FNV-1a over 8 bytes at a time. */
static uint64_t
sum(uint64_t h, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t word;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		h = (h ^ word) * 0x100000001b3u;
		h ^= h >> 29;
	}
	word = len;
	if (len)
		memcpy((uint8_t *)&word + 1, at, len);
	h = (h ^ word) * 0x100000001b3u;
	return h ^ h >> 32;
}

static uint64_t
sum_int(uint64_t h, int64_t value)
{
	return sum(h, &value, sizeof value);
}

int64_t
sum_task(uint64_t id, uint64_t spec, uint64_t gate, const void *args, size_t len)
{
	return (int64_t)sum(sum_int(sum_int(sum_int(basis, (int64_t)id), (int64_t)spec), (int64_t)gate), args, len);
}

int64_t
sum_spec(const struct sum_text text[SUM_SPEC_TEXTS], uint32_t run_pairs, int stdin_kind, uint64_t stdin_future, uint32_t retries)
{
	uint64_t h = basis;

	for (int i = 0; i < SUM_SPEC_TEXTS; i++)
		h = sum(h, text[i].at, text[i].len);
	return (int64_t)sum_int(sum_int(sum_int(sum_int(h, run_pairs), stdin_kind), (int64_t)stdin_future), retries);
}

int64_t
sum_result(uint64_t id, const char *state, bool failed, struct sum_text value, struct sum_text rusage)
{
	uint64_t h = sum_int(sum_int(basis, (int64_t)id), failed);

	h = sum(h, state, strlen(state));
	return (int64_t)sum(value.len < PAYLOAD_LARGE ? sum(h, value.at, value.len) : h, rusage.at, rusage.len);
}

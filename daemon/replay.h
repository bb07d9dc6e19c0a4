/* What an engine tells at start-up, and what becomes of it: specs, futures, keys and opened pools as they were, in the order of their ids.
 * What was in a worker's hands is judged by the claim boards that the last daemon left: begun, it runs again if it has tries left, else fails;
 * not begun, it goes back to its place. */
#ifndef FUTURED_DAEMON_REPLAY_H
#define FUTURED_DAEMON_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/batch.h"

/* A record as it is in the engine; texts and bytes are the engine's, until the call returns. Times: wall clock microseconds. */
struct replay_text {
	const char *at; /* NULL: none */
	size_t len;
};

/* The protocol's bound on durations: what is beyond it was not written by us. */
#define REPLAY_LONGEST_US UINT64_C(1000000000000000)

/* Where a spec's pool came from. */
enum replay_opened { REPLAY_CONFIGURED, REPLAY_OPENED, REPLAY_BOUND };

struct replay_spec {
	uint64_t row;
	enum replay_opened opened;
	struct replay_text pool, kind, owner, fn, name;
	struct replay_text tags, kwargs, run, env, stdin_bytes;
	uint32_t run_pairs;
	int stdin_kind;
	uint64_t stdin_future;
	int32_t priority;
	uint32_t retries;
	uint64_t timeout_us, deadline_us, delay_us, retry_delay_us, retain_us;
	bool damaged; /* its checksum says so */
};

struct replay_task {
	uint64_t id, spec, gate;
	int64_t submitted, not_before;
	uint32_t attempt;
	bool let_go, killed, fed, damaged, value_lost, value_damaged;
	struct replay_text args;
	/* A result, where there is one. */
	bool final, failed, seen;
	uint8_t state;
	int64_t started, finished;
	struct replay_text value, rusage;
	const struct bytes *args_bytes, *value_bytes; /* instead, where they are in files; borrowed */
};

struct replay;

/* Called by the engine, in this order. False without memory. What is damaged is dealt with here, and never makes them fail. */
void replay_ids(struct replay *r, uint64_t next);
void replay_instance(struct replay *r, struct replay_text instance);
/* By what times were stored: the boot, and what was added to its clock. */
void replay_clock(struct replay *r, struct replay_text clock);
bool replay_pool(struct replay *r, uint64_t row, struct replay_text name, struct replay_text what);
bool replay_spec(struct replay *r, const struct replay_spec *s);
/* What was done to a pool by hand. `paused`: since when; `workers`: how many, when so many were `configured`; 0: nothing of that. */
bool replay_by_hand(struct replay *r, struct replay_text pool, int64_t paused, struct replay_text by, uint32_t workers, uint32_t configured);
/* `ids`: a JSON array, negative for those that are not stored. `passed`: when nothing was left to wait for; 0: not yet. */
bool replay_gate(struct replay *r, uint64_t row, struct replay_text ids, int64_t passed);
bool replay_sent(struct replay *r, uint64_t host, uint32_t slot, const struct note_sent *sent, size_t count);
/* In the order of ids. */
bool replay_task(struct replay *r, const struct replay_task *t);
bool replay_output(struct replay *r, uint64_t id, int stream, struct replay_text bytes, uint64_t cut);
bool replay_key(struct replay *r, uint64_t first, uint64_t count, struct replay_text owner, struct replay_text key);

/* Reads the store and makes everything be there; pools of the configuration must be. False, with a sentence. */
bool replay_all(char *why, size_t why_size);

#endif

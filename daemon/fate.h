/* What is to become of the futures that a store had, once all of them are there: final ones are kept for the rest of their time, pending ones are
 * placed, in the order in which they became ready to run, and those that had begun fail or are tried again. */
#ifndef FUTURED_DAEMON_FATE_H
#define FUTURED_DAEMON_FATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct bytes;
struct future;
struct gate;

/* A gate as it was stored. */
struct known_gate {
	uint64_t row;
	int64_t *ids; /* owned; negative: of one that is not stored */
	size_t count;
	uint64_t last;  /* the highest of them; UINT64_MAX: it is damaged */
	uint64_t spec;  /* row of the one that it goes with; 0: none yet */
	bool over;      /* nothing is left to wait for */
	int64_t passed; /* since when; not over: when the last of those that have ended did */
	struct gate *gate; /* shared; made for the first that waits behind it */
	UT_hash_handle hh;
};

/* A future that is there, and what is to become of it when all are. */
struct fate {
	struct future *future;
	struct known_gate *gate; /* NULL: none */
	int64_t when; /* wall clock: when it finished; a pending one: when it became ready, were it not for its gate */
	bool begun, damaged, gone, killed, fed;
	bool final;
};

struct fates {
	struct fate *all; /* in the order of ids, until they are settled; owned, by whoever has this */
	size_t count, size;
	uint64_t kept, waiting, again, lost; /* what became of them */
};

uint64_t known_gate_id(const struct known_gate *g, size_t i);
/* Its ids as they were submitted. False without memory. */
bool known_gate_as_option(const struct known_gate *g, struct bytes *after);

/* One more, all zero; NULL without memory. Those before it move. */
struct fate *fates_add(struct fates *fates);
/* References in the arguments; borrowed until the next call. False without memory. */
bool fate_references(const struct future *f, uint64_t **ids, size_t *count);
/* Whether it waits for what was not there before it was: itself, say. `refs`: what its arguments refer to. */
bool fate_is_behind_later(const struct fate *fate, const uint64_t *refs, size_t count);
/* Whoever waits, behind what it waits for; final ones, oldest first; then the pending ones go to their places; then those that had been let go, and
 * that nobody needs, go. False without memory. */
bool fates_settle(struct fates *fates);

#endif

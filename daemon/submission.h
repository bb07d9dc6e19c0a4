/* A submission: what submit, map and call have in common. Pool, function and options become a spec; what is about this one submit only
 * (key, after) stays beside it. The last spec of a connection is used again when pool, fn and options came in the same bytes. */
#ifndef FUTURED_DAEMON_SUBMISSION_H
#define FUTURED_DAEMON_SUBMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/request.h"
#include "daemon/spec.h"

enum submission_kind { SUBMISSION_ONE, SUBMISSION_MAP, SUBMISSION_CALL };

struct submission {
	enum submission_kind kind;
	struct spec *spec;     /* counted */
	const uint8_t *args;   /* the raw array: arguments, or for map an array of such; in the frame */
	size_t args_len;
	const char *key;       /* in the frame; NULL: none */
	size_t key_len;
	uint64_t *after;       /* owned */
	size_t after_count;
	bool made;             /* a future was made for it; else its key stood for one */
};

/* Reads the parameters. False: answered already. submission_clear afterwards. */
bool submission_read(struct request *r, enum submission_kind kind, struct submission *out);
void submission_clear(struct submission *s);

/* One task's arguments looked at: that the pool's kind can take them, and which futures they refer to. */
struct arguments {
	uint64_t *refs; /* owned */
	size_t count, size;
};
/* `at` is how they are named in messages ("args", "args[3]"). False: answered already. */
bool arguments_check(struct request *r, const struct pool *p, const char *at, const uint8_t *raw, size_t len, struct arguments *out);
void arguments_clear(struct arguments *a);

/* A future that was made for it but is not to be had yet: its own gate, deadline and delay are set. False without memory. */
bool submission_prepare(struct future *f, const struct submission *s, const struct arguments *a);
/* Puts a future that is to be had where it waits: behind `shared` (NULL: none) or its own gate, else ready. */
void submission_place(struct future *f, struct gate *shared);

#endif

/* Whether what a record of the store says can be what we wrote. Its checksum guards against a task that is another one; this, against what would be
 * passed on as it is, and is no text, no value or no number that anybody could have asked for: a store is input like any other. */
#ifndef FUTURED_DAEMON_RECORD_H
#define FUTURED_DAEMON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/replay.h"
#include "proto/reader.h"

enum { POOL_NAME_MAX = 127 }; /* of one that was opened: longer than those of the configuration */

/* 1 to `most` bytes of UTF-8 without NUL. */
bool record_is_text(struct replay_text t, size_t most);
/* The name of an owner. */
bool record_is_owner(struct replay_text t);
/* One whole value of that type and nothing behind it, nested at most so deep; READER_END: of any type. */
bool record_is_value(const void *data, size_t len, enum reader_type type, unsigned depth);
/* An array of str (UTF-8), or where they need not be UTF-8 of bin, too. */
bool record_is_texts(struct replay_text t, bool utf8);
/* So many keys that are str, each with its value. */
bool record_is_pairs(struct replay_text t, uint64_t pairs);
/* The map of an error. */
bool record_is_error(const void *data, size_t len);
/* All that stands behind `at` is a decimal number. */
bool record_read_number(struct replay_text t, size_t at, int64_t *out);
/* Ids as a JSON array, each a future's, or one's times -1: puts them into `out`, which has room for `most`; *count says how many there are, or would be. */
bool record_read_ids(struct replay_text t, int64_t *out, size_t most, size_t *count);
/* Takes what is wrong out of a spec. False if that was part of what would run. */
bool record_mend_spec(struct replay_spec *s);

#endif

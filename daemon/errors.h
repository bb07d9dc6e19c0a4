/* Error maps as payload bytes: what a failed future holds. All return an empty value without memory; error_of
 * then makes do with what fits in place. */
#ifndef FUTURED_DAEMON_ERRORS_H
#define FUTURED_DAEMON_ERRORS_H

#include <stdbool.h>

#include "daemon/bytes.h"
#include "daemon/future.h"
#include "proto/buf.h"
#include "proto/reader.h"

struct bytes error_bytes(enum status s, uint64_t future, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The error of a final future that did not succeed: its own, or a CancelledError. */
struct bytes error_of(const struct future *f);
/* The same, but never a DependencyError: then the cause inside it. */
struct bytes error_cause(const struct future *f);
/* The map in short: type, message, future and task. For where there is no room for all of it. */
void error_pack_brief(struct buf *b, const struct bytes *map);
/* DependencyError with that cause (borrowed). */
struct bytes error_dependency(const struct future *f, const struct bytes *cause);
/* TaskTimeoutError with `deadline: true`. */
struct bytes error_deadline(const struct future *f);
/* The error map that a host sent, as the future's own: `future` and `task: true` are added. Empty if it is no error map. */
struct bytes error_adopt(struct reader map, uint64_t future, bool task);
#endif

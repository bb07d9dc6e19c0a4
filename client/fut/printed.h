/* A task's output, read from the daemon and written raw to descriptors of ours. Each returns EXIT_OK, or what to exit with, said.
 * A reader that leaves ends us as it ends any filter: by SIGPIPE. */
#ifndef FUT_PRINTED_H
#define FUT_PRINTED_H

#include "client/fut/fut.h"

/* Calls `each` for all of a stream from *offset on, a piece at a time, until it returns false. */
int printed_each(struct fut *f, uint64_t id, const char *stream, uint64_t *offset,
	bool (*each)(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data), void *data);
/* All of a stream; *length is how many bytes that were. */
int printed_copy(struct fut *f, uint64_t id, const char *stream, int fd, uint64_t *length);
/* Its last lines; *offset is where it ended. */
int printed_tail(struct fut *f, uint64_t id, const char *stream, int fd, int64_t lines, uint64_t *offset);

struct printed_from {
	uint64_t out, err;
};
/* Follows to the end, from these offsets; a descriptor of -1 leaves its stream out. */
int printed_follow(struct fut *f, uint64_t id, int out_fd, int err_fd, struct printed_from from);
/* What a future that is done printed, and how much of it was kept, beyond the bound of its pool for instance. Zeros while it is not
 * done, and where that cannot be known. `map` is what `show` answers. Where there were several attempts `total` is of the last alone. */
struct printed_sizes {
	uint64_t total, kept;
};
void printed_sizes(struct fut *f, struct futured_value map, struct printed_sizes *out, struct printed_sizes *err);
/* Says that bytes are missing; true if some are. */
bool printed_is_cut(const struct fut *f, uint64_t id, const char *stream, struct printed_sizes sizes);
/* The same for streams of a future that is asked for. EXIT_OK, or what to exit with where bytes are missing. */
int printed_check(struct fut *f, uint64_t id, bool out, bool err);
/* {"id", "stream", "offset", "data"} per piece. */
int printed_json(struct fut *f, uint64_t id, bool out, bool err, bool follow);

#endif

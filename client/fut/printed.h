/* A task's output, read from the daemon and written raw to descriptors of ours. Each returns EXIT_OK, or what to exit with, said.
 * A reader that leaves ends us as it ends any filter: by SIGPIPE. */
#ifndef FUT_PRINTED_H
#define FUT_PRINTED_H

#include "client/fut/fut.h"

/* Calls `each` for all of a stream from *offset on, a piece at a time, until it returns false. */
int printed_each(struct fut *f, uint64_t id, const char *stream, uint64_t *offset,
	bool (*each)(struct fut *f, const char *stream, uint64_t offset, const void *bytes, size_t len, void *data), void *data);
/* All of a stream. */
int printed_copy(struct fut *f, uint64_t id, const char *stream, int fd);
/* Its last lines; *offset is where it ended. */
int printed_tail(struct fut *f, uint64_t id, const char *stream, int fd, int64_t lines, uint64_t *offset);

struct printed_from {
	uint64_t out, err;
};
/* Follows to the end, from these offsets; a descriptor of -1 leaves its stream out. */
int printed_follow(struct fut *f, uint64_t id, int out_fd, int err_fd, struct printed_from from);
/* {"id", "stream", "offset", "data"} per piece. */
int printed_json(struct fut *f, uint64_t id, bool out, bool err, bool follow);

#endif

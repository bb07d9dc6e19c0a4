/* What a task prints, while it runs and after: two streams of bytes with growing offsets.
 *
 * The first bytes (the pool's `output`) are kept in memory; a stream that grows beyond them goes, whole, into a file in the
 * state directory, so the daemon's memory does not grow with it. Beyond the pool's `spill` bytes are counted and cut. A command that printed
 * little has no struct output at all: what it printed is in its value. Attempts share one stream. */
#ifndef FUTURED_DAEMON_OUTPUT_H
#define FUTURED_DAEMON_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/future.h"
#include "proto/buf.h"

enum output_stream { OUTPUT_STDOUT, OUTPUT_STDERR, OUTPUT_STREAMS };

struct output;

/* Someone who is told when there is more, or when it ended. */
struct follower {
	struct follower *next, *prev;
	/* Called as often as something came; once more when the future is final (after its output was closed). */
	void (*more)(struct follower *w, struct future *f);
};

/* Where spilled output goes. The directory must exist. */
void output_set_directory(const char *path);
/* "stdout" or "stderr". */
const char *output_stream_name(enum output_stream which);
bool output_stream_find(const char *name, size_t len, enum output_stream *out);

/* Appends what a task printed. Without memory or disk it is counted as cut. */
void output_append(struct future *f, enum output_stream which, const void *bytes, size_t len);
/* Bytes that can be read of a stream so far. */
uint64_t output_length(const struct future *f, enum output_stream which);
/* Appends to b what stands at offset, `max` bytes at most; nothing at the end. */
void output_read(const struct future *f, enum output_stream which, uint64_t offset, size_t max, struct buf *b);
/* All that the last attempt of a finished command printed, which is what its value stands for; false if some of it was cut, or it is longer than
 * `limit`. */
bool output_read_last(const struct future *f, enum output_stream which, uint64_t limit, struct buf *b);
/* Packs {stdout, stderr} and what was cut as pairs of a command's value or ExitError; returns how many pairs. Not `kept`: as if all was cut. */
unsigned output_pack_pairs(struct future *f, bool kept, struct buf *b);
/* Another attempt begins: what it prints comes behind what is there, and its value will hold that alone. */
void output_next_attempt(struct future *f);
/* What of a final future's stream is in memory and not in its value, copied. False if there is none. */
bool output_kept(const struct future *f, enum output_stream which, struct bytes *out);
/* Bytes that came and were not kept. */
uint64_t output_cut(const struct future *f, enum output_stream which);
/* Its length; 0 if there is none. */
uint64_t output_kept_length(const struct future *f, enum output_stream which);
/* Whether all of a stream is in a file, and the path that it has then (any thread). */
bool output_is_file(const struct future *f, enum output_stream which);
void output_path(uint64_t id, enum output_stream which, char *path, size_t size);
/* A final future of an earlier daemon printed this (nothing: it is in a file), and so much more that was not kept. False without memory. */
bool output_restore(struct future *f, enum output_stream which, const void *bytes, size_t len, uint64_t cut);
/* Finds the files of earlier daemons' final futures again, and removes those that are nobody's. */
void output_adopt_files(void);
/* The future is final: closes files, gives memory back that its value holds as well, tells followers. */
void output_finish(struct future *f);
void output_free(struct output *o);

/* False without memory. */
bool output_follow(struct future *f, struct follower *w);
void output_unfollow(struct future *f, struct follower *w);
/* Bytes on disk. */
uint64_t output_spilled(void);

#endif

/* Bytes on their way to stdout or stderr, written without ever blocking, so that signals, stdin and the daemon are still heard
 * while whoever reads us is slow. */
#ifndef FUT_SINK_H
#define FUT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink {
	int fd;
	char *data; /* waiting, from `at` on */
	size_t at, len, cap;
	bool whole;  /* a regular file: writes never wait */
	bool gone;   /* nobody reads it any more, or it cannot be written: what comes is dropped */
	int error;   /* why, an errno; EPIPE is a reader that has left */
};

void sink_init(struct sink *s, int fd);
void sink_free(struct sink *s);
void sink_add(struct sink *s, const void *bytes, size_t len);
/* Writes what can be written now. */
void sink_flush(struct sink *s);
/* Waits until all is written. */
void sink_drain(struct sink *s);
size_t sink_waiting(const struct sink *s);

#endif

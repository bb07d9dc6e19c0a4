/* Error maps: {type, message, future?, …}, made and taken apart. */
#ifndef FUTURED_PROTO_ERROR_H
#define FUTURED_PROTO_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/reader.h"
#include "proto/status.h"

/* Begins an error map that will have `extra` more pairs behind `type`, `message` and (if future is not 0) `future`; the
 * caller packs them. The message is cut at 4 KiB and made valid UTF-8. */
void error_begin(struct buf *b, enum status s, uint64_t future, size_t extra, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The same, whole: without extra pairs. fmt NULL: the status's own sentence. */
void error_pack(struct buf *b, enum status s, uint64_t future, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* An error map taken apart; strings point into the bytes read and are not terminated. */
struct error_view {
	enum status status; /* STATUS_OK if the type is not one of ours, or `task` is true */
	const char *type;
	size_t type_len;
	const char *message;
	size_t message_len;
	const char *traceback;
	size_t traceback_len;
	uint64_t future; /* 0: none */
	bool task;
	bool has_exit;
	int64_t exit;
	int64_t signal; /* 0: none */
	const uint8_t *stderr_tail; /* NULL: none */
	size_t stderr_len;
};

/* Reads one error map, passing over it. False if it is not a map with a str `type`; unknown keys are ignored. */
bool error_read(struct reader *r, struct error_view *out);

#endif

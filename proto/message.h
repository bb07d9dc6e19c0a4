/* The three MessagePack-RPC messages: taking their envelope apart, and writing it.
 *
 *     request       [0, msgid, method, params]
 *     response      [1, msgid, error|nil, result|nil]
 *     notification  [2, method, params]
 */
#ifndef FUTURED_PROTO_MESSAGE_H
#define FUTURED_PROTO_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/reader.h"

enum message_type { MESSAGE_REQUEST = 0, MESSAGE_RESPONSE = 1, MESSAGE_NOTIFICATION = 2 };

struct message {
	enum message_type type;
	uint32_t msgid;        /* request, response */
	const char *method;    /* request, notification; not terminated; str or bin on the wire */
	size_t method_len;
	uint32_t param_count;  /* request, notification */
	struct reader params;  /* at the first parameter; ends at the end of the params array */
	struct reader error;   /* response: at its error (nil if none) */
	struct reader result;  /* response: at its result */
};

enum message_verdict {
	MESSAGE_OK,
	MESSAGE_MORE, /* nothing wrong so far, but not whole */
	MESSAGE_BAD,
};

/* Takes a message apart. `bytes` may be only the beginning of a frame: then MESSAGE_BAD is still said as early as the
 * bytes prove it (wrong element count, unknown type, msgid that is no uint32, method that is no str or bin, params that is
 * no array), else MESSAGE_MORE. On MESSAGE_BAD *why is a constant sentence. `out` is written only on MESSAGE_OK and
 * points into bytes. A whole frame must have passed frame_scan. */
enum message_verdict message_parse(const void *bytes, size_t len, struct message *out, const char **why);

/* Says the same of the envelope alone: MESSAGE_OK once nothing that may still come can make it wrong. It never walks params,
 * error or result, so it may be asked after each read of a frame that grows, where message_parse would walk them
 * again and again. */
enum message_verdict message_check(const void *bytes, size_t len, const char **why);

/* Each writes the envelope up to where the caller goes on with one value. */
void message_request(struct buf *b, uint32_t msgid, const char *method);   /* then params (an array) */
void message_notification(struct buf *b, const char *method);              /* then params (an array) */
void message_result(struct buf *b, uint32_t msgid);                        /* then the result */
/* The whole response: error is one MessagePack value, a map made by proto/error.h. */
void message_error(struct buf *b, uint32_t msgid, const void *error, size_t len);

#endif

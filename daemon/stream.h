/* A stream: a non-blocking socket that carries MessagePack frames both ways.
 *
 * Reading: bytes are scanned as they come; each whole frame goes to on_frame. A stream does bounded work per turn; what is
 * left waits for the next one, so a busy peer does not delay the others.
 * Writing: what is said during a turn is collected (stream_say) and written once at its end; large payloads are referenced, not
 * copied. A peer that does not read costs its own queue only: stream_queued tells, stream_pause stops reading from it.
 * With a durable store a gated stream's words leave when the batch they rest on is committed (daemon/commit.h).
 *
 * A stream ends once: on_end is called, and the owner then calls stream_clear, at once or later. */
#ifndef FUTURED_DAEMON_STREAM_H
#define FUTURED_DAEMON_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bytes.h"
#include "daemon/commit.h"
#include "daemon/turn.h"
#include "proto/buf.h"
#include "proto/frame.h"

struct stream;
struct tls;
struct evbuffer;

enum stream_end {
	STREAM_EOF,      /* the peer closed, or the connection broke */
	STREAM_BAD,      /* not a frame: `verdict` says why */
	STREAM_NOMEM,
	STREAM_INSECURE, /* the TLS handshake failed: see tls_why */
};

struct stream_ops {
	/* One whole frame; the bytes are the stream's, until it returns. False: stop here, the owner has ended the stream. */
	bool (*on_frame)(struct stream *s, const uint8_t *bytes, size_t len);
	/* An unfinished frame's first bytes, so that what is wrong with them is said early. False: the owner has ended it. May be NULL. */
	bool (*on_partial)(struct stream *s, const uint8_t *bytes, size_t len);
	/* Nothing more comes. Everything read before was given to on_frame first. */
	void (*on_end)(struct stream *s, enum stream_end how, enum frame_verdict verdict);
	/* The TLS handshake is done; frames come from now on. May be NULL where there is none. */
	void (*on_secure)(struct stream *s);
	/* Some of what was queued has been written. May be NULL. */
	void (*on_written)(struct stream *s);
};

/* Bytes of many streams together. */
struct stream_traffic {
	uint64_t received, sent;
};

struct stream {
	int fd; /* -1: cleared */
	const struct stream_ops *ops;
	struct tls *tls;         /* owned; NULL: plain bytes */
	struct event reading, writing;
	struct turn_item more;   /* frames left over, TURN_WORK */
	struct turn_item flush;  /* TURN_FLUSH */
	struct buf in;           /* an unfinished frame, and what followed it */
	size_t scanned;          /* bytes of `in` that the scan has passed over */
	struct frame_scan scan;
	struct buf now;          /* encoded, and resting on no commit */
	struct buf said;         /* encoded since the last batch began */
	struct evbuffer *before; /* what stands before `said`: large payloads, by reference; made when first needed */
	struct evbuffer *held;   /* rests on the batch under way; likewise */
	struct evbuffer *out;    /* free to go, not yet taken by the socket; likewise */
	struct commit_item commit;
	uint64_t moved_us;       /* when the peer last took or gave a byte */
	uint64_t begun_us;       /* when the unfinished frame in `in` began */
	uint64_t read_total;
	struct stream_traffic *traffic; /* where its bytes are counted; NULL: nowhere */
	bool gated;              /* what it says waits for the commit */
	bool at_once;            /* what it says now rests on no commit */
	bool yields;             /* takes no more frames in a turn whose budget is used up */
	bool paused;             /* not read from */
	bool ended;              /* on_end was called, or the owner ended it */
	bool blocked;            /* waits for the socket to take more */
	bool shaking;            /* the TLS handshake is not done */
	bool hungry;             /* TLS reads on only when the socket takes more */
};

/* Takes the descriptor (made non-blocking). False without memory; the descriptor is then still the caller's. */
bool stream_init(struct stream *s, int fd, uint64_t frame_limit, const struct stream_ops *ops);
/* From the first byte on it is TLS (taken), of which this is the server's side. Right after stream_init. */
void stream_secure(struct stream *s, struct tls *tls);
/* The longest frame from the next one on. */
void stream_set_limit(struct stream *s, uint64_t frame_limit);
/* Closes and frees; what was not written is lost. Safe on a cleared one. */
void stream_clear(struct stream *s);
/* The owner has heard enough: nothing more is read; what was said is still written, as far as the socket takes it now. Nothing to one that was never
 * begun, or is cleared. */
void stream_end(struct stream *s);

/* Says that nothing more comes; the socket stays, to be read at the other end. After stream_end. */
void stream_hang_up(struct stream *s);

/* Where this turn's output is encoded; it is written at the end of the turn. */
struct buf *stream_say(struct stream *s);
/* The same for what no commit can make untrue: it goes before whatever waits for one. A whole message at a time. */
struct buf *stream_say_now(struct stream *s);
/* What is said from here on, whole messages, rests on no commit: it goes as by stream_say_now, by whatever function it is said. Until it is set to
 * false again. */
void stream_set_at_once(struct stream *s, bool at_once);
/* Forgets what was said and has not been released by a commit; for a stream that says one message at a time. */
void stream_unsay(struct stream *s);
/* Says these bytes, by reference where that is cheaper. */
void stream_say_bytes(struct stream *s, struct bytes b);
/* Appends what another buffer holds (moved, not copied). */
void stream_say_buffer(struct stream *s, struct evbuffer *from);
/* Bytes said and not yet taken by the socket. */
size_t stream_queued(const struct stream *s);
/* Whether some of them wait for a commit. */
bool stream_waits(const struct stream *s);
/* While paused, nothing is read and no frame is given. */
void stream_pause(struct stream *s, bool paused);
/* Reads what is there now and gives every whole frame, whatever the pause: for a peer that is known to be dead. */
void stream_drain(struct stream *s);
/* Inside on_frame: takes the frame as a block (offset 0 is its first byte) without copying it where it stands alone in the
 * stream's buffer, else copied. NULL without memory. */
struct block *stream_take_frame(struct stream *s, const uint8_t *bytes, size_t len);

#endif

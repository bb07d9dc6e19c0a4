/* The answer ring: one per slot, in the mapping that the daemon and the slot's host share, behind the claim boards.
 *
 * A small answer is put there instead of into the slot's socket: then it costs no system call, and has left the host's own memory all
 * the same. The socket stays for what is large, and is the way on which the daemon is woken:
 *
 *     host:    put the message ─► is the daemon asleep? ─► take that mark away and say ["wake"] on the socket
 *     daemon:  hear the ring in every turn ─► about to sleep: mark "asleep", look once more, sleep
 *
 * Order: a message goes into the ring only when the daemon has heard all that went through the socket before it (`heard` counts
 * them, ["wake"] not); and the daemon hears the ring before each message that comes through the socket.
 *
 * Either end keeps its own count of what it did and believes only the other's; the mapping is input like any other to the daemon. */
#ifndef FUTURED_PROTO_RING_H
#define FUTURED_PROTO_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_BYTES = 16384, RING_MESSAGE_MAX = 4096, RING_SIZE = RING_BYTES + 128 };

/* Bytes are counted from the ring's beginning, and never wrap; byte n lies at n % RING_BYTES. */
struct ring {
	_Atomic uint64_t put;    /* host: bytes put */
	uint8_t line[56];
	_Atomic uint64_t taken;  /* daemon: bytes taken out */
	_Atomic uint64_t heard;  /* daemon: messages heard from the socket */
	_Atomic uint32_t asleep; /* 1: set by the daemon, which may be asleep; the host that makes it 0 must wake it */
	uint8_t line2[44];
	uint8_t bytes[RING_BYTES];
};

/* ["wake"], as it stands on the wire. */
enum { RING_WAKE_SIZE = 6 };
extern const uint8_t ring_wake[RING_WAKE_SIZE];

/* The host's end. One thread at a time. */
struct ring_writer {
	struct ring *ring; /* NULL: there is none, everything goes through the socket */
	uint64_t put;
	uint64_t taken;    /* as last seen */
	uint64_t said;     /* messages that went through the socket, ["wake"] not */
};
void ring_writer_init(struct ring_writer *w, struct ring *ring);
/* Puts one whole message. False: it must take the socket. */
bool ring_write(struct ring_writer *w, const void *message, size_t len);
/* After ring_write: true if the daemon must be woken, which is now the caller's to do. */
bool ring_must_wake(struct ring_writer *w);
/* A message takes the socket. */
void ring_note_said(struct ring_writer *w);

/* The daemon's end. */
struct ring_reader {
	struct ring *ring;
	uint64_t taken, heard;
};
/* Empties the ring, too: nobody else may use it at that time. */
void ring_reader_init(struct ring_reader *r, struct ring *ring);
bool ring_is_empty(const struct ring_reader *r);
/* Moves what is there into `to`, which has room for RING_BYTES; *len may be 0. False: what the host wrote there makes no sense. */
bool ring_read(struct ring_reader *r, uint8_t *to, size_t *len);
/* A message from the socket, other than ["wake"], has been heard. */
void ring_note_heard(struct ring_reader *r);
/* The daemon may be asleep from now on: look at the ring once more before. */
void ring_sleep(struct ring_reader *r);
void ring_awake(struct ring_reader *r);

#endif

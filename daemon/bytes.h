/* Payload bytes: args and results, kept as the MessagePack that came.
 *
 * A struct bytes is 16 bytes and passed by value. Up to 12 bytes are held in place, so a no-op task allocates nothing;
 * more of them are a slice of a counted block, so the elements of one map share the block they came in. Whoever holds a
 * struct bytes owns one count of its block; bytes_drop gives it back. One thread. */
#ifndef FUTURED_DAEMON_BYTES_H
#define FUTURED_DAEMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

enum { BYTES_NEAR = 12 };

struct block;

struct bytes {
	union {
		struct __attribute__((packed)) {
			struct block *block;
			uint32_t offset;
		} far;
		uint8_t near[BYTES_NEAR];
	} u;
	uint32_t len : 31;
	uint32_t is_far : 1;
} __attribute__((aligned(8)));

/* Copies; `len` below 2^31. False without memory. */
bool bytes_copy(struct bytes *out, const void *data, size_t len);
/* Takes what the buf holds and leaves it empty. False if the buf failed or without memory. */
bool bytes_take(struct bytes *out, struct buf *b);
/* It is not payload: its block no longer counts in block_total. */
void bytes_uncount(struct bytes *b);
/* A part of a block that the caller holds a count of. Short ones are copied in place. Cannot fail. */
struct bytes bytes_slice(struct block *block, size_t offset, size_t len);
/* Another count on the same bytes. */
struct bytes bytes_share(struct bytes b);
/* Gives its count back and makes it empty. */
void bytes_drop(struct bytes *b);
/* So many bytes of its block are a view of a file now, and count no longer. */
void bytes_elsewhere(const struct bytes *b, size_t len);
/* A mapped file as a block of its own, of which the first `pad` bytes are left out; takes the mapping, also when it fails (no memory). */
bool bytes_map(struct bytes *out, void *mapping, size_t size, size_t pad);
const uint8_t *bytes_data(const struct bytes *b);
size_t bytes_len(const struct bytes *b);

/* A counted block of its own; takes the buf's memory. NULL if the buf failed or is empty, or without memory. */
struct block *block_take(struct buf *b);
void block_drop(struct block *block);
/* The block a far bytes lies in; NULL if it is near. Borrowed. */
struct block *bytes_block(const struct bytes *b);
void block_hold(struct block *block);
const uint8_t *block_data(const struct block *block);
/* Counts memory that a client's request holds otherwise, so that limits.memory bounds it too. */
void bytes_account(int64_t bytes);
/* Payload bytes held in blocks by the whole process. */
uint64_t block_total(void);

#endif

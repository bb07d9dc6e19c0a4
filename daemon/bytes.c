#include "daemon/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/spare.h"

struct block {
	uint32_t count;
	size_t size;
	size_t elsewhere; /* how much of it is a view of a file */
	bool uncounted, mapped;
	uint8_t *data; /* behind this struct, or memory of its own */
	uint8_t behind[];
};

static uint64_t total;

static struct block *
block_new(size_t size)
{
	struct block *block = malloc(sizeof *block + size);
	if (!block)
		return NULL;
	*block = (struct block){ .count = 1, .size = size, .data = block->behind };
	total += size;
	return block;
}

struct block *
block_take(struct buf *b)
{
	if (b->failed || !b->len)
		return NULL;
	struct block *block = malloc(sizeof *block);
	if (!block)
		return NULL;
	*block = (struct block){ .count = 1 };
	block->data = buf_take(b, &block->size);
	total += block->size;
	return block;
}

void
block_hold(struct block *block)
{
	block->count++;
}

void
block_drop(struct block *block)
{
	if (!block || --block->count)
		return;
	if (!block->uncounted)
		total -= block->size - block->elsewhere;
	if (block->mapped)
		munmap(block->data, block->size);
	else if (block->data != block->behind && !block->elsewhere)
		spare_give(block->data);
	else if (block->data != block->behind)
		free(block->data);
	free(block);
}

const uint8_t *
block_data(const struct block *block)
{
	return block->data;
}

uint64_t
block_total(void)
{
	return total;
}

void
bytes_account(int64_t bytes)
{
	total += (uint64_t)bytes;
}

static struct bytes
near_bytes(const void *data, size_t len)
{
	struct bytes b = { .len = (uint32_t)len & 0x7fffffffu };
	if (len)
		memcpy(b.u.near, data, len);
	return b;
}

static struct bytes
far_bytes(struct block *block, size_t offset, size_t len)
{
	struct bytes b = { .len = (uint32_t)len & 0x7fffffffu, .is_far = 1 };
	b.u.far.block = block;
	b.u.far.offset = (uint32_t)offset;
	return b;
}

bool
bytes_copy(struct bytes *out, const void *data, size_t len)
{
	if (len <= BYTES_NEAR) {
		*out = near_bytes(data, len);
		return true;
	}
	struct block *block = block_new(len);
	if (!block)
		return false;
	memcpy(block->data, data, len);
	*out = far_bytes(block, 0, len);
	return true;
}

bool
bytes_take(struct bytes *out, struct buf *b)
{
	bool done;
	if (b->failed)
		return false;
	if (b->len <= 4096) { /* exact size, and the buf's memory can be used again */
		done = bytes_copy(out, b->data, b->len);
		if (done)
			b->len = 0;
		return done;
	}
	size_t len = b->len;
	struct block *block = block_take(b);
	if (block)
		*out = far_bytes(block, 0, len);
	return block != NULL;
}

void
bytes_uncount(struct bytes *b)
{
	if (!b->is_far || b->u.far.block->uncounted)
		return;
	b->u.far.block->uncounted = true;
	total -= b->u.far.block->size - b->u.far.block->elsewhere;
}

void
bytes_elsewhere(const struct bytes *b, size_t len)
{
	struct block *block = b->is_far ? b->u.far.block : NULL;

	if (!block || block->uncounted || len > block->size - block->elsewhere)
		return;
	block->elsewhere += len;
	total -= len;
}

bool
bytes_map(struct bytes *out, void *mapping, size_t size, size_t pad)
{
	struct block *block = calloc(1, sizeof *block);

	if (!block) {
		munmap(mapping, size);
		return false;
	}
	*block = (struct block){ .count = 1, .size = size, .elsewhere = size, .mapped = true, .data = mapping };
	*out = far_bytes(block, pad, size - pad);
	return true;
}

struct bytes
bytes_slice(struct block *block, size_t offset, size_t len)
{
	if (len <= BYTES_NEAR)
		return near_bytes(block->data + offset, len);
	block->count++;
	return far_bytes(block, offset, len);
}

struct bytes
bytes_share(struct bytes b)
{
	if (b.is_far)
		b.u.far.block->count++;
	return b;
}

void
bytes_drop(struct bytes *b)
{
	if (b->is_far)
		block_drop(b->u.far.block);
	*b = (struct bytes){ .len = 0 };
}

const uint8_t *
bytes_data(const struct bytes *b)
{
	return b->is_far ? b->u.far.block->data + b->u.far.offset : b->u.near;
}

size_t
bytes_len(const struct bytes *b)
{
	return b->len;
}

struct block *
bytes_block(const struct bytes *b)
{
	return b->is_far ? b->u.far.block : NULL;
}

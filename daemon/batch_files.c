#include "daemon/batch_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/batch.h"
#include "daemon/boards.h"
#include "daemon/output.h"
#include "daemon/payload.h"
#include "proto/reader.h"

/* Files of output that the batch names are on the disk. */
static bool
sync_output(const struct batch *b, char *why, size_t size)
{
	for (const struct batch_chunk *c = b->first; c; c = c->next) {
		for (size_t i = 0; i < c->count; i++) {
			char path[512];
			if (c->note[i].verb != NOTE_FILE)
				continue;
			output_path(c->note[i].id, (enum output_stream)c->note[i].u.stream, path, sizeof path);
			int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
			bool good = (fd < 0 && errno == ENOENT) || (fd >= 0 && fdatasync(fd) == 0); /* ENOENT: forgotten since */
			if (!good)
				snprintf(why, size, "%.150s: %s", path, strerror(errno));
			if (fd >= 0)
				close(fd);
			if (!good)
				return false;
		}
	}
	return true;
}

/* Calls `each` for every large payload of the batch; false as soon as that is. */
static bool
for_large(const struct batch *b, bool (*each)(uint64_t id, enum payload_kind kind, const struct note *n, const uint8_t *data, size_t len, char *why,
    size_t size), char *why, size_t size)
{
	for (const struct batch_chunk *c = b->first; c; c = c->next) {
		for (size_t i = 0; i < c->count; i++) {
			const struct note *n = &c->note[i];
			size_t len = bytes_len(&n->bytes);
			struct reader r;
			if (len < PAYLOAD_LARGE)
				continue;
			if (n->verb == NOTE_TASK && !each(n->id, PAYLOAD_ARGS, n, bytes_data(&n->bytes), len, why, size))
				return false;
			if (n->verb == NOTE_RESULT && !each(n->id, PAYLOAD_VALUE, n, bytes_data(&n->bytes), len, why, size))
				return false;
			if (n->verb != NOTE_TASKS)
				continue;
			reader_init(&r, bytes_data(&n->bytes), len);
			for (uint64_t k = 0; k < n->count; k++) {
				const uint8_t *raw;
				size_t raw_len;
				if (read_raw(&r, &raw, &raw_len) && raw_len >= PAYLOAD_LARGE && !each(n->id + k, PAYLOAD_ARGS, n, raw, raw_len, why, size))
					return false;
			}
		}
	}
	return true;
}

static bool
write_payload(uint64_t id, enum payload_kind kind, const struct note *n, const uint8_t *data, size_t len, char *why, size_t size)
{
	(void)n;
	return payload_write(id, kind, data, len, why, size);
}

static bool
let_one_go(uint64_t id, enum payload_kind kind, const struct note *n, const uint8_t *data, size_t len, char *why, size_t size)
{
	(void)why, (void)size;
	payload_let_go(id, kind, &n->bytes, data, len);
	return true;
}

void
batch_files_remove(const struct batch *b)
{
	for (const struct batch_chunk *c = b->first; c; c = c->next) {
		for (size_t i = 0; i < c->count; i++) {
			const struct note *n = &c->note[i];
			if (n->verb == NOTE_HOST_GONE)
				boards_forget(n->id);
			for (int kind = PAYLOAD_ARGS; n->verb == NOTE_GONE && kind <= PAYLOAD_VALUE; kind++)
				if (n->count & 1u << kind)
					payload_remove(n->id, (enum payload_kind)kind);
		}
	}
}

bool
batch_files_write(const struct batch *b, char *why, size_t size)
{
	if (b->files && !sync_output(b, why, size))
		return false;
	return !b->large || (for_large(b, write_payload, why, size) && payload_sync(why, size));
}

void
batch_files_let_go(const struct batch *b)
{
	for_large(b, let_one_go, NULL, 0);
}

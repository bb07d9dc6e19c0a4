#include "daemon/fill.h"

#include <string.h>

#include "daemon/errors.h"
#include "daemon/output.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/run.h"
#include "proto/pack.h"
#include "proto/worker.h"

bool
fill_read_reference(struct reader *r, uint64_t *id)
{
	struct reader at = *r;
	const uint8_t *bytes;
	size_t len;
	int8_t type;

	if (!read_ext(&at, &type, &bytes, &len) || type != FILL_EXT || len != 8)
		return false;
	*id = 0;
	for (size_t i = 0; i < 8; i++)
		*id = *id << 8 | bytes[i];
	*r = at;
	return true;
}

static bool
is_word(const void *text, size_t len, const char **why)
{
	*why = "it contains a NUL byte, which no argument of a command may";
	return !len || !memchr(text, 0, len);
}

/* A command's value stands for the bytes it printed; a function's for itself. False: *why says what does not fit. */
static bool
append_value(struct buf *b, uint64_t id, bool for_command, const char **why)
{
	const struct future *from = registry_pinned(id);
	const char *text;
	struct reader r;
	size_t len;

	if (pool_is_command(from->spec->pool)) {
		struct buf printed;
		buf_init(&printed);
		bool whole = output_read_last(from, OUTPUT_STDOUT, run_frame_limit(), &printed);
		bool good = whole && (!for_command || is_word(printed.data, printed.len, why));
		pack_bin(b, printed.data, printed.len);
		b->failed |= printed.failed;
		buf_clear(&printed);
		if (!whole)
			*why = "its output is larger than a message may be";
		return good;
	}
	reader_init(&r, bytes_data(&from->value), bytes_len(&from->value));
	enum reader_type type = reader_peek(&r);
	if (for_command && type != READER_STR && type != READER_BIN) {
		*why = "its value is neither str nor bin, which is what a command takes";
		return false;
	}
	if (for_command && (!read_text(&r, &text, &len) || !is_word(text, len, why)))
		return false;
	pack_raw(b, bytes_data(&from->value), bytes_len(&from->value));
	return true;
}

static bool
refuse(const struct future *f, uint64_t id, const char *what, const char *why, struct bytes *error)
{
	*error = error_bytes(STATUS_VALUE, f->id, "%s: the value of future %llu does not fit: %s", what, (unsigned long long)id, why);
	return false;
}

static bool
fill_args(struct future *f, struct bytes *error)
{
	bool command = pool_is_command(f->spec->pool);
	struct reader r;
	uint32_t count;
	struct buf b;
	uint64_t id = 0;
	const char *why;

	reader_init(&r, bytes_data(&f->args), bytes_len(&f->args));
	read_array(&r, &count);
	buf_init(&b);
	pack_array(&b, count);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *raw;
		size_t len;
		why = "with it the arguments are larger than a message may be";
		if (b.len > run_frame_limit())
			goto refused;
		if (fill_read_reference(&r, &id)) {
			if (!append_value(&b, id, command, &why))
				goto refused;
		} else if (read_raw(&r, &raw, &len)) {
			pack_raw(&b, raw, len);
		}
	}
	why = "with it the arguments are larger than a message may be";
	if (b.len > run_frame_limit())
		goto refused;
	why = "the daemon is out of memory";
	if (!bytes_take(&f->more->filled_args, &b))
		goto refused;
	buf_clear(&b);
	return true;
refused:
	buf_clear(&b);
	return refuse(f, id, "args", why, error);
}

static bool
fill_stdin(struct future *f, struct bytes *error)
{
	const struct future *from = registry_pinned(f->spec->stdin_future);
	struct buf b;
	const char *why;
	bool done;

	buf_init(&b);
	if (pool_is_command(from->spec->pool)) {
		done = output_read_last(from, OUTPUT_STDOUT, run_frame_limit(), &b);
		why = "its output is larger than a message may be";
	} else {
		struct reader r;
		const char *text = NULL;
		size_t len = 0;
		reader_init(&r, bytes_data(&from->value), bytes_len(&from->value));
		done = read_text(&r, &text, &len);
		why = "its value is neither str nor bin, which is what stdin takes";
		if (done)
			buf_append(&b, text, len);
	}
	done = done && bytes_take(&f->more->filled_stdin, &b);
	buf_clear(&b);
	return done || refuse(f, from->id, "stdin", why, error);
}

bool
fill_references(struct future *f, struct bytes *error)
{
	if (f->has_refs && !fill_args(f, error))
		return false;
	return f->spec->stdin_kind != SPEC_STDIN_FUTURE || fill_stdin(f, error);
}

#include "daemon/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/errors.h"
#include "daemon/fill.h"
#include "daemon/gate.h"
#include "daemon/pool.h"
#include "proto/pack.h"
#include "proto/worker.h"

enum { OWN_WORDS = 2048 }; /* what we say ourselves in a run message */

static uint64_t frame_limit = 64u << 20;
static char *own_address;

uint64_t
run_frame_limit(void)
{
	return frame_limit;
}

uint64_t
run_host_limit(void)
{
	return frame_limit > WORKER_MESSAGE_MIN ? frame_limit : WORKER_MESSAGE_MIN;
}

void
run_set_frame_limit(uint64_t bytes)
{
	frame_limit = bytes;
}

void
run_set_address(const char *address)
{
	free(own_address);
	own_address = strdup(address);
}

const char *
run_address(void)
{
	return own_address ? own_address : "";
}

void
run_secret_text(const uint8_t secret[SLOT_SECRET], char out[2 * SLOT_SECRET + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (unsigned i = 0; i < SLOT_SECRET; i++) {
		out[2 * i] = digits[secret[i] >> 4];
		out[2 * i + 1] = digits[secret[i] & 15];
	}
	out[2 * SLOT_SECRET] = '\0';
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
run_secret_parse(const char *text, size_t len, uint8_t out[SLOT_SECRET])
{
	if (len != 2 * SLOT_SECRET)
		return false;
	for (unsigned i = 0; i < SLOT_SECRET; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* "NAME=value" as one str. */
static void
pack_variable(struct buf *b, const char *name, const char *value)
{
	char text[512];
	int n = snprintf(text, sizeof text, "%s=%s", name, value);
	pack_str(b, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* A command's environment: the pool's and the caller's, encoded once with the spec, and what is about this task. */
static void
encode_environment(struct buf *b, const struct future *f, const char *secret)
{
	char number[24];
	struct reader r;
	uint32_t count = 0;
	const struct bytes *env = &f->spec->env;

	reader_init(&r, bytes_data(env), bytes_len(env));
	read_array(&r, &count);
	pack_key(b, "env");
	pack_array(b, count + 4);
	pack_raw(b, r.at, (size_t)(r.end - r.at));
	pack_variable(b, "FUTURED_ADDRESS", run_address());
	snprintf(number, sizeof number, "%llu", (unsigned long long)f->id);
	pack_variable(b, "FUTURED_ID", number);
	snprintf(number, sizeof number, "%u", (unsigned)f->attempt);
	pack_variable(b, "FUTURED_ATTEMPT", number);
	pack_variable(b, "FUTURED_TASK", secret);
}

static void
encode_options(struct stream *st, struct buf *b, const struct future *f, const char *secret)
{
	const struct spec *spec = f->spec;
	bool command = pool_is_command(spec->pool);
	bool has_stdin = spec->stdin_kind != SPEC_STDIN_NONE, has_kwargs = bytes_len(&spec->kwargs) != 0;

	pack_map(b, spec->run_pairs + 1u + has_stdin + has_kwargs);
	pack_raw(b, bytes_data(&spec->run), bytes_len(&spec->run));
	if (has_kwargs) {
		pack_key(b, "kwargs");
		pack_raw(b, bytes_data(&spec->kwargs), bytes_len(&spec->kwargs));
	}
	if (command) {
		encode_environment(b, f, secret);
	} else {
		pack_key(b, "secret");
		pack_cstr(b, secret);
	}
	if (!has_stdin)
		return;
	pack_key(b, "stdin");
	if (spec->stdin_kind == SPEC_STDIN_OPEN) {
		pack_bool(b, true);
		return;
	}
	const struct bytes *in = spec->stdin_kind == SPEC_STDIN_FUTURE ? &f->more->filled_stdin : &spec->stdin_bytes;
	pack_bin_header(b, bytes_len(in));
	stream_say_bytes(st, *in);
}

/* Whether its host takes it. What came in one message does, but for a pool with a huge environment; what references were replaced by may not. */
static bool
fits(const struct future *f)
{
	const struct spec *spec = f->spec;
	const struct bytes *args = f->has_refs ? &f->more->filled_args : &f->args;
	const struct bytes *in = spec->stdin_kind == SPEC_STDIN_FUTURE ? &f->more->filled_stdin : &spec->stdin_bytes;

	return spec->fn_len + bytes_len(args) + bytes_len(&spec->run) + bytes_len(&spec->kwargs) + bytes_len(&spec->env) + bytes_len(in) + OWN_WORDS <=
	    run_host_limit() + WORKER_ENVELOPE;
}

/* Nor would another attempt. Takes the error. */
static bool
cannot_begin(struct future *f, struct bytes error)
{
	f->attempt--;
	future_fail_finally(f, error);
	return false;
}

bool
run_encode(struct slot *s, struct future *f, unsigned entry, const uint8_t secret[SLOT_SECRET])
{
	const struct spec *spec = f->spec;
	struct stream *st = &s->stream;
	char text[2 * SLOT_SECRET + 1];
	struct bytes error;

	if ((f->has_refs || spec->stdin_kind == SPEC_STDIN_FUTURE) && !fill_references(f, &error))
		return cannot_begin(f, error);
	if (!fits(f))
		return cannot_begin(f, error_bytes(STATUS_VALUE, f->id, "its arguments, environment and stdin are more than a message of %llu bytes may have",
		    (unsigned long long)frame_limit));
	struct buf *b = stream_say(st);
	run_secret_text(secret, text);
	pack_array(b, 7);
	pack_cstr(b, "run");
	pack_uint(b, entry);
	pack_uint(b, f->id);
	pack_uint(b, f->attempt);
	pack_str(b, spec->fn, spec->fn_len);
	stream_say_bytes(st, f->has_refs ? f->more->filled_args : f->args);
	encode_options(st, b, f, text);
	if (f->more) {
		bytes_drop(&f->more->filled_args);
		bytes_drop(&f->more->filled_stdin);
	}
	return true;
}

/* A host's life: host_open takes what it inherited and waits for the hello, the runtime serves, host_close. Everything here
 * trusts the daemon to mean well but not to be right: numbers are checked before anything is made of them. */
#include "worker/host.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/pack.h"
#include "proto/worker.h"

enum {
	HELLO_MAX = 16 * 1024 * 1024, /* before the hello names the limit */
	TEXT_MAX = 4096,              /* a log line, a reason */
};
#define GRACE_MAX 1e9
/* More than this and "bytes still to come" would not be a size any more. */
#define MESSAGE_MAX ((uint64_t)1 << 40)

uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
host_complain(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	dprintf(STDERR_FILENO, "futured-worker: %s\n", text);
}

/* ---- saying ---- */

void
host_say(struct host *h, const struct buf *messages)
{
	pthread_mutex_lock(&h->lock);
	if (messages->failed)
		h->control.out.failed = true;
	else
		buf_append(&h->control.out, messages->data, messages->len);
	channel_flush(&h->control, CHANNEL_WAIT); /* a daemon that is gone is noticed by whoever reads */
	pthread_mutex_unlock(&h->lock);
}

void
host_ready(struct host *h, const struct host_ready *ready)
{
	struct buf b;

	buf_init(&b);
	pack_array(&b, 2);
	pack_cstr(&b, "ready");
	pack_map(&b, 8);
	pack_key(&b, "depth");
	pack_uint(&b, ready->depth < h->board_entries ? ready->depth : h->board_entries);
	pack_key(&b, "stop");
	pack_bool(&b, ready->stop);
	pack_key(&b, "grow");
	pack_bool(&b, ready->grow);
	pack_key(&b, "board");
	pack_bool(&b, true);
	pack_key(&b, "ring");
	pack_bool(&b, ready->ring && h->rings > 0);
	pack_key(&b, "name");
	pack_cstr(&b, ready->name);
	pack_key(&b, "version");
	pack_cstr(&b, FUTURED_VERSION);
	pack_key(&b, "functions");
	if (ready->functions != NULL) {
		pack_array(&b, ready->function_count);
		for (size_t i = 0; i < ready->function_count; i++)
			pack_text(&b, ready->functions[i], strlen(ready->functions[i]));
	} else {
		pack_nil(&b);
	}
	host_say(h, &b);
	buf_clear(&b);
}

void
host_failed(struct host *h, const char *type, const char *fmt, ...)
{
	char text[TEXT_MAX];
	struct buf b;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	host_complain("%s", text);
	buf_init(&b);
	pack_array(&b, 2);
	pack_cstr(&b, "failed");
	pack_map(&b, 2);
	pack_key(&b, "type");
	pack_text(&b, type, strlen(type));
	pack_key(&b, "message");
	pack_text(&b, text, strlen(text));
	host_say(h, &b);
	buf_clear(&b);
}

void
host_log(struct host *h, const char *level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	struct buf b;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	buf_init(&b);
	pack_array(&b, 3);
	pack_cstr(&b, "log");
	pack_cstr(&b, level);
	pack_text(&b, text, strlen(text));
	host_say(h, &b);
	buf_clear(&b);
}

/* ---- opening ---- */

/* The hello's str at r, copied; NULL without memory, or if it is none or contains NUL. */
static char *
take_text(struct reader *r)
{
	const char *s;
	size_t len;

	if (!read_str(r, &s, &len) || memchr(s, '\0', len) != NULL)
		return NULL;
	return strndup(s, len);
}

/* nil counts as absent; a text of another type as well, and then ok is false. */
static bool
take_optional(struct reader *r, char **text)
{
	if (read_nil(r))
		return true;
	free(*text); /* a key that came twice */
	*text = take_text(r);
	return *text != NULL;
}

/* One whole value of the given type, or nil. */
static bool
take_value(struct reader *r, enum reader_type type, struct reader *value)
{
	const uint8_t *bytes;
	size_t len;

	if (read_nil(r))
		return true;
	if (reader_peek(r) != type || !read_raw(r, &bytes, &len))
		return false;
	reader_init(value, bytes, len);
	return true;
}

static bool
take_pair(struct host *h, struct reader *r, uint64_t *protocol, uint64_t *slots)
{
	uint64_t entries;

	if (read_is(r, "protocol"))
		return read_uint(r, protocol);
	if (read_is(r, "slots"))
		return read_uint(r, slots);
	if (read_is(r, "rings"))
		return read_uint(r, &h->rings);
	if (read_is(r, "message"))
		return read_uint(r, &h->message);
	if (read_is(r, "kind"))
		return take_optional(r, &h->kind);
	if (read_is(r, "pool"))
		return take_optional(r, &h->pool);
	if (read_is(r, "address"))
		return take_optional(r, &h->address);
	if (read_is(r, "initializer"))
		return take_optional(r, &h->initializer);
	if (read_is(r, "initargs"))
		return take_value(r, READER_ARRAY, &h->initargs);
	if (read_is(r, "options"))
		return take_value(r, READER_MAP, &h->options);
	if (read_is(r, "board")) {
		if (!read_uint(r, &entries) || entries == 0 || entries > BOARD_ENTRIES)
			return false;
		h->board_entries = (uint32_t)entries;
		return true;
	}
	return read_skip(r) && read_skip(r);
}

/* Texts that nobody sent are "", so that no runtime needs to ask. */
static bool
fill_texts(struct host *h)
{
	char **text[] = { &h->kind, &h->pool, &h->address };

	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
		if (*text[i] == NULL && (*text[i] = strdup("")) == NULL)
			return false;
	return true;
}

/* NULL if the hello is fine, else what is wrong. */
static const char *
take_hello(struct host *h, struct reader message, uint32_t elements)
{
	uint64_t protocol = 0, slots = h->slots;
	uint32_t pairs;
	size_t len = (size_t)(message.end - message.at);

	h->hello = malloc(len);
	if (h->hello == NULL)
		return "out of memory";
	memcpy(h->hello, message.at, len);
	reader_init(&message, h->hello, len);
	if (!read_is(&message, "hello") || elements < 2 || !read_map(&message, &pairs))
		return "the first message must be [\"hello\", map]";
	while (pairs-- > 0)
		if (!take_pair(h, &message, &protocol, &slots))
			return "a value in the hello has the wrong type or range";
	if (protocol != WORKER_PROTOCOL)
		return "the daemon speaks another version of the worker contract";
	if (slots != h->slots)
		return "the hello and FUTURED_SLOTS disagree";
	if (h->message < WORKER_MESSAGE_MIN || h->message > MESSAGE_MAX)
		return "the limit `message` must be 64 KiB to 1 TiB";
	if (h->rings % sizeof(uint64_t) != 0 || h->rings > h->boards_size || (h->rings > 0 && h->rings < h->slots * sizeof(struct board)))
		return "`rings` is not in the file of claim boards, or among the boards";
	return fill_texts(h) ? NULL : "out of memory";
}

static bool
take_slots(struct host *h)
{
	const char *text = getenv("FUTURED_SLOTS");
	char *end;
	long slots;

	if (text == NULL)
		return false;
	slots = strtol(text, &end, 10);
	if (end == text || *end != '\0' || slots < 1 || slots > WORKER_SLOTS_MAX)
		return false;
	h->slots = (uint32_t)slots;
	for (int fd = WORKER_CONTROL_FD; fd < WORKER_SLOT_FD + (int)slots; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return false;
	return true;
}

/* All that the file has is mapped, for slots that come later. Its size is checked, since touching a page that the file does not
 * have would be our end. */
static bool
map_boards(struct host *h)
{
	struct stat st;
	void *map;

	if (fstat(WORKER_BOARD_FD, &st) < 0 || st.st_size < (off_t)(h->slots * sizeof(struct board)))
		return false;
	h->boards_size = (size_t)st.st_size;
	if (h->boards_size > WORKER_SLOTS_MAX * (sizeof(struct board) + sizeof(struct ring)))
		h->boards_size = WORKER_SLOTS_MAX * (sizeof(struct board) + sizeof(struct ring));
	map = mmap(NULL, h->boards_size, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_BOARD_FD, 0);
	if (map == MAP_FAILED)
		return false;
	h->boards = map;
	close(WORKER_BOARD_FD);
	return true;
}

bool
host_open(struct host *h)
{
	struct reader message;
	uint32_t elements;
	const char *why;

	memset(h, 0, sizeof *h);
	h->board_entries = BOARD_ENTRIES;
	pthread_mutex_init(&h->lock, NULL);
	channel_init(&h->control, WORKER_CONTROL_FD, HELLO_MAX);
	h->control.said_by_others = true;
	if (!take_slots(h)) {
		host_complain("not started by futured: FUTURED_SLOTS and descriptors 3, 4, 5, ... are missing");
		return false;
	}
	setsid(); /* fails only where the daemon did it already */
	if (!map_boards(h)) {
		host_failed(h, "ValueError", "descriptor 4 is no file of claim boards, 4,096 bytes for each slot");
		return false;
	}
	switch (channel_next(&h->control, CHANNEL_WAIT, &message, &elements)) {
	case CHANNEL_MESSAGE: break;
	case CHANNEL_END: return false; /* the daemon changed its mind */
	default:
		host_failed(h, "ProtocolError", "what came on the control socket is no message");
		return false;
	}
	why = take_hello(h, message, elements);
	if (why != NULL) {
		host_failed(h, "ProtocolError", "%s", why);
		return false;
	}
	channel_limit(&h->control, h->message + WORKER_ENVELOPE);
	return true;
}

void
host_close(struct host *h)
{
	channel_clear(&h->control);
	if (h->boards != NULL)
		munmap(h->boards, h->boards_size);
	pthread_mutex_destroy(&h->lock);
	free(h->kind);
	free(h->pool);
	free(h->address);
	free(h->initializer);
	free(h->hello);
	memset(h, 0, sizeof *h);
}

bool
host_option(const struct host *h, const char *key, struct reader *value)
{
	struct reader r = h->options;
	uint32_t pairs;

	if (!read_map(&r, &pairs))
		return false;
	while (pairs-- > 0) {
		if (read_is(&r, key)) {
			*value = r;
			return true;
		}
		if (!read_skip(&r) || !read_skip(&r))
			return false;
	}
	return false;
}

int
host_slot_fd(const struct host *h, uint32_t n)
{
	return n < h->slots ? WORKER_SLOT_FD + (int)n : -1;
}

struct board *
host_board(const struct host *h, uint32_t n)
{
	size_t size = h->rings > 0 ? (size_t)h->rings : h->boards_size;

	return n < size / sizeof(struct board) ? &h->boards[n] : NULL;
}

struct ring *
host_ring(const struct host *h, uint32_t n)
{
	size_t size = h->rings > 0 ? h->boards_size - (size_t)h->rings : 0;

	return n < size / sizeof(struct ring) ? (struct ring *)(void *)((uint8_t *)h->boards + h->rings) + n : NULL;
}

/* ---- hearing ---- */

static bool
read_stop(struct reader *r, struct control *out)
{
	double grace = 0;

	if (!read_uint(r, &out->id))
		return false;
	out->kill = read_is(r, "kill");
	if (!out->kill && !read_is(r, "ask"))
		return false;
	if (!reader_is_at_end(r) && !read_nil(r) && !read_number(r, &grace))
		return false;
	if (!isfinite(grace) || grace < 0 || grace > GRACE_MAX)
		return false;
	if (!reader_is_at_end(r) && !read_nil(r) && !read_uint(r, &out->attempt))
		return false;
	out->grace_us = (uint64_t)(grace * 1e6);
	out->verb = CONTROL_STOP;
	return true;
}

static bool
read_input(struct reader *r, struct control *out)
{
	if (!read_uint(r, &out->id) || !read_bin(r, &out->bytes, &out->len))
		return false;
	if (!reader_is_at_end(r) && !read_nil(r) && !read_bool(r, &out->eof))
		return false;
	out->verb = CONTROL_INPUT;
	return true;
}

static bool
read_slot(struct host *h, struct reader *r, struct control *out)
{
	uint64_t n;

	out->fd = channel_take_descriptor(&h->control);
	if (!read_uint(r, &n) || out->fd < 0 || host_board(h, (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX)) == NULL) {
		if (out->fd >= 0)
			close(out->fd);
		out->fd = -1;
		return false;
	}
	out->slot = (uint32_t)n;
	out->verb = CONTROL_SLOT;
	return true;
}

static bool
read_control(struct host *h, struct reader *r, struct control *out)
{
	if (read_is(r, "stop"))
		return read_stop(r, out);
	if (read_is(r, "input"))
		return read_input(r, out);
	if (read_is(r, "slot"))
		return read_slot(h, r, out);
	if (!read_is(r, "end"))
		return false;
	out->verb = CONTROL_END;
	return true;
}

enum control_verb
host_control(struct host *h, enum channel_wait wait, struct control *out)
{
	struct reader message;

	memset(out, 0, sizeof *out);
	out->fd = -1;
	switch (channel_next(&h->control, wait, &message, NULL)) {
	case CHANNEL_EMPTY:
		out->verb = CONTROL_NONE;
		break;
	case CHANNEL_END:
		out->verb = CONTROL_GONE;
		break;
	case CHANNEL_MESSAGE:
		if (read_control(h, &message, out))
			break;
		/* fall through */
	case CHANNEL_BAD:
		host_complain("the daemon sent something on the control socket that is not in the worker contract");
		out->verb = CONTROL_BAD;
		break;
	}
	return out->verb;
}

bool
run_read(struct reader message, uint32_t elements, struct run *out)
{
	uint64_t entry;

	if (elements < 7 || !read_is(&message, "run") || !read_uint(&message, &entry) || entry >= BOARD_ENTRIES)
		return false;
	out->entry = (uint32_t)entry;
	if (!read_uint(&message, &out->id) || !read_uint(&message, &out->attempt))
		return false;
	if (!read_str(&message, &out->fn, &out->fn_len))
		return false;
	out->args = message;
	if (!read_array(&out->args, &out->arg_count) || !read_skip(&message))
		return false;
	out->options = message;
	return read_map(&out->options, &out->option_count);
}

void
run_answer(struct buf *b, const char *verb, uint64_t id, size_t elements)
{
	pack_array(b, 2 + elements);
	pack_cstr(b, verb);
	pack_uint(b, id);
}

void
run_error(struct buf *b, uint64_t id, enum status type, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	run_answer(b, "error", id, 1);
	error_pack(b, type, 0, "%s", text);
}

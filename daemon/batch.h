/* A batch: what one commit makes durable, as a list of notes in the order they were made.
 *
 * The loop fills it and frees it; in between the store's thread reads it. Notes hold counts of payloads and specs, which the loop gives
 * back when the batch is freed, so the thread never touches a count. */
#ifndef FUTURED_DAEMON_BATCH_H
#define FUTURED_DAEMON_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bytes.h"

struct spec;

enum note_verb {
	NOTE_NOTHING,     /* taken back */
	NOTE_IDS,         /* ids below `id` may have been given */
	NOTE_INSTANCE,    /* text is the daemon's, from now on */
	NOTE_SPEC,        /* row `id` */
	NOTE_SPEC_GONE,
	NOTE_GATE,        /* row `id`: text is a JSON array of ids */
	NOTE_GATE_PASSED, /* nothing is left of it to wait for */
	NOTE_GATE_GONE,
	NOTE_KEY,         /* bytes are a key of `owner`, which stands for [id, id + count) */
	NOTE_KEY_GONE,
	NOTE_TASK,        /* one future */
	NOTE_TASKS,       /* `count` futures; bytes hold their argument arrays, one behind the other */
	NOTE_SENT,        /* what a slot holds: bytes are struct note_sent each */
	NOTE_SENT_NONE,   /* no slot holds anything */
	NOTE_SENT_GONE,   /* the slot is no more */
	NOTE_HOST_GONE,   /* host number `id` is no more: the file of its boards goes, once nothing rests on them */
	NOTE_AGAIN,       /* another attempt is to come */
	NOTE_RESULT,
	NOTE_OUTPUT,      /* what a function printed; count: how much of it was cut */
	NOTE_FILE,        /* the file of a spilled stream, that is to be on the disk before the batch is */
	NOTE_SEEN,
	NOTE_LET_GO,      /* released: hidden from now on, or when it is final */
	NOTE_KILLED,      /* somebody was told that it will be cancelled */
	NOTE_FED,         /* its stdin was fed, which is not stored */
	NOTE_GONE,        /* forgotten; count: 1 << enum payload_kind of the files that go with it */
	NOTE_POOL,        /* an opened pool: text its name, bytes what it is */
	NOTE_POOL_GONE,
	NOTE_CLOCK,       /* what times are stored by: text is the boot, and what is added to its clock */
	NOTE_BY_HAND,     /* what was done to a pool by hand; nothing: no longer */
};

struct note_sent {
	uint64_t id;
	uint32_t attempt;
	uint32_t entry;
};

/* Times are wall clock microseconds. */
struct note {
	enum note_verb verb;
	uint32_t attempt;
	uint64_t id;
	uint64_t count;
	union {
		struct {
			uint64_t spec, gate; /* rows; gate 0: none */
			int64_t submitted;
		} task;
		struct {
			int64_t started, finished, not_before; /* 0: none */
			uint8_t state;
			bool failed, seen;
		} result;
		struct {
			uint64_t host;
			uint32_t slot;
		} sent;
		struct spec *spec;   /* counted */
		struct {
			char *text;  /* owned */
			char *owner; /* owned; NULL: none */
		} name;
		struct {
			char *pool;       /* owned */
			char *paused_by;  /* owned; NULL: nobody in particular */
			int64_t paused;   /* since when; 0: it is not */
			uint32_t workers; /* 0: as configured */
			uint32_t configured;
		} by_hand;
		int stream;
		int64_t passed;
	} u;
	struct bytes bytes, more; /* payload; counted */
};

enum { BATCH_CHUNK = 256 };

struct batch_chunk {
	struct batch_chunk *next;
	size_t count;
	struct note note[BATCH_CHUNK];
};

struct batch {
	struct batch_chunk *first, *last;
	uint64_t notes;
	uint64_t bytes; /* of payload */
	bool files;     /* there are NOTE_FILEs */
	bool large;     /* there are payloads that become files, or files that go */
	bool hosts;     /* there are NOTE_HOST_GONEs */
};

/* A zeroed note at the end. Never NULL: where there is no memory, not even what batch_make_ready laid by, the daemon ends, as what happened could
 * not be made durable. */
struct note *batch_add(struct batch *b, enum note_verb verb, uint64_t id);
/* Makes room for notes to come, as far as there is memory; false if there is none at all. */
bool batch_make_ready(void);
/* Logs, and ends the daemon as a crash would. */
_Noreturn void batch_out_of_memory(void);
bool batch_is_empty(const struct batch *b);
/* Takes back whatever says that futures were accepted. */
void batch_unaccept(struct batch *b);
/* Gives back what its notes hold; empty then. */
void batch_clear(struct batch *b);

#endif

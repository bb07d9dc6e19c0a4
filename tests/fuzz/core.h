/* The whole daemon core in one process, for fuzzing: real requests, futures, pools, hosts, boards; only the worker processes are made up, by taking the
 * place of daemon/child.c. What happened stays from one input to the next.
 *
 * An input is a list of steps, each four bytes (what, who, length in two bytes, low first) and so many bytes of data. Ids are not known to whoever
 * writes an input, so the eight bytes ff ff ff ff ff ff ff NN in data stand for one: below 128 of the NNth of the youngest futures, from 128 on
 * of the task that worker is running. */
#ifndef FUTURED_TESTS_FUZZ_CORE_H
#define FUTURED_TESTS_FUZZ_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum core_step {
	CORE_SAY,     /* client `who` says data */
	CORE_LEAVE,   /* client `who` closes */
	CORE_HEAR,    /* client `who` reads what there is for it */
	CORE_TURN,    /* `who` turns of the loop */
	CORE_SERVE,   /* workers do what they should; the bits of `who` say how, see core.c */
	CORE_ANSWER,  /* worker `who` says data on the socket of a slot */
	CORE_CONTROL, /* worker `who` says data on its control socket */
	CORE_RING,    /* … writes data into the ring, and says that it did */
	CORE_BOARD,   /* … writes data anywhere on the boards: the first two bytes say where */
	CORE_STDERR,  /* … writes data to 2 */
	CORE_DIE,     /* … dies; the data's first byte is its wait status */
	CORE_STEPS
};

enum { CORE_STEPS_MAX = 200 }; /* those behind them in an input are passed over */

struct core_taken {
	unsigned what, who; /* what: not checked */
	const uint8_t *data;
	size_t len;
};

/* Once. The store is memory, unless FUTURED_FUZZ_STORE in the environment says another. */
void core_start(void);
/* Takes the steps that `allowed` (1 << enum core_step) allows, then closes all clients and looks whether the books are right. */
void core_run(const uint8_t *data, size_t size, unsigned allowed);

/* ---- its parts, for a target that does more between the steps ---- */

/* The input is to be found in $FUTURED_FUZZ_HISTORY, whatever becomes of us. */
void core_keep(const uint8_t *data, size_t size);
/* The next step of an input, which it is cut off from. False: there is none. */
bool core_next(const uint8_t **data, size_t *size, struct core_taken *out);
/* Takes one that is below CORE_STEPS, and a turn of the loop. */
void core_take(const struct core_taken *s);
/* Closes all clients, and looks whether the books are right. */
void core_end(void);
/* Ends all workers that are ready, forgets all futures, removes all pools that were opened: nothing is there, as after a start with an empty store. */
void core_clear(void);
/* Ids in data count from this one; 0: from the last that was given. */
void core_count_from(uint64_t id);
/* To be told when a worker is told to run a task, and when it begins. */
void core_on_run(void (*told)(uint64_t id, bool begun));
/* Where everything is that the daemon has on disk: its configuration, its socket, boards, and `state`. */
const char *core_directory(void);

#endif

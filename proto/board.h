/* The claim board: one per slot, in a mapping that the daemon and the slot's host share.
 *
 * The daemon sends tasks ahead of time; the board decides, without a message, which of them began. An entry holds the
 * task's id and one atomic word: a state in the low 3 bits, and above them the id while it is SENT, the start in CLOCK_MONOTONIC
 * microseconds once it is claimed. Every change is one compare-and-exchange, and whoever wins it is right:
 *
 *     EMPTY ──send(daemon)──► SENT ──claim(host)──► CLAIMED ──stop(daemon)──► STOP
 *                              └────revoke(daemon)─► REVOKED   (the host passes over it, silently)
 *
 * A cancelled task therefore never runs, a running one is never reported cancelled, and when a host dies the entry that is
 * CLAIMED or STOP, and unanswered, is what it was executing. The mapping is input like any other to the daemon.
 *
 * A revoked entry may be sent again at once: the host may still hold the `run` that named it before, but its claim is for another
 * id, and fails. */
#ifndef FUTURED_PROTO_BOARD_H
#define FUTURED_PROTO_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BOARD_ENTRIES = 256 };

enum board_state { BOARD_EMPTY, BOARD_SENT, BOARD_CLAIMED, BOARD_REVOKED, BOARD_STOP };

struct board_entry {
	_Atomic uint64_t id;
	_Atomic uint64_t word;
};

struct board {
	struct board_entry entry[BOARD_ENTRIES];
};

/* Daemon: the entry now stands for `id`, SENT. */
void board_send(struct board_entry *e, uint64_t id);
/* Host: true if the task may now run: the entry was SENT for this id. now_us: CLOCK_MONOTONIC. */
bool board_claim(struct board_entry *e, uint64_t id, uint64_t now_us);
/* Daemon: true if the task will never run. */
bool board_revoke(struct board_entry *e);
/* Daemon: asks a claimed task to stop; false if it is not claimed. True again when asked twice. */
bool board_stop(struct board_entry *e);
/* Host: whether the daemon asked the claimed task to stop. */
bool board_is_stopped(const struct board_entry *e);
/* Anyone: the state, and where claimed its start (else 0). A state that is none is EMPTY. */
enum board_state board_look(const struct board_entry *e, uint64_t *start_us);

#endif

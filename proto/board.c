/* The claim board: plain compare-and-exchange on one word. While it is SENT the word holds the id too, so that a claim can win
 * only the very task that it was meant for, though the entry may have been revoked and sent again meanwhile. */
#include <stddef.h>

#include "proto/board.h"

enum { STATE_BITS = 3 };
#define STATE_MASK ((uint64_t)7)

static uint64_t
state_of(uint64_t word)
{
	return word & STATE_MASK;
}

void
board_send(struct board_entry *e, uint64_t id)
{
	atomic_store_explicit(&e->id, id, memory_order_relaxed);
	atomic_store_explicit(&e->word, id << STATE_BITS | BOARD_SENT, memory_order_release);
}

bool
board_claim(struct board_entry *e, uint64_t id, uint64_t now_us)
{
	uint64_t sent = id << STATE_BITS | BOARD_SENT;

	return atomic_compare_exchange_strong(&e->word, &sent, now_us << STATE_BITS | BOARD_CLAIMED);
}

bool
board_revoke(struct board_entry *e)
{
	uint64_t sent = atomic_load(&e->word);

	return state_of(sent) == BOARD_SENT && atomic_compare_exchange_strong(&e->word, &sent, BOARD_REVOKED);
}

bool
board_stop(struct board_entry *e)
{
	uint64_t word = atomic_load(&e->word);

	while (state_of(word) == BOARD_CLAIMED)
		if (atomic_compare_exchange_weak(&e->word, &word, (word & ~STATE_MASK) | BOARD_STOP))
			return true;
	return state_of(word) == BOARD_STOP;
}

bool
board_is_stopped(const struct board_entry *e)
{
	return state_of(atomic_load_explicit(&e->word, memory_order_acquire)) == BOARD_STOP;
}

enum board_state
board_look(const struct board_entry *e, uint64_t *start_us)
{
	uint64_t word = atomic_load_explicit(&e->word, memory_order_acquire);
	uint64_t state = state_of(word);

	if (state > BOARD_STOP)
		state = BOARD_EMPTY;
	if (start_us != NULL)
		*start_us = state == BOARD_CLAIMED || state == BOARD_STOP ? word >> STATE_BITS : 0;
	return (enum board_state)state;
}

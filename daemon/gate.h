/* A gate: futures that wait for other futures to finish without error (the option `after`, and references in their arguments).
 * The futures of one map share a gate, so a million of them wait once. Opening, or failing, happens over turns. */
#ifndef FUTURED_DAEMON_GATE_H
#define FUTURED_DAEMON_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/future.h"

struct gate;

/* A gate that waits for these futures, all of them to be had; pins them as long as it lives. NULL without memory. `own`: for one
 * future that needs their values, so it lives until gate_free; else it is for as many as are put behind it until gate_filled, and frees
 * itself when it is empty after that. */
struct gate *gate_new(const uint64_t *ids, size_t count, bool own);
/* The future waits behind it (or passes at once, in a later step). */
void gate_hold(struct gate *g, struct future *f);
/* One that was put behind it goes on at once if nothing is left to wait for: at start-up, where whoever comes next is to stand behind it. */
void gate_pass(struct future *f);
/* No more will be put behind it. */
void gate_filled(struct gate *g);
/* It no longer waits (cancelled). */
void gate_unlink(struct future *f);
/* The id of a future that it still waits for, 0 if none. */
uint64_t gate_waits_for(const struct gate *g);
/* Whether somebody is about to be let go by any gate. */
bool gate_any_moves(void);
void gate_free(struct gate *g);

#endif

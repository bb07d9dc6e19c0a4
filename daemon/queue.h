/* A pool's queue: higher priority first; within one, owners take turns, and each owner's are first in, first out.
 *
 * A heap of the priorities in use, each with a ring of owners, each with a list: O(1) for everything but the heap's
 * O(log of the priorities in use), cancel from the middle included. */
#ifndef FUTURED_DAEMON_QUEUE_H
#define FUTURED_DAEMON_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/future.h"

struct queue;

struct queue *queue_new(void);
/* The queue must be empty. */
void queue_free(struct queue *q);
/* The first of `count` new places in the order of being ready. */
uint64_t queue_order(struct queue *q, uint64_t count);
/* Appends; f->order, set by the caller, is from queue_order. False without memory. */
bool queue_push(struct queue *q, struct future *f);
/* Puts one back that was taken, at its old place (by f->order). False without memory. */
bool queue_push_back(struct queue *q, struct future *f);
/* Puts a whole list of futures that share a spec at their places, which are next to each other, in one step; the list is then empty. The caller
 * has set their place and order. False without memory. */
bool queue_push_list(struct queue *q, struct future_list *list, uint64_t count);
/* Takes the next one; NULL when empty. */
struct future *queue_pop(struct queue *q);
/* The next one, left where it is. */
struct future *queue_peek(const struct queue *q);
/* Takes one from the middle. */
void queue_remove(struct queue *q, struct future *f);
uint64_t queue_length(const struct queue *q);
/* When the one was submitted that has been there longest, as far as the first few thousand owners' first ones tell; 0: empty. */
uint64_t queue_oldest_us(const struct queue *q);
/* How many will be taken before this one at most, given what is there now. */
uint64_t queue_position(const struct queue *q, const struct future *f);

#endif

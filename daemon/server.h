/* The server: start-up, the loop, and the ways it ends.
 *
 *     SERVING ──shutdown──► FINISHING (all work runs to its end) ──┐
 *        │                                                         ▼
 *        └──SIGTERM──► STOPPING (what runs may finish, for a while; a second SIGTERM kills) ──► ENDING (hosts end) ──► over
 */
#ifndef FUTURED_DAEMON_SERVER_H
#define FUTURED_DAEMON_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "proto/buf.h"

struct request;

/* Listens and makes the pools. The config is taken. False, with a sentence. */
bool server_start(struct config *c, char *why, size_t why_size);
/* After a start that failed: leaves nothing behind. */
void server_abandon(void);
/* Serves until told to end. */
void server_run(void);
void server_end(void);

const struct config *server_config(void);
/* Reads the configuration again and applies what can be. Packs an array of sentences: what could not. False, with a sentence: it has mistakes,
 * and nothing was changed. */
bool server_reload(struct buf *told, char *why, size_t why_size);
/* No more submits. */
bool server_is_ending(void);
/* Tasks can be submitted, and those of every configured pool can run. False, with what is wrong. */
bool server_is_ready(char *why, size_t why_size);
/* As many payload bytes are held as may be, and nothing finished and seen could be forgotten for it. */
bool server_is_full(void);
/* Most workers that an opened pool may have. */
uint64_t server_client_workers(void);
/* New whenever ids begin anew. */
const char *server_instance(void);
/* The one that the store has had since it was made. */
void server_set_instance(const char *text);
double server_uptime(void);
/* Executor.shutdown: no more submits; ends when all is done. */
void server_shutdown(bool cancel_futures);
/* Called once when everything has run, before the daemon ends: to answer those who wait for it. */
struct server_waiter {
	struct server_waiter *next, *prev;
	void (*over)(struct server_waiter *w);
};
void server_wait_over(struct server_waiter *w);
void server_unwait_over(struct server_waiter *w);

#endif

/* The run message: how a task is put into words for its host, references replaced by values. */
#ifndef FUTURED_DAEMON_RUN_H
#define FUTURED_DAEMON_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/slot.h"

/* Says ["run", entry, id, attempt, fn, args, options] on the slot's stream. False if it cannot be said: the future has then failed. */
bool run_encode(struct slot *s, struct future *f, unsigned entry, const uint8_t secret[SLOT_SECRET]);
/* The largest message a client may send or get, bytes. Set once from the configuration. */
uint64_t run_frame_limit(void);
/* The same as hosts are told: `message`. What they send and are sent may be WORKER_ENVELOPE larger. */
uint64_t run_host_limit(void);
void run_set_frame_limit(uint64_t bytes);
/* Where tasks reach the daemon (an address text, kept). */
void run_set_address(const char *address);
const char *run_address(void);
/* Secrets travel as 32 hex digits. */
void run_secret_text(const uint8_t secret[SLOT_SECRET], char out[2 * SLOT_SECRET + 1]);
bool run_secret_parse(const char *text, size_t len, uint8_t out[SLOT_SECRET]);

#endif

/* The rows of the durable store, as a restart reads them. */
#ifndef FUTURED_DAEMON_ROWS_H
#define FUTURED_DAEMON_ROWS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

struct replay;

/* Tells all that is stored, in the order that replay.h asks for. False, with a sentence. */
bool rows_replay(sqlite3 *db, struct replay *to, char *why, size_t size);
/* Why the last call failed. False. */
bool rows_complain(sqlite3 *db, char *why, size_t size);

#endif

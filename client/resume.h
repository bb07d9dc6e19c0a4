/* Reconnecting to the daemon that was lost, and going on where we were. */
#ifndef FUTURED_CLIENT_RESUME_H
#define FUTURED_CLIENT_RESUME_H

#include "client/connection.h"

/* Keeps what the answer of `hello` says about the daemon. */
void resume_learn(struct futured *c, const struct futured_reply *reply);
/* The descriptor has come to its end: requests that cannot be said again are told, the others wait. */
void resume_begin(struct futured *c, const char *why);
/* Tries to connect where it is time to. Gives up, telling everybody, when it has been too long. */
void resume_tick(struct futured *c);
/* Milliseconds until resume_tick has something to do; -1: never. */
int resume_timeout_ms(const struct futured *c);

#endif

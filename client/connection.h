/* A connection as the library's own files see it: the core, a descriptor, and what belongs to both. */
#ifndef FUTURED_CLIENT_CONNECTION_H
#define FUTURED_CLIENT_CONNECTION_H

#include <sys/types.h>

#include "client/core.h"

struct futured {
	struct core core;
	int fd;            /* -1: not connected */
	pid_t pid;         /* of the process that made it */
	char *wanted;      /* address; NULL: look for one */
	double connect_timeout;
	char *client, *token, *task; /* for hello */
	char address[320]; /* connected to */
	bool own;          /* the daemon has our uid, on this machine */
	int64_t peer;      /* its pid; 0: not known */
	char error[1024];  /* the last failure's sentence */
};

/* FUTURED_OK if the connection may be used by this process; every public function begins with it. */
enum futured_status connection_check(struct futured *c);
/* Remembers the sentence of a failure (text NULL: the status's, or why the connection ended) and returns the status. Does nothing
 * for FUTURED_OK. */
enum futured_status connection_failed(struct futured *c, enum futured_status status, const char *text);
/* The same from an answer. */
enum futured_status connection_replied(struct futured *c, const struct futured_reply *reply);

#endif

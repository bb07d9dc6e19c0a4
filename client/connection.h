/* A connection as the library's own files see it: the core, a descriptor, and what belongs to both. */
#ifndef FUTURED_CLIENT_CONNECTION_H
#define FUTURED_CLIENT_CONNECTION_H

#include <sys/queue.h>
#include <sys/types.h>

#include "client/core.h"

struct futured {
	struct core core;
	int fd;            /* -1: not connected */
	pid_t pid;         /* of the process that made it */
	char *wanted;      /* address; NULL: look for one */
	double connect_timeout;
	char *client, *token, *task; /* for hello */
	char *token_file;  /* read where `token` is NULL; NULL: $FUTURED_TOKEN_FILE */
	char *tls_ca, *tls_cert, *tls_key; /* files; NULL: what the environment says */
	struct tls *tls;   /* NULL: plain bytes */
	char address[320]; /* connected to */
	bool own;          /* the daemon has our uid, on this machine */
	int64_t peer;      /* its pid; 0: not known */
	char error[1024];  /* the last failure's sentence */
	char instance[128]; /* of the daemon, from hello; "" if it was not said */
	double reconnect;  /* how long to try after a loss; 0: not at all */
	struct {
		bool active;   /* lost, and not resumed yet; with a descriptor: hello is under way */
		double since;  /* when it was lost, */
		double next;   /* when to try again (the daemon has not answered hello by then), */
		double pause;  /* and how long to wait after that */
	} resume;
	bool keys;         /* make a key for each submit */
	char key_prefix[40];
	uint64_t key_count;
	void (*changed)(struct futured *c, void *data); /* futured_on_wanted; may be NULL */
	void *changed_data;
	LIST_HEAD(, futured_future) futures; /* all handles; future.c */
	size_t pending;    /* of them are not done */
};

/* FUTURED_OK if the connection may be used by this process; every public function begins with it. */
enum futured_status connection_check(struct futured *c);
/* Remembers the sentence of a failure (text NULL: the status's, or why the connection ended) and returns the status. Does nothing
 * for FUTURED_OK. */
enum futured_status connection_failed(struct futured *c, enum futured_status status, const char *text);
/* Tells whoever drives us that the descriptor, events or timeout may be others now. */
void connection_changed(struct futured *c);
/* The descriptor has come to its end. */
void connection_lost(struct futured *c, const char *why);
/* Learns who is at the other end. */
void connection_look(struct futured *c);
/* Finds a daemon, connects to it and shakes hands. Closed again on failure, with a sentence. */
enum futured_status connection_open(struct futured *c, const char *wanted, char *why, size_t size);
/* Closes the descriptor, if there is one. */
void connection_hang_up(struct futured *c);
/* The parameters of hello; `p` is initialised. */
enum futured_status connection_hello(struct futured *c, struct futured_pack *p);
/* The same from an answer. */
enum futured_status connection_replied(struct futured *c, const struct futured_reply *reply);

#endif

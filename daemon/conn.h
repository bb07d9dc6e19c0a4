/* A connection: a client's stream of requests, and what the daemon owes it.
 *
 * Others hold a connection's id, never a pointer: it may be gone when an answer is ready. What waits on behalf of a
 * connection is a struct pending in its list, and is abandoned when the connection ends.
 * Notifications are in notices.h. */
#ifndef FUTURED_DAEMON_CONN_H
#define FUTURED_DAEMON_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/backlog.h"
#include "daemon/ids.h"
#include "daemon/owner.h"
#include "daemon/stream.h"
#include "daemon/timer.h"
#include "daemon/watch.h"

struct spec;
struct follow;
struct login;

/* A call that will be answered later. Embedded in what waits. */
struct pending {
	struct pending *next, *prev;
	uint64_t conn_id;
	uint32_t msgid;
	/* The connection ended: stop waiting and free. Unlinked already. */
	void (*abandon)(struct pending *p);
	bool finishes;         /* counted in conn.finishing: goes on while its answer may still be read, … */
	bool does;             /* … and whether or not, as it does something that is to be done whole */
};

struct conn {
	uint64_t id;
	struct stream stream;
	struct login *login;       /* of a network connection; NULL on a Unix socket, whose peer the kernel names; owned */
	struct owner *owner;       /* counted; NULL before hello on a network socket: until then nothing but hello is handled */
	struct groups *groups;     /* counted; NULL: none */
	enum role role;
	struct {                   /* what it may do with a pool, as last worked out */
		uint32_t generation, pool;
		bool look;
		const char *refusal; /* the key that forbids it to submit; NULL: it may */
	} access;
	uint64_t parent;           /* the task that this connection speaks for; 0: none */
	unsigned parent_attempt;   /* … in this attempt */
	bool given_up;             /* there was no memory to keep what it is owed: it ends */
	bool waits;                /* it has unfinished calls, or watches what is not done: as far as its parent's pool was told */
	bool events;               /* gets event notifications */
	struct pool *events_pool;  /* only of this pool; counted; NULL: all */
	uint64_t events_lost;      /* not told, for want of room */
	struct buf events_said;    /* encoded, and told behind the turn's responses */
	struct buf progress;       /* likewise */
	struct watcher watcher;
	struct backlog backlog;    /* futures that are done and not yet told; pinned */
	struct turn_item notify;
	const char *last_words;    /* the protocol error that ends it, to be said when they have; a literal; NULL: none */
	unsigned finishing;        /* requests that come to their end though it ends: submits that wait for their commit, walks over many futures */
	bool ending;               /* nothing more comes from it: closed with the last of those */
	unsigned holding;          /* requests under way whose response precedes notifications */
	struct pending *pendings;
	uint32_t pending_count;
	struct id_run *bound;      /* futures that end with it; owned */
	size_t bound_count, bound_size, bound_checked;
	struct ids fed;            /* futures whose stdin it has fed */
	uint64_t fed_compact;      /* how many of them make it worth forgetting those that are over */
	struct follow *follows;    /* outputs it follows */
	uint32_t follow_count;
	struct buf cache_head, cache_options; /* the last submit's pool and fn, and its options, as they came */
	struct spec *cache_spec;   /* … and its spec; counted */
	int cache_kind;            /* enum submission_kind */
	struct turn_item freeing;
	struct timer linger;       /* closed, and something still to be written, or to be read at the other end */
	bool heard_end;            /* the peer has closed */
	bool farewell;             /* … or has been given its moment */
	struct conn *next, *prev;
};

/* Takes a connected Unix socket. False (fd closed) without memory or above the limit. */
bool conn_new(int fd, uid_t uid);
/* Takes a connected network socket, who it is to say, and its TLS (NULL: none); all of it is freed on failure, as above. */
bool conn_new_remote(int fd, struct login *login, struct tls *tls);
/* It speaks for this owner (taken) with these groups (taken; NULL: none) from now on. False: the owner has as many connections as it
 * may. */
bool conn_speak_for(struct conn *c, struct owner *owner, struct groups *groups);
/* It speaks for this running task from now on, and no longer for another. */
void conn_speak_in(struct conn *c, const struct future *task);
/* Answers the call that made it one too many, and ends it. */
void conn_refuse(struct conn *c, uint32_t msgid);
/* NULL if it is gone. */
struct conn *conn_find(uint64_t id);
struct conn *conn_first(void);
unsigned conn_count(void);
/* How long a network connection that waits for nothing may say nothing; 0: for ever. */
void conn_set_idle(uint64_t idle_us);
/* Since the start. */
struct conn_traffic {
	uint64_t accepted, refused, received, sent;
};
struct conn_traffic conn_traffic(void);
/* Bounds from the configuration. */
void conn_set_limits(uint64_t message, uint64_t connections, uint64_t requests, uint64_t queued);
uint64_t conn_message_limit(void);
/* Ends it now; what was said is written as far as the socket takes it. */
void conn_close(struct conn *c, const char *why);
/* There is no memory to keep what it is owed: it ends with this turn, when nobody goes through what it has any more. */
void conn_give_up(struct conn *c);
/* Whether some that read, since `since_us` at least, have not been told all that they are owed. */
bool conn_any_owed(uint64_t since_us);
/* Ends all of them, at shutdown. */
void conn_close_all(void);

/* Nothing more is to be heard from it: ended when all that it asked for is answered. */
void conn_end(struct conn *c, const char *why);
/* Those that were not listened to while the store was behind, or could not be written, are again. */
void conn_resume_all(void);

/* Where a message is encoded. */
struct buf *conn_say(struct conn *c);
/* The same for a whole message that no commit can make untrue. */
struct buf *conn_say_now(struct conn *c);
void conn_say_bytes(struct conn *c, struct bytes b);
/* The answer that is said until conn_end_settled rests on nothing that is not committed, if so: then it waits for no other commit. */
void conn_begin_settled(struct conn *c, bool settled);
void conn_end_settled(struct conn *c);
/* It has watches now that did not come with a frame of its own: whether it waits is told to its parent's pool. */
void conn_note_wait(struct conn *c);

/* Whether it may follow one output more. */
bool conn_may_follow(const struct conn *c);
/* Links a pending call. False: the connection has as many as it may (LimitError was not said). */
bool conn_pend(struct conn *c, struct pending *p, uint32_t msgid, void (*abandon)(struct pending *));
/* It was answered, or is about to be. */
void conn_unpend(struct pending *p);
/* One that is counted in `finishing` does not end with the connection; and when it has been answered. */
void conn_finish_begin(struct conn *c);
void conn_finish_end(struct conn *c);

#endif

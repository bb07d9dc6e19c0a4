/* The configuration: YAML text in, one checked struct out.
 *
 * Includes nothing of ours. All durations are microseconds, all sizes bytes. A struct config is read-only once loaded and
 * belongs to whoever loaded it. Every key is one row of the table in config/keys.c, from which the checks, the defaults, the
 * sample file and `futured -t` all follow. */
#ifndef FUTURED_CONFIG_H
#define FUTURED_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_kind { CONFIG_COMMAND, CONFIG_PROCESS, CONFIG_THREAD, CONFIG_INTERPRETER };

/* What a task may cost, by the names of the keys under `limits` of a pool and of the option `limits`. */
enum config_limit {
	CONFIG_LIMIT_MEMORY,    /* bytes */
	CONFIG_LIMIT_PROCESSES,
	CONFIG_LIMIT_CPUS,      /* microseconds of processor time a second */
	CONFIG_LIMIT_CPU,       /* seconds of processor time in all; config_pool has microseconds */
	CONFIG_LIMIT_FILES,
	CONFIG_LIMIT_FILE_SIZE, /* bytes */
	CONFIG_LIMIT_CORE,      /* bytes */
	CONFIG_LIMIT_STACK,     /* bytes */
	CONFIG_LIMITS
};
#define CONFIG_NO_LIMIT UINT64_MAX
#define CONFIG_NO_UMASK UINT32_MAX

struct config_strings {
	char **item;
	size_t count;
};

/* Somebody who may or may not do something. Users and groups by number: they were looked up when the file was read. */
enum config_principal_kind { CONFIG_ALL, CONFIG_USER, CONFIG_GROUP, CONFIG_TOKEN, CONFIG_CERTIFICATE };

struct config_principal {
	enum config_principal_kind kind;
	uint32_t id;                   /* CONFIG_USER, CONFIG_GROUP */
	char *name;                    /* as it was written: "token:ci" */
};

struct config_principals {
	struct config_principal *item;
	size_t count;
};

/* How a listener knows who is at the other end; fixed by the configuration, whatever the client says. */
enum config_auth {
	CONFIG_AUTH_PEER,        /* unix: the kernel says */
	CONFIG_AUTH_TOKEN,       /* tcp, tls: a token in hello */
	CONFIG_AUTH_CERTIFICATE, /* tls: the client's certificate */
};

struct config_listen {
	char *address;         /* "unix:/PATH", "tcp:HOST:PORT", "tls:HOST:PORT" */
	enum config_auth auth;
	bool plaintext;        /* tcp: allowed beyond loopback */
	char *cert, *key;      /* tls: PEM files */
	char *client_ca;       /* tls: who signs clients' certificates; NULL: none are asked for */
	char *min_version;     /* tls: "1.2" or "1.3" */
	char *role;            /* of whoever a certificate names: "admin", "user", "read-only" */
};

struct config_pool {
	char *name;
	enum config_kind kind;
	struct config_strings runtime; /* {"native"}, {"lua"}, {"python"} or a program and its arguments; command: empty */
	uint32_t workers;              /* 0: auto */
	uint64_t output;               /* output kept in memory per stream and task; beyond it spills to disk */
	uint64_t spill;                /* output kept on disk per stream and task; beyond it is cut */
	uint64_t queue;                /* pending tasks */
	uint64_t grace_us;             /* between TERM and KILL */
	uint64_t timeout_us;           /* default run limit; 0: none */
	uint64_t retain_us;            /* how long finished futures are kept */
	bool has_retain;               /* else the general one */
	uint64_t idle_timeout_us;      /* an idle worker is stopped after that; 0: never */
	uint64_t max_tasks_per_worker; /* 0: no bound */
	uint64_t max_rss;              /* bytes; a worker above it is replaced after its task; 0: no bound */
	struct config_strings modules; /* native: paths of shared objects, at least one; others: as given */
	char *script;                  /* lua: a file; NULL: none */
	uint64_t memory;               /* lua: bytes per state; 0: no bound */
	char *initializer;             /* NULL: none */
	uint8_t *initargs;             /* a MessagePack array */
	size_t initargs_len;
	char *cwd;                     /* NULL: the daemon's directory is / */
	struct config_strings env;     /* "NAME=value" */
	struct config_principals allow; /* who may use it */
	bool shared;                   /* all of them may look at its futures */
	uint64_t max_priority;         /* of submits by others than admins */
	struct config_strings lock;    /* options of submits that are refused */
	char *user, *group;            /* names or numbers; NULL: the daemon's */
	uint32_t umask;                /* CONFIG_NO_UMASK: none; a task's own then, else 022 */
	uint32_t nice;                 /* added to the daemon's */
	bool no_new_privs;
	uint64_t limit[CONFIG_LIMITS]; /* CONFIG_NO_LIMIT: none */
};

struct config {
	char *path;                    /* NULL: built-in defaults */
	struct config_listen *listen;  /* none: the user's own socket */
	size_t listens;
	char *tokens;                  /* the file of hashed tokens; NULL: none */
	uint32_t socket_mode;          /* permissions of Unix sockets */
	char *socket_group;            /* NULL: the daemon's */
	uint32_t socket_gid;           /* of socket_group; UINT32_MAX: none */
	bool shared_uid;               /* tasks of several principals may run as one user */
	struct config_principals admins;
	struct config_principals read_only;
	struct config_principals allow_commands;  /* who may use pools of kind command */
	struct config_principals allow_exec;      /* … pools that run what a client sends */
	struct config_principals allow_open_pool;
	char *store;                   /* "memory", "sqlite:PATH", or "sqlite": in the state directory */
	char *sync;                    /* "full", "normal", "off" */
	char *state_dir;               /* spilled output, boards; NULL: chosen by the daemon */
	uint64_t retain_us;
	uint64_t stop_timeout_us;
	char *cgroup;                  /* "auto", "none", or a directory */
	char *log_level;               /* "error", "warn", "info", "debug" */
	char *log_format;              /* "text", "json" */
	char *log_tasks;               /* "none", "failed", "all" */
	char *http;                    /* "unix:/PATH" or "tcp:HOST:PORT", of loopback; NULL: none */
	uint64_t limit_message;
	uint64_t limit_connections;
	uint64_t limit_unauthenticated; /* network connections that have not said who they are */
	uint64_t limit_hello_us;       /* how long they may take for it */
	uint64_t limit_idle_us;        /* how long a network connection may do nothing; 0: for ever */
	uint64_t limit_queue;
	uint64_t limit_store;          /* bytes on the disk */
	uint64_t limit_memory;         /* payload bytes held */
	uint64_t limit_requests;       /* unfinished calls and waits per connection */
	uint64_t limit_user_pending;   /* of one owner; UINT64_MAX: no bound of its own */
	uint64_t limit_user_bytes;
	uint64_t limit_user_connections;
	uint64_t limit_output;         /* bytes waiting to be read by one connection before it is no longer read from */
	bool client_pools;             /* open_pool allowed */
	uint64_t client_pools_workers; /* most workers of an opened pool; 0: CPUs x 4 */
	uint64_t client_pools_max;     /* most opened pools at once */
	struct config_pool *pool;
	size_t pools;
};

/* Reads and checks a file. Every mistake is one line "file:line:col: key: expected …, got …" written to `errors`; all are
 * reported, not only the first. NULL if there were any. Refuses a file that others may write, over 1 MiB, or with
 * anchors, aliases, tags, duplicate keys or nesting over 16. Paths are made absolute, relative ones from the file's
 * directory. */
struct config *config_load(const char *path, FILE *errors);
/* The same from text; `name` stands for the file in messages. A text has no directory, so relative paths are refused. */
struct config *config_parse(const char *name, const char *text, size_t len, FILE *errors);
/* What holds without a file: the user's own daemon (pools shell, py and pythread; open_pool allowed). NULL: no memory. */
struct config *config_default(void);
/* What holds for a user's own daemon that was started without a file: the defaults, but that it keeps results for a week, and that who may open
 * pools may open many and large ones. The caller frees it. NULL without memory. */
struct config *config_personal(void);
void config_free(struct config *c);
/* Writes the annotated sample: every key at its default with its paragraph. */
void config_sample(FILE *out);
/* Writes all of a configuration, as YAML that reads back as the same; where it has no listener, `address` is told beside it. */
void config_write(FILE *out, const struct config *c, const char *address);
/* Whether others than the user whom the daemon runs as (and root) can be its clients, as far as the configuration says. */
bool config_is_shared(const struct config *c);
/* A pool whose tasks run as the daemon's own user; NULL: there is none. Where a daemon is shared, shared_uid is to allow it. */
const struct config_pool *config_own_uid_pool(const struct config *c);
const char *config_kind_name(enum config_kind kind);
/* Its key under `limits`. */
const char *config_limit_name(enum config_limit limit);

#endif

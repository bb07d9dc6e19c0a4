/* The table of all keys: what each is called, where it is stored, what it may be, and what it is for.
 *
 * The reader, the defaults, the messages and the sample file follow from it; a new setting is one row here, and one field in
 * config.h. */
#ifndef FUTURED_CONFIG_KEYS_H
#define FUTURED_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type {      /* YAML                                  stored as */
	KEY_BOOL,     /* true or false                         bool */
	KEY_COUNT,    /* an integer                            uint64_t */
	KEY_AUTO,     /* "auto" or an integer from 1           uint32_t or uint64_t; auto is 0 */
	KEY_SHARE,    /* a number with a fraction              uint64_t, millionths */
	KEY_MODE,     /* an octal number or null               uint32_t; null leaves it as it is */
	KEY_SIZE,     /* number_parse(NUMBER_SIZE)             uint64_t, bytes */
	KEY_DURATION, /* number_parse(NUMBER_DURATION)         uint64_t, microseconds */
	KEY_TEXT,     /* a string or null                      char *, owned */
	KEY_PATH,     /* a path or null                        char *, owned, absolute */
	KEY_ADDRESS,  /* unix:PATH, tcp:… or tls:…             char *, owned */
	KEY_CHOICE,   /* one of `choices`                      char *, owned */
	KEY_AUTH,     /* token or certificate                  enum config_auth */
	KEY_KIND,     /* a kind's name                         enum config_kind */
	KEY_RUNTIME,  /* a runtime's name or a program's argv  struct config_strings */
	KEY_TEXTS,    /* a string or a list of them            struct config_strings */
	KEY_LISTEN,   /* a listener or a list of them: an address, or a map of the rows in listen_keys */
	KEY_HTTP,     /* an address of this machine or null    char *, owned */
	KEY_STORE,    /* a store                               char *, owned */
	KEY_PRINCIPALS, /* a principal or a list of them      struct config_principals */
	KEY_ENV,      /* a map of names to values              struct config_strings, "NAME=value" */
	KEY_VALUES,   /* a list of anything                    uint8_t * and, right behind it, size_t: MessagePack */
	KEY_GROUP,    /* a map of the rows that have this name as their group */
	KEY_POOLS,    /* a map of names to maps of pool keys */
};

enum { KEY_ALL_KINDS = 15 };

struct key {
	const char *name;
	const char *group;        /* NULL: at the top */
	enum key_type type;
	size_t offset;            /* in struct config or struct config_pool */
	size_t size;              /* of the field */
	uint64_t min;             /* numbers: the range, both ends allowed */
	uint64_t max;
	const char *standard;     /* the default, as YAML; NULL: null, [] or {} */
	const char *standard_text; /* said instead, where the default depends on something */
	const char *choices;      /* KEY_CHOICE: words with a space before and behind each */
	bool none;                /* numbers: "none" is allowed, and stored as UINT64_MAX */
	const char *example;      /* a value for the sample where the default shows nothing */
	unsigned kinds;           /* pool keys: 1 << enum config_kind, or KEY_ALL_KINDS */
	const char *why_not;      /* pool keys: why the other kinds cannot have it */
	bool reloadable;          /* a reload applies it; else it needs a restart (pool keys: the pool's hosts anew) */
	const char *help;         /* a paragraph, lines of at most 100 columns */
};

/* The rows at the top and in its groups. */
extern const struct key config_keys[];
extern const size_t config_key_count;

enum pool_key {
	POOL_KIND, POOL_RUNTIME, POOL_WORKERS, POOL_OUTPUT, POOL_SPILL, POOL_QUEUE, POOL_GRACE, POOL_TIMEOUT, POOL_RETAIN,
	POOL_IDLE_TIMEOUT, POOL_MAX_TASKS, POOL_MAX_RSS, POOL_MODULES, POOL_SCRIPT, POOL_MEMORY, POOL_INITIALIZER,
	POOL_INITARGS, POOL_CWD, POOL_ENV, POOL_ALLOW, POOL_SHARED, POOL_MAX_PRIORITY, POOL_LOCK, POOL_USER, POOL_GROUP, POOL_UMASK, POOL_NICE, POOL_NO_NEW_PRIVS, POOL_LIMITS,
	POOL_LIMIT, /* the first of CONFIG_LIMITS rows, in the order of enum config_limit */
	POOL_KEYS = POOL_LIMIT + 8
};

/* The rows of one pool, indexed by enum pool_key. */
extern const struct key pool_keys[POOL_KEYS];

enum listen_key {
	LISTEN_ADDRESS, LISTEN_AUTH, LISTEN_CERT, LISTEN_KEY, LISTEN_CLIENT_CA, LISTEN_ROLE, LISTEN_MIN_VERSION, LISTEN_PLAINTEXT, LISTEN_KEYS
};

/* The rows of one listener, indexed by enum listen_key; `kinds` are bits of enum listen_scheme. */
enum listen_scheme { LISTEN_UNIX = 1, LISTEN_TCP = 2, LISTEN_TLS = 4 };
extern const struct key listen_keys[LISTEN_KEYS];

/* The default of idle_timeout for kind process; the row has that of the others. */
#define POOL_IDLE_TIMEOUT_PROCESS "60s"

/* The pools of a configuration that names none, as the YAML value of `pools`. */
extern const char builtin_pools[];

/* The row with this name in this group; NULL if there is none. */
const struct key *keys_find(const struct key *keys, size_t count, const char *group, const char *name);
/* The name in this group that was probably meant; NULL if none is near. */
const char *keys_nearest(const struct key *keys, size_t count, const char *group, const char *name);

#endif

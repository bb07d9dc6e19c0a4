#include "config/keys.h"

#include <string.h>

#include "config/config.h"

#define CONFIG(member) .offset = offsetof(struct config, member), .size = sizeof(((struct config *)0)->member)
#define POOL(member) .offset = offsetof(struct config_pool, member), .size = sizeof(((struct config_pool *)0)->member)
#define LISTEN(member) .offset = offsetof(struct config_listen, member), .size = sizeof(((struct config_listen *)0)->member)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define SECOND UINT64_C(1000000)
#define LONGEST (UINT64_C(1000000000) * SECOND) /* the protocol's bound on durations */

#define COMMAND (1u << CONFIG_COMMAND)
#define PROCESS (1u << CONFIG_PROCESS)
#define THREAD (1u << CONFIG_THREAD)
#define INTERPRETER (1u << CONFIG_INTERPRETER)

/* A row of the group `limits` of a pool. */
#define LIMIT(id, key, kind_of, of_kinds, ...) \
	[POOL_LIMIT + CONFIG_LIMIT_##id] = {key, "limits", .type = kind_of, POOL(limit[CONFIG_LIMIT_##id]), \
	 .standard = "none", .none = true, .kinds = of_kinds, .reloadable = true, __VA_ARGS__}
_Static_assert(POOL_KEYS == (int)POOL_LIMIT + (int)CONFIG_LIMITS, "a row for each limit");

/* All start their workers when there is something to do. */
const char builtin_pools[] = "shell: {kind: command}\n"
			     "py: {kind: process, runtime: python}\n"
			     "pythread: {kind: thread, runtime: python}\n";

const struct key config_keys[] = {
	{"listen", .type = KEY_LISTEN, CONFIG(listen),
	 .example = "[unix:/run/futured/futured.sock, {address: tls:0.0.0.0:7712, cert: tls.crt, key: tls.key}]",
	 .standard_text = "the user's own socket",
	 .help = "Where clients connect: one listener or a list. A listener is an address, or a map with more keys. An\n"
		 "address is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT. An empty list means the user's own socket,\n"
		 "$XDG_RUNTIME_DIR/futured/futured.sock; any other has at least one unix: address, for tasks. Keys:\n"
		 "  address    the address\n"
		 "  auth       how clients are known: token (in hello, from the file that `tokens` names) or certificate;\n"
		 "             by default certificate with client_ca, else token; not for unix:, where the kernel says it\n"
		 "  cert, key  tls: PEM files: the certificate with its chain, and the private key (default: in cert)\n"
		 "  client_ca  tls: clients must show a certificate signed by one of these (CRLs in it are obeyed)\n"
		 "  role       what clients known by their certificate may do: admin, user (default) or read-only\n"
		 "  min_version  tls: 1.3 (default) or 1.2\n"
		 "  plaintext  tcp: true allows an address beyond loopback: tokens can then be read on the way\n"
		 "cert, key and client_ca are paths or credential:NAME, and are read again by a reload."},
	{"tokens", .type = KEY_PATH, CONFIG(tokens), .example = "/etc/futured/tokens", .reloadable = true,
	 .standard_text = "no tokens",
	 .help = "The file of those who may come over the network, a line for each: NAME ROLE EXPIRES HASH. `fut daemon\n"
		 "token` writes such lines. A path, or credential:NAME for a file in $CREDENTIALS_DIRECTORY. Others than\n"
		 "its owner and group must not be able to read it."},
	{"socket_mode", .type = KEY_MODE, CONFIG(socket_mode), .min = 0600, .max = 0777, .standard = "0600", .example = "0660",
	 .help = "The permissions of Unix sockets, in octal. With 0600 the daemon is its user's own: only that user and\n"
		 "root can connect, and that user is an admin. One that lets others write makes it shared."},
	{"socket_group", .type = KEY_TEXT, CONFIG(socket_group), .example = "futured", .standard_text = "the daemon's",
	 .help = "The group of Unix sockets."},
	{"shared_uid", .type = KEY_BOOL, CONFIG(shared_uid), .standard = "false", .reloadable = true,
	 .help = "Whether a shared daemon may run its clients' tasks as its own user. Whoever may run a program there can\n"
		 "then reach what the tasks of others do: their memory, their files, their rights. Without it a shared\n"
		 "daemon is refused where a pool has no user of its own."},
	{"admins", .type = KEY_PRINCIPALS, CONFIG(admins), .example = "[ann, group:wheel]", .reloadable = true,
	 .help = "Who may do everything, beside root: users, group:NAME, token:NAME, cert:NAME."},
	{"read_only", .type = KEY_PRINCIPALS, CONFIG(read_only), .example = "[monitor]", .reloadable = true,
	 .help = "Who may look, and change nothing."},
	{"allow", .type = KEY_GROUP, .help = "Who, beside admins, may use what runs whatever a client says; each pool's allow counts as well."},
	{"commands", "allow", .type = KEY_PRINCIPALS, CONFIG(allow_commands), .standard = "all", .choices = " all ",
	 .example = "[group:staff]", .reloadable = true, .help = "Pools of kind command."},
	{"exec", "allow", .type = KEY_PRINCIPALS, CONFIG(allow_exec), .standard = "all", .choices = " all ",
	 .example = "[group:staff]", .reloadable = true,
	 .help = "Pools whose functions run source or name any function there is: all but native ones."},
	{"open_pool", "allow", .type = KEY_PRINCIPALS, CONFIG(allow_open_pool), .standard = "all", .choices = " all ",
	 .example = "[group:staff]", .reloadable = true, .help = "Opening pools, where client_pools allows it."},
	{"store", .type = KEY_STORE, CONFIG(store), .standard = "sqlite", .example = "sqlite:/var/lib/futured/futured.db",
	 .help = "Where futures are kept. sqlite: durably, in futured.db in the state directory. sqlite:PATH: in that file.\n"
		 "memory: they are lost when the daemon ends."},
	{"sync", .type = KEY_CHOICE, CONFIG(sync), .standard = "full", .choices = " full normal off ",
	 .help = "When a durable store's commit counts. full: when the disk has it: nothing that a client was told is lost,\n"
		 "whatever happens. normal: when the system has it: nothing is lost when the daemon is killed; a power cut may\n"
		 "lose the last moments. off: as normal, and a power cut may damage the store."},
	{"state_dir", .type = KEY_PATH, CONFIG(state_dir), .example = "/var/lib/futured",
	 .standard_text = "chosen by the daemon",
	 .help = "The directory for output that does not fit in memory and for the claim boards; it is created when\n"
		 "missing. null lets the daemon choose."},
	{"cgroup", .type = KEY_PATH, CONFIG(cgroup), .standard = "auto", .choices = " auto none ", .example = "/sys/fs/cgroup/futured",
	 .help = "Where cgroups (version 2) for tasks are made. auto: in the one that the daemon is started in, if it may;\n"
		 "none: nowhere. Or the directory of a cgroup that was handed to the daemon's user."},
	{"retain", .type = KEY_DURATION, CONFIG(retain_us), .max = LONGEST, .standard = "1h", .reloadable = true,
	 .help = "How long a finished future is kept after it finished, unless its pool or its submit says otherwise."},
	{"stop_timeout", .type = KEY_DURATION, CONFIG(stop_timeout_us), .max = LONGEST, .standard = "10s",
	 .reloadable = true,
	 .help = "How long running tasks may go on after the daemon was told to end; then they are killed."},
	{"log", .type = KEY_GROUP, .help = "What is written to standard error or the journal."},
	{"level", "log", .type = KEY_CHOICE, CONFIG(log_level), .standard = "info", .choices = " error warn info debug ",
	 .reloadable = true, .help = "The least important lines that are written: error, warn, info or debug."},
	{"format", "log", .type = KEY_CHOICE, CONFIG(log_format), .standard = "text", .choices = " text json ",
	 .reloadable = true,
	 .help = "How lines look on standard error: text, or json, an object per line. In the journal ids are fields."},
	{"tasks", "log", .type = KEY_CHOICE, CONFIG(log_tasks), .standard = "none", .choices = " none failed all ",
	 .reloadable = true, .help = "Which tasks get a line when they end: none, failed or all."},
	{"http", .type = KEY_HTTP, CONFIG(http), .example = "tcp:127.0.0.1:7713",
	 .help = "Where /metrics (for Prometheus), /healthz and /readyz are served by HTTP: unix:PATH, or tcp:HOST:PORT\n"
		 "with a loopback address, since whoever asks is answered. null: nowhere."},
	{"limits", .type = KEY_GROUP, .help = "Bounds on what clients may cost the daemon."},
	{"message", "limits", .type = KEY_SIZE, CONFIG(limit_message), .min = KIB, .max = GIB, .standard = "64MiB",
	 .help = "The largest message, either way."},
	{"connections", "limits", .type = KEY_COUNT, CONFIG(limit_connections), .min = 1, .max = 1000000,
	 .standard = "4096", .reloadable = true, .help = "Connections at once."},
	{"unauthenticated", "limits", .type = KEY_COUNT, CONFIG(limit_unauthenticated), .min = 1, .max = 1000000,
	 .standard = "256", .reloadable = true,
	 .help = "Network connections that have not said who they are; one more ends the oldest of the address that\n"
		 "has the most."},
	{"hello_timeout", "limits", .type = KEY_DURATION, CONFIG(limit_hello_us), .min = 1000, .max = LONGEST, .standard = "10s",
	 .reloadable = true, .help = "How long a network connection may take to say it, from connecting on."},
	{"idle_timeout", "limits", .type = KEY_DURATION, CONFIG(limit_idle_us), .max = LONGEST, .standard = "0", .reloadable = true,
	 .help = "A network connection that says nothing for that long, and waits for nothing, is closed. 0: never."},
	{"queue", "limits", .type = KEY_COUNT, CONFIG(limit_queue), .min = 1, .max = 1000000000, .standard = "1000000",
	 .reloadable = true, .help = "Pending futures per pool, unless the pool has its own queue."},
	{"memory", "limits", .type = KEY_SIZE, CONFIG(limit_memory), .min = MIB, .max = 16 * TIB, .standard = "2GiB",
	 .reloadable = true, .help = "Bytes of arguments and results held."},
	{"store", "limits", .type = KEY_SIZE, CONFIG(limit_store), .min = MIB, .max = 16 * TIB, .standard = "64GiB",
	 .reloadable = true,
	 .help = "Bytes that the durable store and spilled output may have on the disk. At the bound finished futures are\n"
		 "forgotten, the oldest first, failures only when somebody has looked at them; then submits are refused."},
	{"requests", "limits", .type = KEY_COUNT, CONFIG(limit_requests), .min = 1, .max = 1000000000,
	 .standard = "100000", .reloadable = true, .help = "Unfinished calls and waits per connection."},
	{"output", "limits", .type = KEY_SIZE, CONFIG(limit_output), .min = KIB, .max = TIB, .standard = "64MiB",
	 .reloadable = true,
	 .help = "Bytes that may wait to be read by one connection; above that it is not read from either."},
	{"user", "limits", .type = KEY_GROUP,
	 .help = "Bounds on what one user, token or certificate may take, so that something is left for others. Admins\n"
		 "are not bound."},
	{"pending", "user", .type = KEY_AUTO, CONFIG(limit_user_pending), .min = 1, .max = 1000000000, .standard = "auto",
	 .example = "10000", .reloadable = true,
	 .help = "Pending futures in all pools; auto is half of limits.queue."},
	{"bytes", "user", .type = KEY_SIZE, CONFIG(limit_user_bytes), .min = KIB, .max = 16 * TIB, .standard = "auto",
	 .example = "256MiB", .reloadable = true,
	 .help = "Bytes of arguments and results held, in memory or in the store; auto is half of limits.memory."},
	{"connections", "user", .type = KEY_AUTO, CONFIG(limit_user_connections), .min = 1, .max = 1000000, .standard = "auto",
	 .example = "100", .reloadable = true,
	 .help = "Connections at once; auto is half of limits.connections."},
	{"client_pools", .type = KEY_GROUP,
	 .help = "Pools that clients open for themselves. true or false is short for enabled."},
	{"enabled", "client_pools", .type = KEY_BOOL, CONFIG(client_pools), .standard = "true", .reloadable = true,
	 .help = "Whether clients may open pools."},
	{"workers", "client_pools", .type = KEY_AUTO, CONFIG(client_pools_workers), .min = 1, .max = 1024,
	 .standard = "auto", .reloadable = true,
	 .help = "The most workers that an opened pool may have; auto is four for each CPU, at least 32."},
	{"max", "client_pools", .type = KEY_COUNT, CONFIG(client_pools_max), .min = 1, .max = 4096, .standard = "64",
	 .reloadable = true, .help = "Opened pools at once; one user may have half of them, an admin all."},
	{"pools", .type = KEY_POOLS, .standard_text = "the pools shell (command), py (process, python) and pythread (thread, python)", .reloadable = true,
	 .help = "The pools by name: 1 to 64 of the characters A-Z a-z 0-9 _ . -"},
};
const size_t config_key_count = sizeof(config_keys) / sizeof(*config_keys);

const struct key pool_keys[POOL_KEYS] = {
	[POOL_KIND] = {"kind", .type = KEY_KIND, POOL(kind), .standard = "command", .kinds = KEY_ALL_KINDS,
	 .help = "How tasks are isolated from each other. command: a program with a process tree of its own per task.\n"
		 "process: functions, in one process per worker. thread: functions, in the threads of one process.\n"
		 "interpreter: functions, in isolated interpreters within one process."},
	[POOL_RUNTIME] = {"runtime", .type = KEY_RUNTIME, POOL(runtime), .standard_text = "native; lua for interpreter",
	 .example = "native", .kinds = PROCESS | THREAD | INTERPRETER, .why_not = "its tasks are programs themselves",
	 .help = "What runs the functions. native: C modules. python: Python functions. lua: a script, for kind\n"
		 "interpreter only. A list is a program and its arguments that speaks the worker contract."},
	[POOL_WORKERS] = {"workers", .type = KEY_AUTO, POOL(workers), .min = 1, .max = 1024, .standard = "auto",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "How many tasks run at once. auto: as many as CPUs may be used; thread: four more, at most 32."},
	[POOL_OUTPUT] = {"output", .type = KEY_SIZE, POOL(output), .max = GIB, .standard = "1MiB",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "Output of a task kept in memory, per stream; what is beyond it goes to disk."},
	[POOL_SPILL] = {"spill", .type = KEY_SIZE, POOL(spill), .max = 16 * TIB, .standard = "1GiB",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "Output of a task kept on disk, per stream; what is beyond it is cut. 0 keeps none."},
	[POOL_QUEUE] = {"queue", .type = KEY_COUNT, POOL(queue), .min = 1, .max = 1000000000,
	 .standard_text = "limits.queue", .example = "1000", .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "Futures that may be pending in this pool."},
	[POOL_GRACE] = {"grace", .type = KEY_DURATION, POOL(grace_us), .max = LONGEST, .standard = "5s",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "How long a task that is stopped may take to end by itself before it is killed."},
	[POOL_TIMEOUT] = {"timeout", .type = KEY_DURATION, POOL(timeout_us), .max = LONGEST, .standard = "0",
	 .kinds = COMMAND | PROCESS | INTERPRETER, .why_not = "a thread cannot be stopped", .reloadable = true,
	 .help = "How long a task may run, unless its submit says otherwise. 0: as long as it likes."},
	[POOL_RETAIN] = {"retain", .type = KEY_DURATION, POOL(retain_us), .max = LONGEST,
	 .standard_text = "the general retain", .example = "1h", .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "How long this pool's finished futures are kept."},
	[POOL_IDLE_TIMEOUT] = {"idle_timeout", .type = KEY_DURATION, POOL(idle_timeout_us), .max = LONGEST,
	 .standard = "0", .standard_text = POOL_IDLE_TIMEOUT_PROCESS " for kind process, else 0",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "A worker that had nothing to do for that long is stopped; it comes back when needed. 0: never."},
	[POOL_MAX_TASKS] = {"max_tasks_per_worker", .type = KEY_COUNT, POOL(max_tasks_per_worker), .max = 1000000000,
	 .standard = "0", .kinds = COMMAND | PROCESS, .why_not = "its workers share one process", .reloadable = true,
	 .help = "A worker is replaced after that many tasks. 0: never."},
	[POOL_MAX_RSS] = {"max_rss", .type = KEY_SIZE, POOL(max_rss), .max = 16 * TIB, .standard = "0",
	 .kinds = COMMAND | PROCESS, .why_not = "its workers share one process", .reloadable = true,
	 .help = "A worker that holds more memory than that is replaced after its task. 0: never."},
	[POOL_MODULES] = {"modules", .type = KEY_TEXTS, POOL(modules), .example = "[/usr/lib/futured/modules/fetch.so]",
	 .kinds = PROCESS | THREAD, .why_not = "it loads no modules",
	 .help = "What the runtime loads; native: paths of shared objects, at least one."},
	[POOL_SCRIPT] = {"script", .type = KEY_PATH, POOL(script), .example = "/etc/futured/tasks.lua",
	 .kinds = INTERPRETER, .why_not = "it runs no script",
	 .help = "The file that defines the functions. Without one there are only those that come with the runtime."},
	[POOL_MEMORY] = {"memory", .type = KEY_SIZE, POOL(memory), .max = 16 * TIB, .standard = "0", .example = "64MiB",
	 .kinds = INTERPRETER, .why_not = "only an interpreter's memory can be bounded",
	 .help = "Bytes that one interpreter may use. 0: no bound."},
	[POOL_INITIALIZER] = {"initializer", .type = KEY_TEXT, POOL(initializer), .example = "warm_up",
	 .kinds = PROCESS | THREAD | INTERPRETER, .why_not = "it has no functions",
	 .help = "A function that each worker calls before its first task. If it fails, the pool is broken."},
	[POOL_INITARGS] = {"initargs", .type = KEY_VALUES, POOL(initargs), .example = "[8, fast, {deep: true}]",
	 .kinds = PROCESS | THREAD | INTERPRETER, .why_not = "it has no functions",
	 .help = "What the initializer is called with: a list of any values."},
	[POOL_CWD] = {"cwd", .type = KEY_PATH, POOL(cwd), .example = "/var/tmp", .standard_text = "/",
	 .kinds = KEY_ALL_KINDS, .help = "The directory in which tasks run."},
	[POOL_ENV] = {"env", .type = KEY_ENV, POOL(env), .example = "{LANG: C.UTF-8}", .kinds = KEY_ALL_KINDS,
	 .help = "Variables added to the environment of tasks."},
	[POOL_ALLOW] = {"allow", .type = KEY_PRINCIPALS, POOL(allow), .standard = "all", .choices = " all ",
	 .example = "[ann, group:staff, token:ci]", .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "Who may use the pool, beside admins; [] is nobody."},
	[POOL_SHARED] = {"shared", .type = KEY_BOOL, POOL(shared), .standard = "false", .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "Whether whoever may use the pool may also look at all futures in it, and take their values. Only their\n"
		 "owners and admins change them."},
	[POOL_MAX_PRIORITY] = {"max_priority", .type = KEY_COUNT, POOL(max_priority), .max = 32767, .standard = "32767",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "The highest priority that others than admins may ask for. With 0 nobody goes before the others, who\n"
		 "then all take turns."},
	[POOL_LOCK] = {"lock", .type = KEY_TEXTS, POOL(lock), .example = "[cwd, env]", .kinds = COMMAND,
	 .why_not = "its tasks have no such options", .reloadable = true,
	 .help = "Options that a submit may not have: cwd, env, umask, nice, limits, stdin. The pool's hold."},
	[POOL_USER] = {"user", .type = KEY_TEXT, POOL(user), .example = "render", .kinds = KEY_ALL_KINDS,
	 .help = "The user whom the workers, and so the tasks, run as: a name or a number, never root. The daemon must have\n"
		 "been started as root or with the capabilities CAP_SETUID and CAP_SETGID. null: the daemon's own."},
	[POOL_GROUP] = {"group", .type = KEY_TEXT, POOL(group), .example = "render", .standard_text = "the user's own",
	 .kinds = KEY_ALL_KINDS, .help = "The group whom they run as; they have the other groups of the user, too."},
	[POOL_UMASK] = {"umask", .type = KEY_MODE, POOL(umask), .max = 0777, .example = "027", .standard_text = "022",
	 .kinds = KEY_ALL_KINDS, .reloadable = true,
	 .help = "Which permissions the files that tasks make lack. What a task asks for itself is added to it."},
	[POOL_NICE] = {"nice", .type = KEY_COUNT, POOL(nice), .max = 19, .standard = "0", .kinds = KEY_ALL_KINDS,
	 .reloadable = true,
	 .help = "How far tasks stand back behind others for the processors, as nice(1). A task may ask for more."},
	[POOL_NO_NEW_PRIVS] = {"no_new_privs", .type = KEY_BOOL, POOL(no_new_privs), .standard = "false",
	 .standard_text = "false; true in a pool with a user", .kinds = KEY_ALL_KINDS,
	 .help = "Whether set-user-ID programs, sudo among them, have no effect in tasks."},
	[POOL_LIMITS] = {"limits", .type = KEY_GROUP, .kinds = KEY_ALL_KINDS,
	 .help = "What one task may use; in pools of other kinds than command: one worker process. A task may ask for\n"
		 "less. Where the daemon has a cgroup of its own, memory, processes and cpus count for all processes of\n"
		 "the task together; else memory and processes are weaker, and cpus has no effect: see futured.yaml(5)."},
	LIMIT(MEMORY, "memory", KEY_SIZE, KEY_ALL_KINDS, .min = MIB, .max = 16 * TIB, .example = "2GiB",
	 .help = "Bytes of memory. A task that needs more is killed."),
	LIMIT(PROCESSES, "processes", KEY_COUNT, KEY_ALL_KINDS, .min = 1, .max = 4194304, .example = "500",
	 .help = "Processes and threads at once."),
	LIMIT(CPUS, "cpus", KEY_SHARE, KEY_ALL_KINDS, .min = 10000, .max = UINT64_C(4096000000), .example = "1.5",
	 .help = "Processors' worth of time: 0.5 is half of one."),
	LIMIT(CPU, "cpu", KEY_DURATION, COMMAND, .why_not = "its workers outlive a task", .min = SECOND, .max = LONGEST,
	 .example = "1h", .help = "Processor time in all, for each process."),
	LIMIT(FILES, "files", KEY_COUNT, KEY_ALL_KINDS, .min = 16, .max = 1000000000, .example = "256",
	 .help = "Open files, for each process."),
	LIMIT(FILE_SIZE, "file_size", KEY_SIZE, KEY_ALL_KINDS, .max = 16 * TIB, .example = "10GiB",
	 .help = "The largest file that may be written."),
	LIMIT(CORE, "core", KEY_SIZE, KEY_ALL_KINDS, .max = 16 * TIB, .example = "0", .help = "The largest core file."),
	LIMIT(STACK, "stack", KEY_SIZE, KEY_ALL_KINDS, .min = 64 * KIB, .max = 16 * TIB, .example = "64MiB",
	 .help = "The largest stack of a process's first thread."),
};

const struct key listen_keys[LISTEN_KEYS] = {
	[LISTEN_ADDRESS] = {"address", .type = KEY_ADDRESS, LISTEN(address), .kinds = LISTEN_UNIX | LISTEN_TCP | LISTEN_TLS},
	[LISTEN_AUTH] = {"auth", .type = KEY_AUTH, LISTEN(auth), .kinds = LISTEN_TCP | LISTEN_TLS,
	 .why_not = "there the kernel says who connects"},
	[LISTEN_CERT] = {"cert", .type = KEY_PATH, LISTEN(cert), .kinds = LISTEN_TLS, .why_not = "there is no TLS"},
	[LISTEN_KEY] = {"key", .type = KEY_PATH, LISTEN(key), .kinds = LISTEN_TLS, .why_not = "there is no TLS"},
	[LISTEN_CLIENT_CA] = {"client_ca", .type = KEY_PATH, LISTEN(client_ca), .kinds = LISTEN_TLS, .why_not = "there is no TLS"},
	[LISTEN_ROLE] = {"role", .type = KEY_CHOICE, LISTEN(role), .standard = "user", .choices = " admin user read-only ",
	 .kinds = LISTEN_TLS, .why_not = "there are no certificates"},
	[LISTEN_MIN_VERSION] = {"min_version", .type = KEY_CHOICE, LISTEN(min_version), .standard = "1.3", .choices = " 1.2 1.3 ",
	 .kinds = LISTEN_TLS, .why_not = "there is no TLS"},
	[LISTEN_PLAINTEXT] = {"plaintext", .type = KEY_BOOL, LISTEN(plaintext), .standard = "false", .kinds = LISTEN_TCP,
	 .why_not = "nothing passes in plain text there"},
};

static bool
is_in_group(const struct key *k, const char *group)
{
	return group ? k->group && !strcmp(k->group, group) : !k->group;
}

const struct key *
keys_find(const struct key *keys, size_t count, const char *group, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (is_in_group(&keys[i], group) && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

enum { NAME_MAX_LEN = 32 }; /* longer than any key: what is longer is near to none */

static size_t
smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many letters must be put in, taken out or changed to make one name the other (Levenshtein). */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1], i, j, len = strlen(b);

	for (j = 0; j <= len; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (j = 0; j < len; j++) {
			size_t above = row[j + 1];

			row[j + 1] = smallest(above + 1, row[j] + 1, corner + (a[i] != b[j]));
			corner = above;
		}
	}
	return row[len];
}

const char *
keys_nearest(const struct key *keys, size_t count, const char *group, const char *name)
{
	const char *nearest = NULL;
	size_t i, least = 3, len = strlen(name);

	if (len > NAME_MAX_LEN)
		return NULL;
	for (i = 0; i < count; i++) {
		size_t d;

		if (!is_in_group(&keys[i], group))
			continue;
		d = distance(name, keys[i].name);
		if (d < least && d < strlen(keys[i].name)) {
			least = d;
			nearest = keys[i].name;
		}
	}
	return nearest;
}

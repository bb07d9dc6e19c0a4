#include "daemon/server.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/access.h"
#include "daemon/boards.h"
#include "daemon/box.h"
#include "daemon/child.h"
#include "daemon/clock.h"
#include "daemon/closing.h"
#include "daemon/commit.h"
#include "daemon/conn.h"
#include "daemon/cpus.h"
#include "daemon/gate.h"
#include "daemon/host.h"
#include "daemon/http.h"
#include "daemon/identity.h"
#include "daemon/launcher.h"
#include "daemon/inherit.h"
#include "daemon/listener.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/login.h"
#include "daemon/output.h"
#include "daemon/paths.h"
#include "daemon/payload.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/quota.h"
#include "daemon/reload.h"
#include "daemon/replay.h"
#include "daemon/retention.h"
#include "daemon/run.h"
#include "daemon/service.h"
#include "daemon/slot.h"
#include "daemon/store.h"
#include "daemon/tally.h"
#include "daemon/tokens.h"
#include "daemon/turn.h"
#include "proto/address.h"
#include "proto/pack.h"

enum phase { SERVING, FINISHING, STOPPING, ENDING, OVER };

enum { HOSTS_GRACE_S = 5, ENDING_LIMIT_S = 15, START_LIMIT_S = 600, EVICT_AT_ONCE = 100 };

static struct config *config; /* the newest */
static struct config **old;    /* earlier ones: pools may still use them */
static size_t old_count;
static enum phase phase;
static bool finished; /* everything has run */
static struct event *signals[4];
static struct timer deadline, trim;
static struct server_waiter *waiters;
static char instance[33];
static uint64_t started_us, ending_us; /* 0: it is not */

const struct config *
server_config(void)
{
	return config;
}

/* The file as it is now; its mistakes are lines of the log. */
static struct config *
load_again(const char *path)
{
	char *text = NULL, *rest, *line;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);
	struct config *c = errors ? config_load(path, errors) : NULL;

	if (errors)
		fclose(errors);
	for (line = strtok_r(text ? text : (char[]){ "" }, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_error("reload", "%s", line);
	free(text);
	return c;
}

static bool
reload(struct buf *told, char *why, size_t size)
{
	struct config **more = realloc(old, (old_count + 1) * sizeof *more);
	struct config *next;
	struct buf sentences;

	if (more)
		old = more;
	next = !more ? NULL : config->path ? load_again(config->path) : config_personal();
	if (!next) {
		snprintf(why, size, "%.300s has mistakes, which the log names; nothing was changed", config->path ? config->path : "the configuration");
		return false;
	}
	if (!access_is_allowed(next, !access_is_personal(), why, size) || !reload_prepare(next, why, size)) {
		config_free(next);
		return false;
	}
	buf_init(&sentences);
	unsigned count = reload_apply(config, next, &sentences);
	pack_array(told, count);
	pack_raw(told, sentences.data, sentences.len);
	buf_clear(&sentences);
	old[old_count++] = config;
	config = next;
	access_configure(next, !access_is_personal());
	quota_configure(next);
	log_info("server", "configuration reloaded; %u changes need a restart", count);
	return true;
}

bool
server_reload(struct buf *told, char *why, size_t size)
{
	service_reloading();
	bool done = reload(told, why, size);
	service_reloaded();
	return done;
}

bool
server_is_ending(void)
{
	return phase != SERVING;
}

uint64_t
server_client_workers(void)
{
	return config->client_pools_workers ? config->client_pools_workers : cpus_usable() > 8 ? 4 * (uint64_t)cpus_usable() : 32;
}

const char *
server_instance(void)
{
	return instance;
}

double
server_uptime(void)
{
	return (double)(clock_now() - started_us) / 1e6;
}

static uint64_t
on_disk(void)
{
	return store_is_durable() ? store_held() + output_spilled() : 0;
}

static bool
is_above_limits(void)
{
	return block_total() > config->limit_memory || on_disk() > config->limit_store;
}

bool
server_is_full(void)
{
	while (is_above_limits() && turn_budget()) {
		unsigned n = quota_evict(EVICT_AT_ONCE); /* who holds more than a share goes first */
		if (!n)
			n = retention_evict(EVICT_AT_ONCE, NULL);
		turn_count(n, 0);
		if (!n)
			break;
	}
	return is_above_limits();
}

bool
server_is_ready(char *why, size_t size)
{
	if (phase != SERVING) {
		snprintf(why, size, "the daemon is ending");
		return false;
	}
	const char *failing = store_counts().failing;
	if (failing) {
		snprintf(why, size, "the store cannot be written: %s", failing);
		return false;
	}
	if (is_above_limits()) {
		snprintf(why, size, "as many bytes are held as may be (limits.memory, limits.store)");
		return false;
	}
	for (const struct pool *p = pool_first(); p; p = p->next) {
		if (p->like || !bytes_len(&p->broken))
			continue;
		snprintf(why, size, "pool %s is broken: its workers cannot start", p->name);
		return false;
	}
	return true;
}

/* ---- starting ---- */

static void
draw_instance(void)
{
	uint8_t bytes[16];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		memset(bytes, 0, sizeof bytes);
	run_secret_text(bytes, instance);
}

/* A descriptor per connection and per slot: as many as we may have. */
static void
raise_descriptor_limit(void)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void on_signal(evutil_socket_t sig, short what, void *arg);

static bool
catch_signals(void)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP };

	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* whoever started us may have blocked some */
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < sizeof caught / sizeof *caught; i++) {
		signals[i] = evsignal_new(turn_base(), caught[i], on_signal, NULL);
		if (!signals[i] || event_add(signals[i], NULL))
			return false;
	}
	return true;
}

/* Who asks again to stop does not cut the end short, which is near. */
static void
release_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		if (signals[i])
			event_free(signals[i]);
}

/* Where we listen: as configured, else the user's own socket. */
static bool
own_address(struct address *a, char *why, size_t size)
{
	char directory[96];

	a->type = ADDRESS_UNIX;
	return address_user_directory(directory, sizeof directory, true, why, size) && address_user_socket(a->path, sizeof a->path, why, size);
}

/* At a socket of the service manager's if it has one there, else at one of our own. */
static bool
listen_at(const struct config_listen *l, char *why, size_t size)
{
	struct address a;

	if (!address_parse(l->address, &a, why, size))
		return false;
	int fd = a.type == ADDRESS_UNIX ? inherit_take(INHERIT_UNIX, a.path, 0) : inherit_take(a.type == ADDRESS_TLS ? INHERIT_TLS : INHERIT_TCP, NULL, a.port);
	return fd >= 0 ? listener_adopt(fd, l, why, size) : listener_add(&a, l, why, size);
}

/* Those that no address of the configuration names. */
static bool
listen_inherited(char *why, size_t size)
{
	int fd;

	while ((fd = inherit_take(INHERIT_UNIX, NULL, 0)) >= 0)
		if (!listener_adopt(fd, NULL, why, size))
			return false;
	if ((fd = inherit_take(INHERIT_TCP, NULL, 0)) < 0 && (fd = inherit_take(INHERIT_TLS, NULL, 0)) < 0)
		return true;
	close(fd);
	snprintf(why, size, "the service manager has a network socket for us of a port that no tcp: or tls: address in `listen` has");
	return false;
}

static bool
listen_all(char *why, size_t size)
{
	struct address a;

	if (!config->listens && !inherit_unix_path() && (!own_address(&a, why, size) || !listener_add(&a, NULL, why, size)))
		return false;
	for (int local = 0; local < 2; local++) /* whoever finds a Unix socket finds the others */
		for (size_t i = 0; i < config->listens; i++)
			if ((config->listen[i].auth == CONFIG_AUTH_PEER) == local && !listen_at(&config->listen[i], why, size))
				return false;
	return listen_inherited(why, size);
}

/* The first Unix socket is what tasks are told, and what names the lock. */
static bool
first_address(struct address *a, char *why, size_t size)
{
	for (size_t i = 0; i < config->listens; i++)
		if (config->listen[i].auth == CONFIG_AUTH_PEER)
			return address_parse(config->listen[i].address, a, why, size);
	if (!inherit_unix_path())
		return own_address(a, why, size);
	a->type = ADDRESS_UNIX;
	snprintf(a->path, sizeof a->path, "%s", inherit_unix_path());
	return true;
}

static bool
make_pools(char *why, size_t size)
{
	for (size_t i = 0; i < config->pools; i++) {
		if (!pool_new(&config->pool[i])) {
			snprintf(why, size, "out of memory");
			return false;
		}
	}
	return true;
}

void
server_set_instance(const char *text)
{
	snprintf(instance, sizeof instance, "%s", text);
}

/* Nobody else may use the store, or with a store in memory the socket, nor may what an earlier daemon left. */
static bool
take_lock(const struct address *a, const char *store, char *why, size_t size)
{
	const char *of = strncmp(store, "sqlite:", 7) == 0 ? store + 7 : a->path;
	char lock[PATH_MAX + 40], sentence[256];

	snprintf(lock, sizeof lock, "%s.lock", of);
	if (lock_take(lock, config->cgroup, sentence, sizeof sentence)) {
		box_start(lock_cgroup());
		return identity_start(config, why, size); /* before there are other threads: they would keep our capabilities */
	}
	snprintf(why, size, "%.200s: %s", of, sentence);
	return false;
}

static enum store_sync
sync_of(const char *name)
{
	return strcmp(name, "full") == 0 ? STORE_SYNC_FULL : strcmp(name, "normal") == 0 ? STORE_SYNC_NORMAL : STORE_SYNC_OFF;
}

/* The lock, the store, and everything that was there when an earlier daemon ended. */
static bool
open_store(const struct address *a, char *why, size_t size)
{
	const char *configured = config->store;
	char state[PATH_MAX], store[PATH_MAX + 32], runtime[PATH_MAX], payloads[PATH_MAX + 100];

	if (!paths_state(config->state_dir, state, sizeof state, why, size))
		return false;
	if (strcmp(configured, "sqlite") == 0)
		snprintf(store, sizeof store, "sqlite:%s/futured.db", state);
	else
		snprintf(store, sizeof store, "%s", configured);
	bool durable = strcmp(store, "memory") != 0;
	paths_runtime(a->type == ADDRESS_UNIX ? a->path : NULL, state, runtime, sizeof runtime);
	if (!take_lock(a, store, why, size) || !paths_output(state, durable, why, size))
		return false;
	snprintf(payloads, sizeof payloads, "%s/payload-%s", state, lock_mark());
	if (durable && !payload_use_directory(payloads)) {
		snprintf(why, size, "cannot use %.200s: %s", payloads, strerror(errno));
		return false;
	}
	if (durable && !boards_use_directory(runtime, lock_mark())) {
		snprintf(why, size, "cannot use %.200s for claim boards: %s", runtime, strerror(errno));
		return false;
	}
	return store_open(store, sync_of(config->sync), why, size) && make_pools(why, size) && replay_all(why, size);
}

static void
apply_logging(const struct config *c)
{
	log_set_level(log_level_find(c->log_level));
	log_set_json(strcmp(c->log_format, "json") == 0);
	tally_log_tasks(c->log_tasks);
}

static bool
watchers_listen(char *why, size_t size)
{
	int fd;

	while ((fd = inherit_take(INHERIT_HTTP, NULL, 0)) >= 0)
		if (!http_adopt(fd, why, size))
			return false;
	return !config->http || http_listen(config->http, why, size);
}

bool
server_start(struct config *c, char *why, size_t size)
{
	struct address a;
	char text[300];

	config = c;
	apply_logging(c);
	if (!service_init(why, size) || !inherit_open(why, size))
		return false;
	access_configure(c, config_is_shared(c));
	quota_configure(c);
	listener_set_permissions(c->socket_mode, c->socket_gid);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	raise_descriptor_limit();
	clock_refresh();
	started_us = clock_now();
	draw_instance();
	snprintf(why, size, "out of memory");
	if (!turn_base() || !child_init() || !catch_signals() || !first_address(&a, why, size))
		return false;
	address_format(&a, text, sizeof text);
	run_set_address(text);
	run_set_frame_limit(c->limit_message);
	conn_set_limits(c->limit_message, c->limit_connections, c->limit_requests, c->limit_output);
	conn_set_idle(c->limit_idle_us);
	login_set_limits(c->limit_unauthenticated, c->limit_hello_us);
	turn_before_flush(commit_turn);
	service_extend(START_LIMIT_S * SECOND); /* an earlier daemon's workers, and a large store */
	if (!open_store(&a, why, size) || !tokens_prepare(config->tokens, why, size))
		return false;
	tokens_commit();
	if (!watchers_listen(why, size) || !listen_all(why, size))
		return false;
	if (!access_is_allowed(c, listener_is_shared(), why, size))
		return false;
	access_configure(c, config_is_shared(c) || listener_is_shared());
	if (!access_is_personal() && geteuid() == 0 && config_own_uid_pool(c))
		log_warn("server", "shared_uid: the tasks of all clients run as root");
	service_ready();
	return true;
}

void
server_abandon(void)
{
	listener_close_all();
	http_close();
	inherit_close();
	service_close();
	lock_release();
}

/* ---- ending ---- */

/* Nothing runs, and nobody is still to be refused. */
static bool
all_quiet(void)
{
	for (const struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p))
		if (!pool_is_quiet(p) || p->room)
			return false;
	return true;
}

/* What is pending in a pool that was retired waits for its return, which does not come; and so does what waits for that. */
static bool
all_done(void)
{
	bool held = false, retired = false;

	for (const struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p)) {
		uint64_t pending = p->states[FUTURE_PENDING];
		if (p->room || p->coming || p->states[FUTURE_RUNNING] || (!p->gone && pending > p->held))
			return false;
		held = held || (!p->gone && pending);
		retired = retired || (p->gone && pending);
	}
	return !held || (retired && !gate_any_moves());
}

static bool
hosts_left(void)
{
	return child_any() || child_has_strays();
}

static void on_deadline(struct timer *t);

static void
enter(enum phase next)
{
	uint64_t now = clock_now();

	phase = next;
	switch (next) {
	case STOPPING:
		service_stopping();
		pool_freeze_all(true);
		for (struct pool *p = pool_first(); p; p = p->next) { /* who waits for room is refused */
			quota_let_go(p);
			pool_settle(p);
		}
		timer_set(&deadline, now + config->stop_timeout_us, on_deadline);
		break;
	case ENDING:
		ending_us = now;
		service_stopping();
		listener_close_all();
		pool_freeze_all(true);
		for (struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p))
			pool_end_hosts(p, HOSTS_GRACE_S * SECOND);
		timer_set(&deadline, now + ENDING_LIMIT_S * SECOND, on_deadline);
		break;
	default:
		break;
	}
}

static void
kill_running(void)
{
	for (struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p))
		closing_stop_running(p, true);
}

static void
on_deadline(struct timer *t)
{
	(void)t;
	if (phase == STOPPING) {
		log_warn("server", "tasks still run after stop_timeout: they are killed");
		kill_running();
	} else if (phase == ENDING) {
		if (hosts_left())
			log_error("server", "workers do not end: left behind");
		phase = OVER;
	}
}

static void
reload_by_signal(void)
{
	char why[400];
	struct buf told;

	buf_init(&told);
	if (!server_reload(&told, why, sizeof why))
		log_error("server", "SIGHUP: %s", why);
	buf_clear(&told);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what, (void)arg;
	if (sig == SIGHUP) {
		reload_by_signal();
		return;
	}
	if (phase == SERVING || phase == FINISHING) {
		log_info("server", "told to stop: %llu running, %llu pending", (unsigned long long)future_totals().states[FUTURE_RUNNING],
		    (unsigned long long)future_totals().states[FUTURE_PENDING]);
		enter(STOPPING);
	} else if (phase == STOPPING) {
		kill_running();
	}
}

void
server_shutdown(bool cancel_futures)
{
	if (phase == SERVING) {
		log_info("server", "shutdown: what is accepted runs to its end");
		phase = FINISHING;
	}
	for (struct pool *p = pool_first_of_all(); p; p = pool_next_of_all(p)) {
		if (cancel_futures)
			closing_cancel_pending(p);
		quota_let_go(p);
		pool_pause(p, false, NULL); /* it must come to an end */
		pool_settle(p);
	}
}

void
server_wait_over(struct server_waiter *w)
{
	DL_APPEND(waiters, w);
}

void
server_unwait_over(struct server_waiter *w)
{
	DL_DELETE(waiters, w);
}

static void
answer_waiters(void)
{
	struct server_waiter *w;
	while ((w = waiters)) {
		DL_DELETE(waiters, w);
		w->over(w);
	}
}

static void
look_whether_over(void)
{
	if (phase == FINISHING && all_done()) {
		finished = true;
		enter(ENDING);
	}
	if (finished) /* who asks now, too */
		answer_waiters();
	if (phase == STOPPING && all_quiet())
		enter(ENDING);
	if (phase == ENDING && !hosts_left() && !conn_any_owed(ending_us))
		phase = OVER;
}

/* Memory that a burst left behind goes back to the system. */
static void
on_trim(struct timer *t)
{
	malloc_trim(0);
	timer_set(t, clock_now() + 30 * SECOND, on_trim);
}

void
server_run(void)
{
	timer_set(&trim, clock_now() + 30 * SECOND, on_trim);
	while (phase != OVER) {
		turn_run();
		service_look();
		if (phase != SERVING)
			look_whether_over();
	}
}

void
server_end(void)
{
	struct future_totals totals = future_totals();

	if (totals.states[FUTURE_PENDING] && store_is_durable())
		log_info("server", "%llu pending futures stay in the store", (unsigned long long)totals.states[FUTURE_PENDING]);
	else if (totals.states[FUTURE_PENDING])
		log_warn("server", "%llu pending futures are lost: the store is memory", (unsigned long long)totals.states[FUTURE_PENDING]);
	listener_close_all();
	if (!commit_finish())
		log_error("server", "what happened last is not in the store, which cannot be written");
	conn_close_all();
	http_close();
	inherit_close();
	timer_unset(&deadline);
	timer_set(&deadline, clock_now(), on_deadline); /* so that the last turn does not sleep */
	turn_run();
	launcher_stop();
	lock_empty_cgroup();
	store_close();
	service_close();
	child_shutdown();
	release_signals();
	turn_end();
	lock_release();
	config_free(config);
	for (size_t i = 0; i < old_count; i++)
		config_free(old[i]);
	free(old);
	log_info("server", "ended");
}

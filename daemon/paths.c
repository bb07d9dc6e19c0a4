#include "daemon/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/lock.h"
#include "daemon/output.h"

/* mkdir -p, 0700. */
static bool
make_directories(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = path + 1;; slash++) {
		if (*slash && *slash != '/')
			continue;
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0700) && errno != EEXIST)
			return false;
		if (!*slash)
			return true;
	}
}

static bool
base_directory(const char *configured, char *path, size_t size)
{
	const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const struct passwd *pw;

	if (configured)
		return snprintf(path, size, "%s", configured) < (int)size;
	if (state && *state == '/')
		return snprintf(path, size, "%s", state) < (int)size;
	if (xdg && *xdg == '/')
		return snprintf(path, size, "%s/futured", xdg) < (int)size;
	if (!home || *home != '/')
		home = (pw = getpwuid(getuid())) ? pw->pw_dir : "/tmp";
	return snprintf(path, size, "%s/.local/state/futured", home) < (int)size;
}

/* Files that output.c made, of a daemon that is gone: nothing names them any more. */
static void
empty_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	unsigned long long id;
	char rest[16];

	while (d && (entry = readdir(d)))
		if (sscanf(entry->d_name, "%llu.std%3s", &id, rest) == 2)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
}

bool
paths_state(const char *configured, char *out, size_t out_size, char *why, size_t size)
{
	if (!base_directory(configured, out, out_size)) {
		snprintf(why, size, "state_dir: the path is too long");
		return false;
	}
	if (make_directories(out))
		return true;
	snprintf(why, size, "state_dir: cannot make %.200s: %s", out, strerror(errno));
	return false;
}

bool
paths_output(const char *state, bool keep, char *why, size_t size)
{
	char path[PATH_MAX];
	struct stat st;

	errno = 0;
	if (snprintf(path, sizeof path, "%s/output-%s", state, lock_mark()) >= (int)sizeof path || !make_directories(path) || lstat(path, &st) ||
	    !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		snprintf(why, size, "state_dir: cannot use %.200s: %s", path, errno ? strerror(errno) : "it is not our own directory");
		return false;
	}
	if (!keep)
		empty_directory(path);
	output_set_directory(path);
	return true;
}

void
paths_runtime(const char *socket_path, const char *state, char *out, size_t size)
{
	const char *runtime = getenv("RUNTIME_DIRECTORY"), *slash = socket_path ? strrchr(socket_path, '/') : NULL;

	if (runtime && *runtime == '/')
		snprintf(out, size, "%.*s", (int)strcspn(runtime, ":"), runtime);
	else if (slash && slash > socket_path)
		snprintf(out, size, "%.*s", (int)(slash - socket_path), socket_path);
	else
		snprintf(out, size, "%s", state);
}

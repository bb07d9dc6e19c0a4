/* Control groups, version 2: finding ours, reading and writing their files, emptying and removing them. */
#ifndef FUTURED_DAEMON_CGROUP_H
#define FUTURED_DAEMON_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* The directory of the cgroup that this process is in. False where there is no version 2. */
bool cgroup_own(char *out, size_t size);
/* One write to a file in a cgroup's directory. False with errno. */
bool cgroup_write(int dir, const char *file, const char *text);
/* What a short file says, terminated; cut to size. False with errno. */
bool cgroup_read(int dir, const char *file, char *out, size_t size);
/* Whether a list of words, as in cgroup.controllers, has this one. */
bool cgroup_lists(const char *text, const char *word);
/* The number behind a key in a file of "key number" lines, such as memory.events; 0 if there is none. */
unsigned long long cgroup_count(const char *text, const char *key);
/* Kills all that is in it and below, and removes it. Blocks for up to ten seconds; logs what could not be done. */
void cgroup_end(const char *path);

#endif

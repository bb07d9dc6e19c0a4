/* Addresses: unix:PATH, tcp:HOST:PORT, tls:HOST:PORT (IPv6 hosts in brackets), and where a daemon is looked for. */
#ifndef FUTURED_PROTO_ADDRESS_H
#define FUTURED_PROTO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_type { ADDRESS_UNIX, ADDRESS_TCP, ADDRESS_TLS };

struct address {
	enum address_type type;
	char host[256]; /* tcp, tls; without brackets */
	uint16_t port;  /* tcp, tls; host order */
	char path[108]; /* unix */
};

/* Reads an address; a text that begins with '/' or '.' means unix:. On failure writes a sentence to why. */
bool address_parse(const char *text, struct address *out, char *why, size_t why_size);
/* Writes it as address_parse reads it. */
void address_format(const struct address *a, char *text, size_t size);

/* The directory of the user's own daemon's socket: $XDG_RUNTIME_DIR/futured, else /tmp/futured-UID. With `create`, makes it (0700).
 * False, with a sentence, if it is not a directory that belongs to the user alone (not a symlink, mode 0700, owned by us). */
bool address_user_directory(char *path, size_t size, bool create, char *why, size_t why_size);
/* The user's own socket: the directory above + "/futured.sock". Creates nothing. */
bool address_user_socket(char *path, size_t size, char *why, size_t why_size);
#define ADDRESS_SYSTEM_SOCKET "/run/futured/futured.sock"

#endif

/* Text that came from elsewhere, made safe to show. */
#ifndef FUT_TEXT_H
#define FUT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum text_mode {
	TEXT_LINE,  /* newlines and tabs are made visible too */
	TEXT_LINES, /* they stay */
};

/* Writes with control characters and bytes that are no UTF-8 made visible (\x1b), direction overrides too. */
void text_visible(FILE *out, const char *s, size_t len, enum text_mode mode);
/* The same into memory that the caller frees; never NULL. */
char *text_escape(const char *s, size_t len, enum text_mode mode);
/* Writes a word as a shell takes it: as it is, or in quotes. Control characters stay. */
void text_shell_word(FILE *out, const char *s, size_t len);
/* The same, in quotes in any case. */
void text_shell_quoted(FILE *out, const char *s, size_t len);
/* Columns that a text made by text_escape takes on a terminal. */
size_t text_width(const char *s);
/* How many bytes of it fit in `columns`. */
size_t text_fit(const char *s, size_t columns);

/* Bytes that are no text: a NUL, or for the most part neither printable nor what terminals are told colours with. */
bool text_is_binary(const void *bytes, size_t len);

/* Whether a code point is shown as it is. */
bool text_is_shown(unsigned code, enum text_mode mode);
/* Length of the UTF-8 sequence at s, and its code point; 0 if there is none. */
size_t text_decode(const char *s, size_t len, unsigned *code);

#endif

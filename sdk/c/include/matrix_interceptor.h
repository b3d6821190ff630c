/**
 * Write a stage of the transport in C: messages pass it where they leave their sender, and where they arrive.
 *
 * A stage fills in one `matrix_interceptor` and is linked with the files of `sdk/c/src`; `EXPORTS=interceptor` says so where it is
 * built. It sees every message: it is to be quick. Each node makes instances, as many as it needs at once: what one of them remembers,
 * others do not know, and a fault ends it. See `guests/c/mask.c` for a whole one.
 */
#ifndef MATRIX_INTERCEPTOR_H
#define MATRIX_INTERCEPTOR_H

#include "matrix_soul.h"

/** What becomes of a message. */
typedef enum {
    /** It goes on as it is. */
    MATRIX_PASS,
    /** It goes on with what was written into `changed`: its body, and its media type where one is written. */
    MATRIX_REWRITE,
    /** It goes no further; the sender is told what was written into `changed->body`. */
    MATRIX_REJECT,
} matrix_verdict;

/** A message on its way. */
typedef struct {
    matrix_message message;
    /** Whom it was sent to. */
    matrix_address recipient;
} matrix_passing;

/** Rejects a message: writes why, and returns `MATRIX_REJECT`. */
matrix_verdict matrix_reject(matrix_reply *changed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Whether a media type is one of texts: `text/…`. */
bool matrix_is_text(matrix_bytes content_type);
/** The setting of this name; false: there is none. */
bool matrix_setting_of(const matrix_entry *settings, size_t count, const char *name, matrix_bytes *text);

/** What a stage is. What is NULL is left out: messages then pass. */
typedef struct {
    /**
     * Called once for each instance, before its first message, with the settings that the chain gives the stage: names and texts, which
     * stay. A refusal (`matrix_refuse`) says what is wrong with them: each message is then rejected with it.
     */
    bool (*configured)(const matrix_entry *settings, size_t count, matrix_buffer *why);
    /** Judges a message that leaves its sender. */
    matrix_verdict (*outbound)(const matrix_passing *passing, matrix_reply *changed);
    /** Judges a message that arrives where its recipient lives. */
    matrix_verdict (*inbound)(const matrix_passing *passing, matrix_reply *changed);
} matrix_interceptor_definition;

/** The stage of this component: defined by its author. */
extern const matrix_interceptor_definition matrix_interceptor;

#endif

/**
 * Write Souls for Matrix OS in C, and what rules and interceptors have in common with them.
 *
 * A Soul fills in one `matrix_soul` and is linked with the files of `sdk/c/src`. Rules are told of in `matrix_rules.h`, stages of the
 * transport in `matrix_interceptor.h`; both go by the nouns of this file. See `sdk/c/README.md`, and `guests/c` for whole ones.
 *
 * What the node gives (`matrix_bytes`) is there until the function that was given it returns: what is to be kept is copied. What a
 * Soul gives is written into a `matrix_buffer`, which the SDK owns.
 */
#ifndef MATRIX_SOUL_H
#define MATRIX_SOUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes of somebody else's, not ended by a zero. */
typedef struct {
    const uint8_t *data;
    size_t length;
} matrix_bytes;

/** The bytes of a text in C. */
matrix_bytes matrix_text(const char *text);
/** Whether they are those of this text in C. */
bool matrix_is(matrix_bytes bytes, const char *text);
/** Whether they are text in UTF-8. */
bool matrix_is_utf8(matrix_bytes bytes);

/** Bytes that grow. Begin with `{0}`. Where memory ends, the Soul crashes, and comes back from its last saved state. */
typedef struct {
    uint8_t *data;
    size_t length;
    size_t room;
} matrix_buffer;

/** Adds bytes at the end. */
void matrix_append(matrix_buffer *buffer, const void *data, size_t length);
/** Adds text, as `printf` writes it. */
void matrix_print(matrix_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Takes all bytes away, and keeps the room. */
void matrix_clear(matrix_buffer *buffer);
/** Gives the room back. */
void matrix_free(matrix_buffer *buffer);
/** What is in it. */
matrix_bytes matrix_view(const matrix_buffer *buffer);

/**
 * Says no, in UTF-8 (what is none becomes `?`): clears the buffer, writes why, and returns false, so that a Soul's function can say `return matrix_refuse(…)`. The text goes
 * back to whoever asked.
 */
bool matrix_refuse(matrix_buffer *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Adds a number in seven bits a byte, the lowest first, as states in Rust have it. */
void matrix_put(matrix_buffer *state, uint64_t number);
/** Takes a number off the front of bytes that `matrix_put` wrote; false: there is none. */
bool matrix_take(matrix_bytes *state, uint64_t *number);
/** Takes as many bytes off the front; false: there are fewer. */
bool matrix_take_bytes(matrix_bytes *state, size_t length, matrix_bytes *taken);

/** A ULID: 128 bits, most significant part first. */
typedef struct {
    uint32_t a, b, c, d;
} matrix_id;

/** What can have an address. */
typedef enum { MATRIX_SOUL, MATRIX_MATRIX, MATRIX_TOPIC, MATRIX_CLIENT } matrix_kind;

/** Where a message comes from or goes to. */
typedef struct {
    matrix_kind kind;
    matrix_bytes name;
} matrix_address;

/** Bytes with their media type. */
typedef struct {
    matrix_bytes content_type;
    matrix_bytes body;
} matrix_content;

/** Text, as `text/plain`. */
matrix_content matrix_plain(matrix_bytes text);

/** A named setting, or value of a persona. */
typedef struct {
    matrix_bytes name;
    matrix_bytes text;
    float weight;
} matrix_entry;

/** What a Soul is told when an instance of it comes to life. */
typedef struct {
    matrix_bytes name;
    matrix_bytes description;
    const matrix_bytes *traits;
    size_t trait_count;
    /** What it seeks (`weight` up to 1) and shuns (down to -1). */
    const matrix_entry *values;
    size_t value_count;
    /** Its settings: names and texts. */
    const matrix_entry *config;
    size_t config_count;
    /** The one source of chance: for `matrix_random`. */
    uint64_t seed;
} matrix_birth;

/** The setting of this name; false: there is none. */
bool matrix_setting(const matrix_birth *birth, const char *name, matrix_bytes *text);

/** One message, as it is received. */
typedef struct {
    matrix_id id;
    matrix_address sender;
    /** Empty: it was sent to this Soul itself. */
    matrix_bytes topic;
    /** All zero: it answers none. */
    matrix_id in_reply_to;
    matrix_content content;
    /** Milliseconds since the Unix epoch, on the sending node's clock. */
    uint64_t sent_at;
} matrix_message;

/** What is answered. */
typedef struct {
    /** Whether there is a reply. */
    bool is_given;
    /** `text/plain` unless changed. */
    matrix_buffer content_type;
    /** The reply; where the message is refused, why. */
    matrix_buffer body;
} matrix_reply;

/** Answers with text, as `printf` writes it, and returns true. */
bool matrix_answer(matrix_reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Answers with content of any type, and returns true. */
bool matrix_answer_content(matrix_reply *reply, matrix_content content);

/** What one seat sees at one tick. */
typedef struct {
    matrix_bytes matrix;
    uint64_t tick;
    uint32_t seat;
    matrix_bytes observation;
    /** What the last action in this seat earned. */
    double reward;
    /** No action will follow, and what is written is dropped. */
    bool is_final;
} matrix_turn;

/** Where an experience comes from. */
typedef enum { MATRIX_FROM_USER, MATRIX_FROM_API, MATRIX_FROM_CONVERSATION, MATRIX_FROM_MATRIX } matrix_source;

/** Something to learn from. */
typedef struct {
    uint64_t id;
    matrix_source source;
    matrix_bytes input;
    matrix_bytes output;
    bool has_reward;
    /** From -1 to 1; 1 where none is known. */
    double reward;
    uint64_t at;
} matrix_experience;

/** Figures by name. */
typedef struct matrix_metrics matrix_metrics;
/** Adds a figure. */
void matrix_figure(matrix_metrics *metrics, const char *name, double value);

/**
 * What a Soul is. Functions return false to refuse, with the reason in the buffer (`matrix_refuse`). What is NULL is left out; what a
 * component exports is said where it is built (`EXPORTS` of `sdk/c/Makefile`).
 */
typedef struct {
    /** Called once for each instance, before anything else. */
    bool (*born)(const matrix_birth *birth, matrix_buffer *why);
    /** Handles one message. Required. A refusal is written into `reply->body`. */
    bool (*receive)(const matrix_message *message, matrix_reply *reply);
    /** Names the layout of the state, such as `counter/1`. */
    const char *schema;
    /** Writes the whole state. The same state gives the same bytes. */
    bool (*snapshot)(matrix_buffer *state);
    /** Takes up a state, of `schema` or of an older one that the code can read. A refusal changes nothing. */
    bool (*restore)(matrix_bytes schema, matrix_bytes state, matrix_buffer *why);
    /** Decides one turn. A refusal costs all turns of the tick. */
    bool (*act)(const matrix_turn *turn, matrix_buffer *action);
    /** Learns from a batch, in order. */
    bool (*train)(const matrix_experience *batch, size_t count, matrix_metrics *metrics, matrix_buffer *why);
    /** Measures what was learnt, at least `loss`, and changes nothing. */
    bool (*evaluate)(const matrix_experience *batch, size_t count, matrix_metrics *metrics, matrix_buffer *why);
} matrix_soul_definition;

/** The Soul of this component: defined by its author. */
extern const matrix_soul_definition matrix_soul;

/** How much a line of the log matters. */
typedef enum { MATRIX_TRACE, MATRIX_DEBUG, MATRIX_INFO, MATRIX_WARN, MATRIX_ERROR, MATRIX_CRITICAL } matrix_level;

/** Writes a line to the Soul's log. */
void matrix_log(matrix_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The time of the message that is handled, in milliseconds since the Unix epoch; in a tick that of the last message. */
uint64_t matrix_now(void);
/** The next number of a sequence that follows from the seed of the birth. Rules and stages have none: there it crashes. */
uint64_t matrix_random(void);

/** Publishes an event under the Soul's own name, such as `trade.filled`. */
void matrix_emit(const char *kind, matrix_content content);

/* What follows asks the node for something. Each returns false where that fails, and writes why into `why`, which may be NULL; a
 * `matrix_buffer` for a result may not. */

/** Sends a message; returns once it is accepted. */
bool matrix_send(matrix_address to, matrix_content content, matrix_buffer *why);
/** Sends a message and waits for its reply; `is_given` is false where the recipient had nothing to say. */
bool matrix_ask(matrix_address to, matrix_content content, uint32_t timeout_ms, matrix_reply *reply, matrix_buffer *why);
/** Receives, from now on, what is sent to this topic. */
bool matrix_subscribe(const char *topic, matrix_buffer *why);
/** Ends a subscription. */
bool matrix_unsubscribe(const char *topic, matrix_buffer *why);

/** Something to remember. */
typedef struct {
    matrix_bytes text;
    /** From 0 (trivial) to 1 (life-changing). */
    float importance;
    const matrix_bytes *tags;
    size_t tag_count;
    const float *embedding;
    size_t embedding_count;
} matrix_impression;

/** An episode that was found. */
typedef struct {
    uint64_t id, at, recalled_at;
    matrix_bytes text;
    float importance;
    /** How well it fits, from 0 to 1. */
    float score;
    /** How often it was remembered, and when last: more than once where it took up others that were alike. */
    uint32_t times;
    uint64_t last_at;
} matrix_recollection;

/** Remembers something; its name is written to `id`. */
bool matrix_remember(const matrix_impression *impression, uint64_t *id, matrix_buffer *why);
/** Calls `visit` with the episodes that fit these words best, best first, until it returns false; at most `limit`. */
bool matrix_recall(matrix_bytes words, uint32_t limit, bool (*visit)(const matrix_recollection *, void *), void *with,
                   matrix_buffer *why);
/** Forgets an episode. */
bool matrix_forget(uint64_t id, matrix_buffer *why);

/** An open bucket of the KV. */
typedef struct {
    int32_t handle;
} matrix_bucket;

/** Opens a bucket by its name. */
bool matrix_open(const char *name, matrix_bucket *bucket, matrix_buffer *why);
/** Closes it. */
void matrix_close(matrix_bucket bucket);
/** The value of a key is written to `value`; `is_there` says whether it has one. */
bool matrix_get(matrix_bucket bucket, matrix_bytes key, matrix_buffer *value, bool *is_there, matrix_buffer *why);
/** Gives a key a value. */
bool matrix_set(matrix_bucket bucket, matrix_bytes key, matrix_bytes value, matrix_buffer *why);
/** Takes a key's value away; no error if it has none. */
bool matrix_delete(matrix_bucket bucket, matrix_bytes key, matrix_buffer *why);
/** Adds to the number under a key, atomically; the sum is written to `sum`. */
bool matrix_increment(matrix_bucket bucket, matrix_bytes key, uint64_t delta, uint64_t *sum, matrix_buffer *why);

#endif

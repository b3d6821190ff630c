/* A node for tests, in C: what the functions of `matrix_soul.h` that reach a node do in a test. */
#include "matrix_fake.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_inside.h"

/* Tests of rules and of stages have no Soul. */
#pragma weak matrix_soul

/* The most settings, entries of the KV and episodes of a test. */
#define MANY 64

typedef struct {
    matrix_buffer name, value;
} pair;

uint64_t fake_now = 1000000000000;

static matrix_buffer said, reason;
static bool was_refused;
static pair entries[MANY];
static pair episodes[MANY];
static matrix_buffer buckets[MANY];

static bool nobody(matrix_address to, matrix_content content, matrix_reply *reply) {
    (void)content;
    return matrix_refuse(&reply->body, "nobody is called `%.*s`", (int)to.name.length, (const char *)to.name.data);
}

static void deaf(const char *what, matrix_bytes name, matrix_bytes text) { (void)what, (void)name, (void)text; }

bool (*fake_recipient)(matrix_address, matrix_content, matrix_reply *) = nobody;
void (*fake_listener)(const char *, matrix_bytes, matrix_bytes) = deaf;

static bool is_same(matrix_bytes a, matrix_bytes b) { return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0); }

static const char *text_of(matrix_buffer *buffer) {
    matrix_append(buffer, "", 1);
    buffer->length--;
    return (const char *)buffer->data;
}

bool fake_birth(matrix_buffer *why, uint64_t seed, ...) {
    matrix_entry config[MANY];
    matrix_birth birth = {.name = matrix_text("fake"), .config = config, .seed = seed};
    va_list settings;
    va_start(settings, seed);
    for (const char *name; (name = va_arg(settings, const char *)) != NULL;) {
        config[birth.config_count++] = (matrix_entry){matrix_text(name), matrix_text(va_arg(settings, const char *)), 0};
    }
    va_end(settings);
    matrix_seed(seed);
    return matrix_soul.born == NULL || matrix_soul.born(&birth, why);
}

const char *fake_ask(const char *text) {
    static uint32_t messages;
    matrix_reply reply = {0};
    matrix_message message = {
        .id = {0, 0, 0, ++messages},
        .sender = {MATRIX_CLIENT, matrix_text("test")},
        .content = matrix_plain(matrix_text(text)),
        .sent_at = fake_now,
    };
    matrix_move_to(fake_now);
    was_refused = !matrix_soul.receive(&message, &reply);
    matrix_clear(&said);
    matrix_append(&said, reply.body.data, reply.body.length);
    matrix_free(&reply.body);
    matrix_free(&reply.content_type);
    return text_of(&said);
}

bool fake_was_refused(void) { return was_refused; }

const char *fake_act(const char *matrix, uint64_t tick, uint32_t seat, matrix_bytes observation, bool is_final) {
    matrix_turn turn = {matrix_text(matrix), tick, seat, observation, 0, is_final};
    matrix_clear(&said);
    was_refused = !matrix_soul.act(&turn, &said);
    return was_refused ? NULL : text_of(&said);
}

const char *fake_why(void) { return text_of(was_refused ? &said : &reason); }

bool fake_restore(const char *schema, matrix_bytes state) {
    matrix_clear(&reason);
    return matrix_soul.restore(matrix_text(schema), state, &reason);
}

bool fake_save_and_restore(matrix_buffer *state) {
    matrix_clear(state);
    return matrix_soul.snapshot(state) && fake_restore(matrix_soul.schema, matrix_view(state));
}

void matrix_log_line(matrix_level level, matrix_bytes line) {
    (void)level;
    fake_listener("log", matrix_text(""), line);
}

void matrix_emit(const char *kind, matrix_content content) { fake_listener("event", matrix_text(kind), content.body); }

bool matrix_send(matrix_address to, matrix_content content, matrix_buffer *why) {
    (void)why;
    fake_listener("send", to.name, content.body);
    return true;
}

bool matrix_ask(matrix_address to, matrix_content content, uint32_t timeout_ms, matrix_reply *reply, matrix_buffer *why) {
    (void)timeout_ms;
    if (fake_recipient(to, content, reply)) return true;
    if (why != NULL) {
        matrix_clear(why);
        matrix_append(why, reply->body.data, reply->body.length);
    }
    return false;
}

bool matrix_subscribe(const char *topic, matrix_buffer *why) { return (void)topic, (void)why, true; }
bool matrix_unsubscribe(const char *topic, matrix_buffer *why) { return (void)topic, (void)why, true; }

bool matrix_remember(const matrix_impression *impression, uint64_t *id, matrix_buffer *why) {
    if (!(impression->importance >= 0 && impression->importance <= 1)) return matrix_refuse(why, "`importance` must be from 0 to 1");
    for (*id = 0; *id < MANY && episodes[*id].value.data != NULL;) ++*id;
    if (*id == MANY) abort();
    matrix_append(&episodes[*id].value, impression->text.data, impression->text.length);
    return true;
}

/* Whether the words stand in the episode, as they are. */
static bool fits(matrix_bytes text, matrix_bytes words) {
    for (size_t at = 0; at + words.length <= text.length; at++) {
        if (is_same((matrix_bytes){text.data + at, words.length}, words)) return true;
    }
    return false;
}

bool matrix_recall(matrix_bytes words, uint32_t limit, bool (*visit)(const matrix_recollection *, void *), void *with,
                   matrix_buffer *why) {
    (void)why;
    for (uint64_t id = 0; id < MANY && limit > 0; id++) {
        matrix_bytes text = matrix_view(&episodes[id].value);
        if (text.data == NULL || !fits(text, words)) continue;
        matrix_recollection found = {id, fake_now, fake_now, text, 0.5f, 1, 1, fake_now};
        if (!visit(&found, with)) return true;
        limit--;
    }
    return true;
}

bool matrix_forget(uint64_t id, matrix_buffer *why) {
    (void)why;
    if (id < MANY) matrix_free(&episodes[id].value);
    return true;
}

bool matrix_open(const char *name, matrix_bucket *bucket, matrix_buffer *why) {
    (void)why;
    for (bucket->handle = 0; bucket->handle < MANY; bucket->handle++) {
        matrix_buffer *known = &buckets[bucket->handle];
        if (known->data == NULL) matrix_append(known, name, strlen(name));
        if (is_same(matrix_view(known), matrix_text(name))) return true;
    }
    abort();
}

void matrix_close(matrix_bucket bucket) { (void)bucket; }

/* The entry of a key in a bucket; NULL: it has none. */
static pair *entry_of(matrix_bucket bucket, matrix_bytes key, bool make) {
    matrix_buffer name = {0};
    matrix_print(&name, "%d:", bucket.handle);
    matrix_append(&name, key.data, key.length);
    pair *found = NULL;
    for (size_t place = 0; place < MANY && found == NULL; place++) {
        bool is_free = entries[place].name.data == NULL;
        if (is_free && make) matrix_append(&entries[place].name, name.data, name.length);
        if (!(is_free && !make) && is_same(matrix_view(&entries[place].name), matrix_view(&name))) found = &entries[place];
    }
    matrix_free(&name);
    return found;
}

bool matrix_get(matrix_bucket bucket, matrix_bytes key, matrix_buffer *value, bool *is_there, matrix_buffer *why) {
    (void)why;
    pair *found = entry_of(bucket, key, false);
    *is_there = found != NULL;
    matrix_clear(value);
    if (found != NULL) matrix_append(value, found->value.data, found->value.length);
    return true;
}

bool matrix_set(matrix_bucket bucket, matrix_bytes key, matrix_bytes value, matrix_buffer *why) {
    (void)why;
    pair *found = entry_of(bucket, key, true);
    if (found == NULL) abort();
    matrix_clear(&found->value);
    matrix_append(&found->value, value.data, value.length);
    return true;
}

bool matrix_delete(matrix_bucket bucket, matrix_bytes key, matrix_buffer *why) {
    (void)why;
    pair *found = entry_of(bucket, key, false);
    if (found != NULL) matrix_free(&found->name), matrix_free(&found->value);
    return true;
}

bool matrix_increment(matrix_bucket bucket, matrix_bytes key, uint64_t delta, uint64_t *sum, matrix_buffer *why) {
    pair *found = entry_of(bucket, key, false);
    char *end = NULL;
    *sum = found == NULL ? 0 : strtoull(text_of(&found->value), &end, 10);
    if (end != NULL && *end != 0) return matrix_refuse(why, "the value is no number");
    *sum += delta;
    matrix_buffer text = {0};
    matrix_print(&text, "%llu", (unsigned long long)*sum);
    matrix_set(bucket, key, matrix_view(&text), why);
    matrix_free(&text);
    return true;
}

/*
 * Masks words on their way, and refuses messages with others. Its settings:
 *
 * - `words`: what is masked, with spaces between
 * - `forbidden`: what no message may say, with spaces between
 * - `with`: what stands in the place of what is masked; `***` where nothing is said. No word may be shorter: a message must not grow
 *
 * Words are looked for in bodies of the type `text/…`, byte by byte, so that a wrong byte carries nothing through; one after the other,
 * the longest first. It judges messages as they leave. With settings that it cannot read it rejects every message.
 */
#include <string.h>

#include "matrix_interceptor.h"

/* The most words of a kind. */
#define WORDS_MAX 64

typedef struct {
    matrix_bytes words[WORDS_MAX];
    size_t count;
} word_list;

static word_list masked, forbidden;
static matrix_bytes replacement;

static bool is_blank(uint8_t byte) { return memchr(" \t\r\n", byte, 4) != NULL; }

/* Reads the words of a setting, the longest first. */
static bool read_words(matrix_bytes text, const char *name, word_list *list, matrix_buffer *why) {
    *list = (word_list){0};
    for (size_t at = 0; at < text.length;) {
        matrix_bytes word = {text.data + at, 0};
        while (at < text.length && !is_blank(text.data[at])) word.length++, at++;
        while (at < text.length && is_blank(text.data[at])) at++;
        if (word.length == 0) continue;
        if (list->count == WORDS_MAX) return matrix_refuse(why, "its setting `%s` has too many words: there may be %d", name, WORDS_MAX);
        size_t place = list->count++;
        for (; place > 0 && list->words[place - 1].length < word.length; place--) list->words[place] = list->words[place - 1];
        list->words[place] = word;
    }
    return true;
}

/* Where a word stands in a text, from a place on; the text's length: nowhere. */
static size_t find(matrix_bytes text, size_t from, matrix_bytes word) {
    for (size_t at = from; word.length <= text.length && at <= text.length - word.length; at++) {
        const uint8_t *first = memchr(text.data + at, word.data[0], text.length - word.length + 1 - at);
        if (first == NULL) break;
        at = (size_t)(first - text.data);
        if (memcmp(first, word.data, word.length) == 0) return at;
    }
    return text.length;
}

static bool configured(const matrix_entry *settings, size_t count, matrix_buffer *why) {
    matrix_bytes words = {0}, refused = {0};
    for (size_t at = 0; at < count; at++) {
        matrix_bytes name = settings[at].name;
        if (!matrix_is(name, "words") && !matrix_is(name, "forbidden") && !matrix_is(name, "with")) {
            return matrix_refuse(why, "it has no setting `%.*s`: use words, forbidden or with", (int)name.length,
                                 (const char *)name.data);
        }
    }
    matrix_setting_of(settings, count, "words", &words);
    matrix_setting_of(settings, count, "forbidden", &refused);
    if (!matrix_setting_of(settings, count, "with", &replacement)) replacement = matrix_text("***");
    if (!read_words(words, "words", &masked, why) || !read_words(refused, "forbidden", &forbidden, why)) return false;
    if (masked.count + forbidden.count == 0) return matrix_refuse(why, "it has nothing to do: set `words` or `forbidden`");
    if (masked.count == 0 || masked.words[masked.count - 1].length >= replacement.length) return true;
    matrix_bytes word = masked.words[masked.count - 1];
    return matrix_refuse(why, "its setting `words` has `%.*s`, which is shorter than what stands in its place", (int)word.length,
                         (const char *)word.data);
}

/* Masks a word in a text of ours, which does not grow; false: it is not there. */
static bool mask(matrix_buffer *text, matrix_bytes word) {
    matrix_bytes all = matrix_view(text);
    size_t at = find(all, 0, word), kept = at, end = at;
    if (at == all.length) return false;
    while (at < all.length) {
        memcpy(text->data + kept, replacement.data, replacement.length);
        kept += replacement.length, end = at + word.length;
        at = find(all, end, word);
        memmove(text->data + kept, text->data + end, at - end);
        kept += at - end;
    }
    text->length = kept;
    return true;
}

static matrix_verdict outbound(const matrix_passing *passing, matrix_reply *changed) {
    matrix_bytes body = passing->message.content.body;
    bool is_changed = false;
    if (!matrix_is_text(passing->message.content.content_type)) return MATRIX_PASS;
    for (size_t at = 0; at < forbidden.count; at++) {
        if (find(body, 0, forbidden.words[at]) < body.length) return matrix_reject(changed, "it says what no message may say");
    }
    matrix_append(&changed->body, body.data, body.length);
    for (size_t at = 0; at < masked.count; at++) is_changed |= mask(&changed->body, masked.words[at]);
    return is_changed ? MATRIX_REWRITE : MATRIX_PASS;
}

const matrix_interceptor_definition matrix_interceptor = {.configured = configured, .outbound = outbound};

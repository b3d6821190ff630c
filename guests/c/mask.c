/*
 * Masks words on their way, and refuses messages with others. Its settings:
 *
 * - `words`: what is masked, with spaces between; each must have two letters at least
 * - `forbidden`: what no message may say, with spaces between
 * - `with`: what stands in the place of what is masked; `***` where nothing is said
 *
 * Words are looked for in bodies of the type `text/…`, byte by byte, so that a wrong byte carries nothing through; of those that
 * begin at the same place the longest counts. It judges messages as they leave. With settings that it cannot read it rejects every
 * message.
 */
#include <string.h>

#include "matrix_interceptor.h"

/* The most words of a kind. */
#define WORDS_MAX 64

typedef struct {
    matrix_bytes words[WORDS_MAX];
    size_t count;
    /* Whether a word begins with this byte. */
    bool begins[256];
} word_list;

static word_list masked, forbidden;
static matrix_bytes replacement;

/* How many letters, and not bytes, a word has. */
static size_t letters(matrix_bytes word) {
    size_t count = 0;
    for (size_t at = 0; at < word.length; at++) count += (word.data[at] & 0xc0) != 0x80;
    return count;
}

static bool is_blank(uint8_t byte) { return memchr(" \t\r\n", byte, 4) != NULL; }

/* Reads the words of a setting, the longest first. */
static bool read_words(matrix_bytes text, const char *name, word_list *list, matrix_buffer *why) {
    *list = (word_list){0};
    for (size_t at = 0; at < text.length;) {
        matrix_bytes word = {text.data + at, 0};
        while (at < text.length && !is_blank(text.data[at])) word.length++, at++;
        while (at < text.length && is_blank(text.data[at])) at++;
        if (word.length == 0) continue;
        if (letters(word) < 2) {
            return matrix_refuse(why, "its setting `%s` has `%.*s`: a word must have two letters at least", name, (int)word.length,
                                 (const char *)word.data);
        }
        if (list->count == WORDS_MAX) return matrix_refuse(why, "its setting `%s` has too many words: there may be %d", name, WORDS_MAX);
        size_t place = list->count++;
        for (; place > 0 && list->words[place - 1].length < word.length; place--) list->words[place] = list->words[place - 1];
        list->words[place] = word;
        list->begins[word.data[0]] = true;
    }
    return true;
}

/* The word of a list that begins here; NULL: none does. */
static const matrix_bytes *found(const word_list *list, matrix_bytes text, size_t at) {
    if (!list->begins[text.data[at]]) return NULL;
    for (size_t place = 0; place < list->count; place++) {
        const matrix_bytes *word = &list->words[place];
        if (word->length <= text.length - at && memcmp(text.data + at, word->data, word->length) == 0) return word;
    }
    return NULL;
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
    return masked.count + forbidden.count > 0 || matrix_refuse(why, "it has nothing to do: set `words` or `forbidden`");
}

static matrix_verdict outbound(const matrix_passing *passing, matrix_reply *changed) {
    matrix_bytes body = passing->message.content.body;
    matrix_verdict verdict = MATRIX_PASS;
    size_t kept = 0;
    if (!matrix_is_text(passing->message.content.content_type)) return MATRIX_PASS;
    for (size_t at = 0; at < body.length; at++) {
        if (found(&forbidden, body, at) != NULL) return matrix_reject(changed, "it says what no message may say");
    }
    for (size_t at = 0; at < body.length;) {
        const matrix_bytes *word = found(&masked, body, at);
        if (word == NULL) {
            at++;
            continue;
        }
        verdict = MATRIX_REWRITE;
        matrix_append(&changed->body, body.data + kept, at - kept);
        matrix_append(&changed->body, replacement.data, replacement.length);
        kept = at += word->length;
    }
    if (verdict == MATRIX_REWRITE) matrix_append(&changed->body, body.data + kept, body.length - kept);
    return verdict;
}

const matrix_interceptor_definition matrix_interceptor = {.configured = configured, .outbound = outbound};

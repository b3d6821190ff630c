/* What rules in C use everywhere: in a component, and in tests. How they meet a node is in `matrix_rules_component.c`. */
#include "matrix_rules.h"

#include <string.h>

#include "matrix_inside.h"

static uint64_t rotated(uint64_t word, int by) { return word << by | word >> (64 - by); }

matrix_chance matrix_chance_of(uint64_t seed) {
    matrix_chance chance;
    for (size_t place = 0; place < 4; place++) {
        uint64_t mixed = seed += 0x9e3779b97f4a7c15u;
        mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
        chance.words[place] = mixed ^ mixed >> 31;
    }
    return chance;
}

uint64_t matrix_draw(matrix_chance *chance) {
    uint64_t *words = chance->words;
    uint64_t drawn = rotated(words[0] + words[3], 23) + words[0], shifted = words[1] << 17;
    words[2] ^= words[0];
    words[3] ^= words[1];
    words[1] ^= words[2];
    words[0] ^= words[3];
    words[2] ^= shifted;
    words[3] = rotated(words[3], 45);
    return drawn;
}

uint32_t matrix_draw_below(matrix_chance *chance, uint32_t bound) {
    uint64_t product = (matrix_draw(chance) >> 32) * bound;
    if ((uint32_t)product < bound) {
        uint32_t biased = -bound % bound;
        while ((uint32_t)product < biased) product = (matrix_draw(chance) >> 32) * bound;
    }
    return (uint32_t)(product >> 32);
}

double matrix_draw_unit(matrix_chance *chance) { return (double)(matrix_draw(chance) >> 11) * 0x1p-53; }

void matrix_ask_seat(matrix_outcome *outcome, matrix_prompt prompt) {
    uint64_t bits;
    memcpy(&bits, &prompt.reward, sizeof bits);
    const uint32_t words[MATRIX_PROMPT_WORDS] = {
        prompt.player, prompt.seat, (uint32_t)prompt.observation.length, prompt.is_final, (uint32_t)(bits >> 32), (uint32_t)bits,
    };
    matrix_append(&outcome->heads, words, sizeof words);
    matrix_append(&outcome->bytes, prompt.observation.data, prompt.observation.length);
}

static matrix_buffer copied(matrix_bytes bytes) {
    matrix_buffer copy = {0};
    matrix_append(&copy, bytes.data, bytes.length);
    return copy;
}

void matrix_tell(matrix_outcome *outcome, const char *kind, matrix_content content) {
    struct matrix_happening told = {copied(matrix_text(kind)), copied(content.content_type), copied(content.body)};
    matrix_append(&outcome->events, &told, sizeof told);
}

void matrix_signal(matrix_outcome *outcome, const char *name, double value) {
    struct matrix_figure_of_outcome figure = {copied(matrix_text(name)), value};
    matrix_append(&outcome->signals, &figure, sizeof figure);
}

void matrix_finish(matrix_outcome *outcome) { outcome->finished = true; }

void matrix_print_json(matrix_buffer *buffer, matrix_bytes text) {
    matrix_append(buffer, "\"", 1);
    for (size_t at = 0; at < text.length; at++) {
        uint8_t byte = text.data[at];
        if (byte == '"' || byte == '\\') matrix_print(buffer, "\\%c", byte);
        else if (byte < 0x20) matrix_print(buffer, "\\u%04x", byte);
        else matrix_append(buffer, &byte, 1);
    }
    matrix_append(buffer, "\"", 1);
}

void matrix_print_xml(matrix_buffer *buffer, matrix_bytes text) {
    for (size_t at = 0; at < text.length; at++) {
        uint8_t byte = text.data[at];
        if (byte == '&') matrix_print(buffer, "&amp;");
        else if (byte == '<') matrix_print(buffer, "&lt;");
        else if (byte == '>') matrix_print(buffer, "&gt;");
        else if (byte == '"') matrix_print(buffer, "&quot;");
        else matrix_append(buffer, &byte, 1);
    }
}

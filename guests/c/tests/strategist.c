/* Strategist, in a fake node, held to the table that it is given. */
#include "matrix_fake.h"
#include "matrix_test.h"

static const uint8_t first[32];

static bool is_born(const char *strategy) {
    matrix_buffer why = {0};
    bool born = fake_birth(&why, 1, "strategy", strategy, NULL);
    matrix_free(&why);
    return born;
}

/* Plays a match, and counts the cooperations of both. */
static void play(const char *names[2], unsigned turns, unsigned counts[2]) {
    uint8_t seen[2][2];
    for (unsigned tick = 0; tick < turns; tick++) {
        uint8_t moves[2];
        for (uint32_t side = 0; side < 2; side++) {
            matrix_bytes observation = tick == 0 ? (matrix_bytes){first, sizeof first} : (matrix_bytes){seen[side], 2};
            EXPECT(is_born(names[side]));
            const char *action = fake_act("m", tick, side, observation, false);
            EXPECT(action != NULL && strlen(action) == 1);
            moves[side] = (uint8_t)*action;
            counts[side] += moves[side] == 'C';
        }
        for (int side = 0; side < 2; side++) seen[side][0] = moves[side], seen[side][1] = moves[1 - side];
        matrix_buffer state = {0};
        if (tick == turns / 2) EXPECT(fake_save_and_restore(&state));
        matrix_free(&state);
    }
    for (uint32_t side = 0; side < 2; side++) EXPECT(fake_act("m", turns, side, (matrix_bytes){seen[side], 2}, true) != NULL);
    matrix_buffer state = {0};
    EXPECT(fake_save_and_restore(&state) && state.length == 1 && state.data[0] == 0);
    matrix_free(&state);
}

int main(int count, char **arguments) {
    EXPECT(count == 2);
    FILE *table = fopen(arguments[1], "r");
    EXPECT(table != NULL);
    char line[256], a[64], b[64];
    unsigned turns = 0, expected[2], played = 0;
    while (fgets(line, sizeof line, table) != NULL) {
        sscanf(line, "\"turns\": %u", &turns);
        sscanf(line, "\"a\": \"%63[^\"]", a);
        sscanf(line, "\"b\": \"%63[^\"]", b);
        sscanf(line, "\"cooperations_a\": %u", &expected[0]);
        if (sscanf(line, "\"cooperations_b\": %u", &expected[1]) != 1 || !is_born(a) || !is_born(b)) continue;
        unsigned counts[2] = {0};
        play((const char *[2]){a, b}, turns, counts);
        if (memcmp(counts, expected, sizeof counts) != 0) fprintf(stderr, "%s, %s\n", a, b);
        EXPECT(memcmp(counts, expected, sizeof counts) == 0);
        played++;
    }
    EXPECT(played == 78);
    fclose(table);

    EXPECT(!is_born("Nobody") && is_born("Bully"));
    EXPECT_TEXT(fake_ask("who"), "Bully");
    EXPECT(fake_act("m", 1, 0, matrix_text("CC"), false) == NULL && strstr(fake_why(), "never seen"));
    for (uint32_t seat = 0; seat < 4096; seat++) EXPECT(fake_act("m", 0, seat, (matrix_bytes){first, 32}, false) != NULL);
    EXPECT(fake_act("m", 0, 4096, (matrix_bytes){first, 32}, false) == NULL && strstr(fake_why(), "go on already"));
    EXPECT_TEXT(fake_act("m", 0, 7, (matrix_bytes){first, 32}, false), "D");
    EXPECT(fake_act("m", 1, 7, matrix_text("CX"), false) == NULL);
    EXPECT(!fake_restore("strategist-c/1", matrix_text("\x02")) && !fake_restore("strategist-c/2", matrix_text("\x01")));
    return 0;
}

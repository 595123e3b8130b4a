#include "schema/nearest.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

enum { LENGTH_MAX = 40, PART_LEAST = 4 };

void nearest_init(struct nearest *nearest, const char *name)
{
    *nearest = (struct nearest){.name = name, .distance = INT_MAX};
}

/* Lower case, '-' as '_', so that spelling habits cost nothing.  Returns the
 * length, or -1 for words that are too long to be meant. */
static int fold(char folded[LENGTH_MAX + 1], const char *word)
{
    size_t length = strlen(word);
    if (length > LENGTH_MAX)
        return -1;
    for (size_t i = 0; i <= length; i++)
        folded[i] =
            word[i] == '-' ? '_' : (char)tolower((unsigned char)word[i]);
    return (int)length;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Damerau and Levenshtein's distance in its restricted form: insertions,
 * deletions, substitutions, and swaps of neighbours cost 1 each. */
static int distance(const char *a, int a_length, const char *b, int b_length)
{
    int row[LENGTH_MAX + 1][LENGTH_MAX + 1];
    for (int i = 0; i <= a_length; i++)
        row[i][0] = i;
    for (int j = 0; j <= b_length; j++)
        row[0][j] = j;
    for (int i = 1; i <= a_length; i++)
        for (int j = 1; j <= b_length; j++) {
            int best = least(row[i - 1][j], row[i][j - 1]) + 1;
            best = least(best, row[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, row[i - 2][j - 2] + 1);
            row[i][j] = best;
        }
    return row[a_length][b_length];
}

/* A part of a known word ("epochs" of nb_epochs) is meant as well, but after
 * everything that is only misspelt. */
void nearest_try(struct nearest *nearest, const char *word)
{
    char a[LENGTH_MAX + 1], b[LENGTH_MAX + 1];
    int a_length = fold(a, nearest->name), b_length = fold(b, word);
    if (a_length <= 0 || b_length <= 0)
        return;
    int found = distance(a, a_length, b, b_length);
    int longer = a_length > b_length ? a_length : b_length;
    if (found > (longer + 1) / 3 || found >= longer) {
        if (a_length < PART_LEAST || !strstr(b, a))
            return;
        found = LENGTH_MAX + b_length - a_length;
    }
    if (found >= nearest->distance)
        return;
    nearest->distance = found;
    nearest->word = word;
}

/* nearest.h: "did you mean": of many known words the one most like a name.
 *
 *     struct nearest nearest;
 *     nearest_init(&nearest, "learning_rte");
 *     for (...) nearest_try(&nearest, known[i]);
 *     if (nearest.word) ...
 */
#ifndef SCHEMA_NEAREST_H
#define SCHEMA_NEAREST_H

struct nearest {
    const char *name; /* borrowed */
    const char *word; /* the best so far, borrowed; NULL: none resembles it */
    int distance;
};

void nearest_init(struct nearest *nearest, const char *name);

/* Of equally near words the first tried wins. */
void nearest_try(struct nearest *nearest, const char *word);

#endif

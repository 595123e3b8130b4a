/* replay.c: runs a target over kept inputs, named as files or folders. */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { INPUT_BYTES_MAX = 1 << 24 };

static int run_file(const char *path)
{
    static uint8_t buffer[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 0;
    }
    size_t size = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    /* A copy that ends where the input does, so that reading on is noticed. */
    uint8_t *bytes = malloc(size ? size : 1);
    PROMISE(bytes);
    memcpy(bytes, buffer, size);
    fprintf(stderr, "%s\n", path); /* the last one is what broke it */
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 1;
}

static int run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), run = 0;
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            run += run_file(file);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return run;
}

int main(int argc, char **argv)
{
    int run = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        run += is_folder ? run_folder(argv[i]) : run_file(argv[i]);
    }
    printf("%s: %d inputs\n", argv[0], run);
    return run == 0; /* a corpus that is not found proves nothing */
}

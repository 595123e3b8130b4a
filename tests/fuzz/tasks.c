/* What a worker takes from gaitd: `start`, and the rows within a checkpoint. */
#include "worker/task.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "fuzz.h"
#include "schema/message.h"
#include "worker/rows.h"

static void check_rows(const char *text)
{
    struct rows rows, again;
    struct error error = {0};
    if (!rows_init(&rows, text, &error)) {
        PROMISE(!rows.items && !rows.count && error.text[0]);
        return;
    }
    for (int i = 1; i < rows.count; i++)
        PROMISE(rows.items[i - 1].step < rows.items[i].step);
    char *printed = rows_print(&rows);
    PROMISE(rows_init(&again, printed, &error));
    PROMISE(rows.count == again.count);
    free(printed);
    rows_release(&again);
    rows_release(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct task task;
    struct error error = {0};
    struct cJSON *start = message_parse((const char *)bytes, size, &error);
    if (start) {
        if (task_init(&task, start, &error))
            PROMISE(task.run_dir && task.key && task.to_epoch >= 0);
        else
            PROMISE(error.text[0]);
        task_release(&task);
        cJSON_Delete(start);
    }
    char *text = malloc(size + 1);
    PROMISE(text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    check_rows(text);
    free(text);
    return 0;
}

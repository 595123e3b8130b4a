/* Questions that take long: for the reader that has no deadline. */
#include <cjson/cJSON.h>

#include "daemon/backup.h"
#include "daemon/fsck.h"
#include "daemon/query.h"
#include "schema/json.h"

struct cJSON *query_fsck(const struct question *question, struct error *error)
{
    db_rollback(question->db); /* each of its questions is one of its own */
    return fsck_run(question->db, json_text_or(question->params, "run_dir", ""),
                    error);
}

struct cJSON *query_backup(const struct question *question, struct error *error)
{
    const char *file = json_text_or(question->params, "file", "");
    int64_t bytes;
    db_rollback(question->db); /* it makes one of its own */
    if (!backup_write(question->db, file,
                      cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(
                          question->params, "force")),
                      &bytes, error))
        return NULL;
    struct cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "file", file);
    cJSON_AddItemToObject(answer, "bytes", json_integer(bytes));
    return answer;
}

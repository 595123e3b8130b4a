"""The lint script sees what it is there to see."""

import pathlib
import subprocess

import pytest

RULES = pathlib.Path(__file__).resolve().parents[1] / "lint" / "rules"


def run(folder):
    return subprocess.run([RULES, folder], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path, text, why", [
    ("daemon/store.c", '#include "worker/idx.h"\n', 'may not include "worker/idx.h"'),
    ("client/main.c", '#include "daemon/store.h"\n', 'may not include "daemon/store.h"'),
    ("schema/spec.c", '#include "client/main.h"\n', 'may not include "client/main.h"'),
    ("worker/engine/step.c", '#include "worker/idx.h"\n', 'may not include "worker/idx.h"'),
    ("worker/engine/step.c", '#include "schema/spec.h"\n', 'may not include "schema/spec.h"'),
    ("daemon/store.c", "#include <sqlite3.h>\n", 'may not include "sqlite3.h"'),
    ("daemon/store.c", "#include <uv.h>\n", 'may not include "uv.h"'),
    ("worker/engine/step.c", "#include <cblas.h>\n", 'may not include "cblas.h"'),
    ("worker/engine/step.c", "#include <cjson/cJSON.h>\n", 'may not include "cjson/cJSON.h"'),
    ("daemon/store.c", "/* TO" "DO: write it */\n", "says that it is unfinished"),
    ("daemon/store.c", "    usleep" "(10);\n", "sleeps instead"),
    ("daemon/store.c", "int x;  \n", "ends in white space"),
    ("daemon/store.c", "x" * 101 + "\n", "is longer than 100 columns"),
    ("daemon/store.c", "int x;\n" * 501, "is longer than 500 lines"),
    ("daemon/store.h", "int x;\n", "has no include guard"),
])
def test_it_sees(tmp_path, path, text, why):
    source = tmp_path / path
    source.parent.mkdir(parents=True)
    source.write_text(text)
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{path}:") and why in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_it_sees_unknown_events(tmp_path):
    for path, text in (
            ("schema/event.h", "#ifndef EVENT_H\n#define EVENT_H\n"
                               '#define EVENTS(X) X(known, "", "it is listed")\n#endif\n'),
            ("daemon/store.c", 'store_event_add(store, "known", 0);\n'
                               'store_event_cost(store,\n    "new", 0);\n')):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    done = run(tmp_path)
    assert done.stdout == (
        'daemon/store.c:2: adds an event "new", which schema/event.h does not list\n')


def test_it_lets_pass(tmp_path):
    for path, text in (
            ("daemon/db.c", '#include <sqlite3.h>\n#include "daemon/db.h"\n'
                            '#include "schema/error.h"\n'),
            ("worker/engine/step.c", '#include <math.h>\n#include "schema/settings.h"\n'),
            ("client/text.h", "#ifndef CLIENT_TEXT_H\n#define CLIENT_TEXT_H\n#endif\n")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")

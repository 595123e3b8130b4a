"""What the README lists is what the programs have."""

import re

from conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_settings(new_daemon):
    """Names, defaults and words as `gaitctl help submit` prints them."""
    text = new_daemon().ctl("help", "submit").stdout
    text = text[text.index("settings, as flags"):]
    settings = re.findall(r"^  --(\w+)(?: [A-Z]+)? +(.*) \(([^()]*)\)$", text, re.MULTILINE)
    assert len(settings) > 20
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (.*) \|$", README, re.MULTILINE)
    assert [(name, help_text, default) for name, default, help_text in rows] == settings


def test_exit_statuses(new_daemon):
    text = new_daemon().ctl("help", "exit").stdout
    statuses = re.findall(r"^ +(\d+)  (.*)$", text[text.index("exit status"):], re.MULTILINE)
    assert len(statuses) == 8
    section = README[README.index("## Exit statuses"):]
    section = section[:section.index("\n## ")]
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
    assert [(status, meaning.replace("`", "")) for status, meaning in rows] == statuses


def test_the_spec_shown_is_the_one_shipped():
    spec = (REPOSITORY / "configs" / "quickstart.json").read_text(encoding="utf-8")
    assert "".join(f"    {line}\n" for line in spec.splitlines()) in README

"""What differs between two versions of a definition, as its page shows it: file by file, line by line."""

from __future__ import annotations

from uws_server.web.shared.differences import MOST_COMPARED, MOST_LINES, Line, between


def test_what_differs_is_told_file_by_file() -> None:
    before = {"job.json": "{}", "run.sh": "a\nb\n", "same": "x"}
    after = {"job.json": "{}\n", "run.py": "a\n", "same": "x"}
    told = [(one.name, one.word, [line.text for line in one.lines]) for one in between(before, after)]
    assert told == [
        ("job.json", "changed", ["@@ -1 +1,2 @@", " {}", "+"]),
        ("run.py", "new", ["@@ -1 +1,2 @@", "+a", " "]),
        ("run.sh", "gone", ["@@ -1,3 +1 @@", "-a", "-b", " "]),
    ]
    assert between(before, before) == []


def test_each_line_says_what_it_is() -> None:
    (changed,) = between({"run.sh": "a\nb\n"}, {"run.sh": "a\nc\n"})
    assert [line.kind for line in changed.lines] == ["place", "same", "removed", "added", "same"]


def test_what_is_too_long_is_not_compared_line_by_line() -> None:
    (changed,) = between({"run.sh": "a\n" * MOST_COMPARED}, {"run.sh": "b\n"})
    assert changed.lines == (Line("place", "too long to be compared line by line"),)


def test_of_many_lines_the_first_are_shown() -> None:
    (changed,) = between({}, {"run.sh": "a\n" * (MOST_LINES + 10)})
    assert (len(changed.lines), changed.left_out) == (MOST_LINES, 12)

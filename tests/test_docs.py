"""What the pages of docs/ name exists: paths, rooms, classes, and the files that they point to."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from checkout import ROOT, project_files

DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
PACKAGES = ("provenance", "reduction", "uws_server")
OF_DOORS = re.compile(r"uws_server/(web|protocol|commands|previews)/|uws_server/[^/]+$")
"""Modules whose classes are pages, resources, commands or the wiring of them, and no words of the field."""
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def python_files() -> list[Path]:
    found = [path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES]
    assert found
    return found


def classes() -> dict[str, list[str]]:
    """Every class, by name, with the paths of the modules that have one of that name."""
    found: dict[str, list[str]] = {}
    for path in python_files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    return found


def paths_in(text: str) -> list[str]:
    return re.findall(rf"`((?:{'|'.join(PACKAGES)}|job_definitions|templates|tests)/[^`]*)`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = [name for name in paths_in(page.read_text(encoding="utf-8")) if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)]*))?\)", text)
    assert [link for link, _ in links if not (page.parent / link).exists()] == []
    for link, anchor in links:
        if anchor:
            target = page.parent / link if link else page
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def rooms() -> list[str]:
    """Every folder of modules, but the packages themselves and those that hold rooms or migrations only."""
    folders = {path.parent.relative_to(ROOT) for path in python_files() if path.name == "__init__.py"}
    return sorted(f"{folder}/" for folder in folders if len(folder.parts) > 1 and folder.name != "versions")


def test_the_architecture_has_every_room() -> None:
    named = paths_in(ARCHITECTURE)
    assert [room for room in rooms() if not any(path.startswith(room) for path in named)] == []


def test_the_glossary_is_sorted_one_line_a_word() -> None:
    lines = GLOSSARY[GLOSSARY.index("- **") :].splitlines()
    words = [found[1] for line in lines if (found := re.fullmatch(r"- \*\*([^*]+)\*\*: \S.*", line))]
    assert len(words) == len(lines)
    assert words == sorted(set(words), key=str.casefold)


def test_what_the_glossary_names_is_in_the_code() -> None:
    known = classes()
    named = re.findall(r"`([A-Z][A-Za-z]*[a-z][A-Za-z]*|GTI)`", GLOSSARY)
    assert len(named) > 30
    assert [name for name in named if name not in known] == []


def test_the_words_of_the_code_are_in_the_glossary() -> None:
    """Those of rooms below the doors, and of classes after which a module is named."""
    subjects = [
        name
        for name, paths in classes().items()
        for path in paths
        if name.lower() == Path(path).stem.replace("_", "") and not OF_DOORS.match(path)
    ]
    assert len(subjects) > 20
    assert [name for name in subjects if f"`{name}`" not in GLOSSARY] == []
    named = paths_in(GLOSSARY)
    below = [room for room in rooms() if not room.startswith("uws_server/web/")]
    assert [room for room in below if not any(path.startswith(room) for path in named)] == []

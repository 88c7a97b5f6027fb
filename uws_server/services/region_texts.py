"""Whether texts are regions, remembered from one start of a server to the next. Imports the regions when one is new.

Definitions have regions as defaults and test values, and loading what can tell (astropy) takes longer than the rest of
the start, and 30 MiB. A plain circle or annulus is known for what it is. Of all others that are new a process which
ends at once is asked, and its answers stay in the data folder: <data>/regions.json, which can be deleted at any time.
They hold for the code that gave them, and for no other.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path

import provenance
import reduction
from reduction.errors import ReductionError
from uws_server.storage.files import read_json, write_json

LOG = logging.getLogger(__name__)
SOURCES = ("reduction/regions", "reduction/errors.py", "provenance/text")
"""Files and folders of code that decide whether a text is a region; this module does too."""
_LIBRARIES = ("regions", "astropy", "numpy")
_MOST = 2000
_NUMBER = r"([0-9]{1,3}(?:[.][0-9]{1,9})?)"
_PLAIN = re.compile(rf'(?:icrs|fk5); (circle|annulus)\({_NUMBER}, -?{_NUMBER}, {_NUMBER}"(?:, {_NUMBER}")?\)')
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from uws_server.services.region_texts import problem_of
print(json.dumps([problem_of(*pair) for pair in json.load(sys.stdin)]))
"""

NamedText = tuple[str, str]
"""The name of a parameter, which begins what is said of its text, and the text."""


_WITH_BACKGROUND = "source_region"
"""The parameter whose text may hold the region of a background, too (`reduction.parameters`)."""


def problem_of(name: str, text: str) -> str:
    """Return why the text of a parameter is no region; '' if it is one."""
    from reduction import regions  # not before one comes: it takes half a second and 30 MiB

    try:
        if name == _WITH_BACKGROUND:
            regions.parse_with_background(text, name)
        else:
            regions.parse(text, name)
    except ReductionError as error:
        return str(error).removeprefix(f"{name}: ")
    return ""


def is_plain(text: str) -> bool:
    """Check whether a text is a circle or an annulus in degrees and arc seconds, written as in our own definitions.

    Such a text is a region. Any other may be one, too.
    """
    match = _PLAIN.fullmatch(text)
    if match is None or (match[1] == "annulus") != (match[5] is not None):
        return False
    ra, dec, inner, outer = (float(number or "inf") for number in match.groups()[1:])
    return ra <= 360 and dec <= 90 and 0 < inner < outer


class RegionTexts:
    """What is known of the region texts of a server's definitions."""

    def __init__(self, data: Path) -> None:
        self._path = data.absolute() / "regions.json"
        self._lock = threading.Lock()
        self._known: dict[str, str] | None = None
        self._code = ""

    def problem(self, name: str, text: str) -> str:
        """Return why the text of a parameter is no region; '' if it is one."""
        if is_plain(text):
            return ""
        with self._lock:
            found = self._answers().get(_key(name, text))
        return problem_of(name, text) if found is None else found

    def learn(self, texts: Collection[NamedText]) -> None:
        """Have a process of its own tell of the texts that are not known, and keep what it says.

        What it cannot tell is asked here when it is needed.
        """
        less_plain = [pair for pair in dict.fromkeys(texts) if not is_plain(pair[1])]
        if not less_plain:
            return
        with self._lock:
            known = self._answers()
            new = [pair for pair in less_plain if _key(*pair) not in known]
            if not new:
                return
            kept = known if len(known) + len(new) <= _MOST else {}
            self._known = {**kept, **_told(new)}
            try:
                write_json(self._path, {"code": self._code, "problems": self._known})
            except OSError as error:  # such as a full disk: the next start asks again
                LOG.warning("%s could not be written: %s", self._path, error.strerror)

    def _answers(self) -> Mapping[str, str]:
        """Return what is known, from the file the first time."""
        if self._known is None:
            self._code = fingerprint()
            kept = read_json(self._path)
            problems = kept.get("problems") if kept.get("code") == self._code else None
            self._known = (
                {key: text for key, text in problems.items() if isinstance(text, str)}
                if isinstance(problems, dict)
                else {}
            )
        return self._known


def fingerprint() -> str:
    """Return the hash of everything that decides what is said of a text: our code, and the versions of the rest."""
    found = hashlib.sha256()
    for path in [Path(__file__), *source_files()]:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    found.update(repr([sys.version, *map(metadata.version, _LIBRARIES)]).encode())
    return found.hexdigest()


def source_files() -> list[Path]:
    """Return the files of our code that decide, in order."""
    roots = {package.__name__: Path(package.__file__ or "").parent.parent for package in (provenance, reduction)}
    places = [roots[source.partition("/")[0]] / source for source in SOURCES]
    return sorted(path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place]))


def _key(name: str, text: str) -> str:
    return hashlib.sha256(json.dumps([name, text]).encode()).hexdigest()


def _told(texts: Collection[NamedText]) -> dict[str, str]:
    """Return what there is to say of texts, by key."""
    if "reduction.regions" in sys.modules:  # a job, or the editor, came first
        return {_key(*pair): problem_of(*pair) for pair in texts}
    return {_key(*pair): problem for pair, problem in zip(texts, told_elsewhere(texts), strict=False)}


def told_elsewhere(texts: Collection[NamedText]) -> list[str]:
    """Return why each text is no region, as a process of its own says; nothing if it fails."""
    path = [*sys.path, str(Path(__file__).parent.parent.parent)]
    command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(path)]
    try:
        done = subprocess.run(command, input=json.dumps(list(texts)), capture_output=True, text=True, check=True)
        return list(map(str, json.loads(done.stdout)))
    except (OSError, subprocess.CalledProcessError, ValueError, TypeError) as error:
        LOG.warning("the regions of the definitions are checked here: the process for it failed: %s", error)
        return []

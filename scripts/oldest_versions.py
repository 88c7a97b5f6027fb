"""Print the constraints under which pip installs the oldest versions that the floors of setup.cfg promise.

    python scripts/oldest_versions.py > oldest.txt
    pip install --constraint oldest.txt --editable '.[test]'

`astropy >= 7` becomes `astropy==7`. Every requirement of the software itself needs a floor; tools of the tests may go
without.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SETUP_CFG = Path(__file__).resolve().parent.parent / "setup.cfg"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?\s*(?P<versions>.*)")
FLOOR = re.compile(r">=\s*([\w.]+)")
TOOLS = "test"
"""The extra whose requirements may go without a floor."""


def constraints(setup_cfg: Path) -> Iterator[str]:
    """Yield `name==floor` for each requirement with a floor; raise ValueError where the software's own has none."""
    config = configparser.ConfigParser()
    config.read(setup_cfg, encoding="utf-8")
    groups = {"install_requires": config["options"]["install_requires"], **config["options.extras_require"]}
    seen: set[str] = set()
    for group, text in groups.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            constraint = oldest(line)
            if constraint is None and group != TOOLS:
                raise ValueError(f"{setup_cfg.name}: '{line}' of {group} has no floor; write '{line} >= VERSION'")
            if constraint is not None and constraint not in seen:
                seen.add(constraint)
                yield constraint


def oldest(requirement: str) -> str | None:
    """Return the requirement as `name==floor`, without extras; None if it has no floor."""
    parts = REQUIREMENT.fullmatch(requirement)
    if parts is None:
        raise ValueError(f"'{requirement}' came; a name with an optional floor, such as 'astropy >= 7', is allowed")
    floor = FLOOR.search(parts["versions"])
    return f"{parts['name']}=={floor[1]}" if floor else None


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in constraints(SETUP_CFG))

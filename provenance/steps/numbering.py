"""How people count the steps of a list: from 1, where programs count from 0 (`0.energy` is the energy of step 1).

Imports the steps' reruns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from provenance.steps import rerun
from provenance.steps.model import Step
from provenance.text.errors import StepsError

_NUMBERED = re.compile(r"(\d{1,6})\.(.+)", re.DOTALL)
_KEY = re.compile(r"(?<![\w.])(\d{1,6})\.([A-Za-z_]\w*)")


def number_for_programs(number: int, count: int) -> int:
    """Return the number of one of `count` steps as programs count. Raises StepsError if there is no such step."""
    if not 1 <= number <= count:
        raise StepsError(f"there is no step {number}; the list has {count}, counted from 1")
    return number - 1


def key_for_programs(key: str, count: int) -> str:
    """Return a key such as `1.energy` as programs write it; a key without a number stays as it is.

    Raises StepsError if there is no such step among `count`.
    """
    numbered = _NUMBERED.fullmatch(key)
    return f"{number_for_programs(int(numbered[1]), count)}.{numbered[2]}" if numbered else key


def message_for_people(text: str, steps: Sequence[Step]) -> str:
    """Return a message with the keys of the steps' parameters and inputs in it as people count."""
    keys = {field.key for number in range(len(steps)) for field in rerun.fields(steps, number)}
    return _KEY.sub(lambda found: f"{int(found[1]) + 1}.{found[2]}" if found[0] in keys else found[0], text)

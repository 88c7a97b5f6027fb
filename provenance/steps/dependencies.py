"""Finds which step of a list made the files that another one used: by hash, else by location, else by name."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provenance.steps.document import digest
from provenance.steps.model import Arg, InputData, OutputData, Step
from provenance.text.errors import StepsError

MOST_ORIGINS: Final = 20
"""Outputs that an input may be where only names match: of more, the latest."""
_MOST_EXAMINED: Final = 1000
"""Outputs of one name or location that are examined for an input, before and after its step."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of an input: an output (`path`, a file name) of a step, given by its number."""

    step: int
    path: str


@dataclass(frozen=True, slots=True)
class LinkedSteps:
    """A step list and its dependencies: `origins` maps step and index of an input to the outputs that it may be.

    There is one origin, or several where only names match and several outputs have the name. `notes` are for the user.
    """

    steps: tuple[Step, ...]
    origins: Mapping[tuple[int, int], tuple[Origin, ...]]
    notes: tuple[str, ...]

    def dependents(self, numbers: Iterable[int]) -> set[int]:
        """Return these steps, and every later one that needs what they make."""
        reached = set(numbers)
        for (step, _), origins in sorted(self.origins.items()):
            if any(origin.step in reached for origin in origins):
                reached.add(step)
        return reached

    def ancestors(self, numbers: Iterable[int]) -> set[int]:
        """Return these steps, and every earlier one whose outputs they need."""
        reached = set(numbers)
        for (step, _), origins in sorted(self.origins.items(), reverse=True):
            if step in reached:
                reached.update(origin.step for origin in origins)
        return reached


@dataclass(frozen=True, slots=True)
class _Output:
    step: int
    location: str
    path: str
    sha256: str

    @property
    def origin(self) -> Origin:
        return Origin(self.step, self.path)


def linked(steps: Iterable[Step]) -> LinkedSteps:
    """Find which steps depend on which.

    A step that occurs twice counts once. Raises StepsError where a file is used before the step that makes it: the list
    is in the wrong order, or has a cycle.
    """
    listed = tuple(steps)
    notes, unique = _without_repeats(listed)
    outputs = Outputs((number, listed[number]) for number in unique)
    origins: dict[tuple[int, int], tuple[Origin, ...]] = {}
    for number in unique:
        for arg in listed[number].args:
            if isinstance(arg, InputData) and (found := outputs.find(number, arg)):
                origins[number, arg.index] = found
    return LinkedSteps(listed, origins, tuple(notes))


def hashes_of(arg: InputData) -> tuple[str, ...]:
    """Return the hashes recorded of an input: that without its VO-TAGS (as the step of a product has it), and that of
    all its bytes.
    """
    recorded = (arg.extra.get(key) for key in ("science_sha256", "sha256"))
    return tuple(sha256.lower() for sha256 in recorded if isinstance(sha256, str) and sha256)


def name_of(arg: Arg) -> str:
    """Return the name of an argument's parameter; its position in the step where none is recorded."""
    name = arg.extra.get("name")
    return name if isinstance(name, str) and name else f"args[{arg.index}]"


def place_of(number: int) -> str:
    """Return the place of a step as error messages write it."""
    return f"provenance[{number}]"


def label(steps: Sequence[Step], number: int) -> str:
    """Return a step in words: its number, counted from 1, and its task."""
    task = steps[number].extra.get("task")
    return f"step {number + 1} ({task[:64]})" if isinstance(task, str) else f"step {number + 1}"


def _without_repeats(steps: Sequence[Step]) -> tuple[list[str], list[int]]:
    """Notes on the repeated steps, and the numbers of the steps without them."""
    first: dict[str, int] = {}
    notes = []
    for number, step in enumerate(steps):
        same = first.setdefault(digest(step), number)
        if same != number:
            notes.append(f"{place_of(number)} is {place_of(same)} again and counts once")
    return notes, sorted(first.values())


def _outputs(number: int, step: Step) -> Iterator[_Output]:
    """Every file that came out of a step; a collection may have a list of hashes, one for each file."""
    for arg in step.args:
        if isinstance(arg, OutputData):
            paths = (arg.path,) if isinstance(arg.path, str) else arg.path
            recorded = arg.extra.get("sha256")
            hashes = recorded if isinstance(recorded, list) and len(recorded) == len(paths) else [recorded] * len(paths)
            for path, sha256 in zip(paths, hashes, strict=True):
                yield _Output(number, arg.location, path, sha256.lower() if isinstance(sha256, str) else "")


class Outputs:
    """The outputs of numbered steps, in order, by hash, by location and by name."""

    def __init__(self, steps: Iterable[tuple[int, Step]]) -> None:
        self._by_hash: dict[str, list[_Output]] = defaultdict(list)
        self._by_location: dict[tuple[str, str], list[_Output]] = defaultdict(list)
        self._by_name: dict[str, list[_Output]] = defaultdict(list)
        for output in (output for number, step in steps for output in _outputs(number, step)):
            if output.sha256:
                self._by_hash[output.sha256].append(output)
            if output.location:
                self._by_location[_location_key(output.location, output.path)].append(output)
            self._by_name[_base_name(output.path)].append(output)
        # caches of what was found for a location or a name: a list may have thousands of inputs of one name
        self._located: dict[tuple[int, str, str, bool], _Output | None] = {}
        self._named: dict[tuple[int, str, bool, bool], tuple[Origin, ...]] = {}

    def find(self, number: int, arg: InputData) -> tuple[Origin, ...]:
        """Return the outputs of steps before `number` that an input of that step may be: one, none, or several of one
        name.

        Raises StepsError where only a later step makes the file at its location.
        """
        hashes = hashes_of(arg)
        for sha256 in reversed(hashes):
            same = self._by_hash.get(sha256, [])
            earlier = bisect.bisect_left(same, number, key=lambda output: output.step)
            if earlier:
                return (same[earlier - 1].origin,)
        output = self._by_its_location(number, arg, hashes)
        if output:
            return (output.origin,)
        return self._by_its_name(number, arg, hashes) if arg.path else ()

    def _by_its_name(self, number: int, arg: InputData, hashes: tuple[str, ...]) -> tuple[Origin, ...]:
        """The last output of its name of each earlier step, of the latest steps that have one."""
        key = number, _base_name(arg.path), bool(arg.location), bool(hashes)
        if key not in self._named:
            named = self._by_name.get(_base_name(arg.path), [])
            last: dict[int, Origin] = {}
            end = bisect.bisect_left(named, number, key=lambda output: output.step)
            for output in reversed(named[max(0, end - _MOST_EXAMINED) : end]):
                if _may_be(output, hashes) and not (arg.location and output.location):
                    last.setdefault(output.step, output.origin)
                    if len(last) == MOST_ORIGINS:
                        break
            self._named[key] = tuple(reversed(last.values()))
        return self._named[key]

    def _by_its_location(self, number: int, arg: InputData, hashes: tuple[str, ...]) -> _Output | None:
        """The last output at the location of an input; None where there is none. Raises StepsError as `find`."""
        if not arg.location:
            return None
        key = number, *_location_key(arg.location, arg.path), bool(hashes)
        if key not in self._located:
            found = self._outputs_at(number, arg, hashes)
            self._located[key] = found[-1] if found else None
        return self._located[key]

    def _outputs_at(self, number: int, arg: InputData, hashes: tuple[str, ...]) -> list[_Output]:
        """The outputs of earlier steps at the location of an input.

        None of them has a hash of the input, which would have been found by it: so the answer is the same for any two
        inputs with hashes.
        """
        placed = self._by_location.get(_location_key(arg.location, arg.path), [])
        at = bisect.bisect_left(placed, number, key=lambda output: output.step)
        near = placed[max(0, at - _MOST_EXAMINED) : at + _MOST_EXAMINED]
        there = [output for output in near if _may_be(output, hashes)]
        earlier = [output for output in there if output.step < number]
        later = [output for output in there if output.step > number]
        if later and not earlier and not any(output.step == number for output in there):
            raise StepsError(f"{arg.path[:80]!r} is made by {place_of(later[0].step)}, which comes later: the steps "
                             "are out of order or form a cycle", f"{place_of(number)}.args[{arg.index}].inputdata")
        return earlier


def _may_be(output: _Output, hashes: tuple[str, ...]) -> bool:
    """Whether an output and an input have the same hash; true where one of them has none."""
    return not (output.sha256 and hashes) or output.sha256 in hashes


def _location_key(location: str, path: str) -> tuple[str, str]:
    return location.rstrip("/"), path


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]

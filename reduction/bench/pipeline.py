"""One run of a bench: simulates the observation of its seed, runs the steps, measures; may import the simulator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from reduction import scripts
from reduction.bench import matching, measuring, references
from reduction.bench.recipe import Recipe, Step
from reduction.errors import ReductionError
from reduction.simulate import Observation, simulate, truth_path, write_responses

Tell = Callable[[str], None]
SIMULATE = "simulate"


def seed_of(recipe: Recipe, run: int) -> int:
    """Return the seed of a run: the same for the same recipe and run, another one for each."""
    return int(np.random.SeedSequence((recipe.seed, run)).generate_state(1)[0])


def definitions_of(recipe: Recipe, folder: Path) -> dict[str, scripts.Definition]:
    """Return the definition of each step by its name.

    Raises ReductionError if there is no such definition, or the parameters of a step are not its; the parameter is the
    place in the recipe.
    """
    found: dict[str, scripts.Definition] = {}
    for number, step in enumerate(recipe.steps):
        try:
            definition = found.setdefault(step.definition, scripts.read_definition(folder, step.definition))
        except ReductionError as error:
            raise ReductionError(str(error), f"steps[{number}].definition ({step.key})") from error
        try:
            scripts.document_of(definition, {name: _stand_in(definition, name, value)
                                             for name, value in step.parameters.items()})  # fmt: skip
        except ReductionError as error:
            raise ReductionError(str(error), f"step {step.key}, parameter {error.parameter}") from error
    return found


def _stand_in(definition: scripts.Definition, name: str, value: Any) -> Any:
    """Return a value in the place of one with references, of the type that the parameter wants."""
    if not references.named(value):
        return value
    spec = definition.parameters.get(name, {})
    kind = spec.get("type")
    plain: Any = Path("file") if kind in scripts.FILES else 1 if kind in ("integer", "float") else "text"
    plain = {"boolean": True, "choice": (spec.get("options") or ["text"])[0]}.get(str(kind), plain)
    return [plain for _ in value] if isinstance(value, list) else plain


def run(
    recipe: Recipe, definitions: Mapping[str, scripts.Definition], number: int, folder: Path, tell: Tell
) -> dict[str, Any]:
    """Run the pipeline once.

    Parameters
    ----------
    recipe
        The recipe.
    definitions
        Those of its steps, from `definitions_of`.
    number
        Number of the run, of which its seed is made.
    folder
        An empty folder, for event lists and products.
    tell
        Called with what comes next.

    Returns
    -------
    dict
        An object of JSON: seed, seconds of each step, what failed, quantities, what became of the sources.
    """
    seed = seed_of(recipe, number)
    record: dict[str, Any] = {"run": number, "seed": seed, "seconds": {}, "failed": None, "notes": []}
    known: dict[str, Any] = {"run": number, "seed": seed}
    began = time.process_time()
    known["measured"] = measuring.Measured(recipe.measures, known)
    try:
        _timed(record, SIMULATE, tell, lambda: known.update(_simulated(recipe, seed, folder / "data")))
        for place, step in enumerate(recipe.steps, start=1):
            _step(record, known, step, definitions[step.definition], folder / f"{place:02d}-{step.key}", tell)
    except ReductionError as error:
        record["failed"] = {"step": error.parameter, "sentence": str(error)}
    record["measured"], troubles = measuring.measure(recipe.measures, known)
    if recipe.detections and record["failed"] is None:
        try:
            record["detections"] = matching.match(recipe.detections, known, known["truth"]["observation"]["sources"])
        except ReductionError as error:
            troubles.append(f"detections: {error}")
    record["notes"] += [] if record["failed"] else troubles
    record["software"] = software(definitions)
    record["cpu_s"] = round(time.process_time() - began, 3)
    return record


def software(definitions: Mapping[str, scripts.Definition]) -> dict[str, str]:
    """Return the versions of what was run."""
    try:
        version = metadata.version("uws-server")
    except metadata.PackageNotFoundError:
        version = "not installed"
    steps = {name: str(each.document.get("version", "")) for name, each in definitions.items()}
    return {"uws-server": version, "numpy": np.__version__, **steps}


def _timed(record: dict[str, Any], name: str, tell: Tell, act: Callable[[], Any]) -> None:
    """Do something and keep its seconds. Raise its ReductionError with the name as its parameter."""
    tell(name)
    began = time.perf_counter()
    try:
        act()
    except ReductionError as error:
        words = str(error) if error.parameter is None else f"{error.parameter}: {error}"
        raise ReductionError(words, name) from error
    finally:
        record["seconds"][name] = round(time.perf_counter() - began, 4)


def _step(
    record: dict[str, Any], known: dict[str, Any], step: Step, definition: scripts.Definition, folder: Path, tell: Tell
) -> None:
    """Run a step and add its results to what is known. Raise ReductionError if it fails and may not."""

    def act() -> None:
        given = {name: references.resolve(value, known) for name, value in step.parameters.items()}
        name, _, camera = step.key.partition(".")
        made = scripts.run(definition, given, folder)
        if camera:
            known.setdefault(name, {})[camera] = made
        else:
            known[name] = made

    try:
        _timed(record, step.key, tell, act)
    except ReductionError as error:
        if not step.may_fail:
            raise
        record["notes"].append(f"{step.key} failed: {error}")


def _simulated(recipe: Recipe, seed: int, folder: Path) -> dict[str, Any]:
    """Simulate and return what references can name: event lists, responses that were asked for, the truth."""
    observation = recipe.plan.of_seed(seed)
    paths = simulate(observation, folder, cameras=recipe.cameras)
    truth = json.loads(truth_path(folder, observation).read_text(encoding="utf-8"))
    sources = {}
    for number, source in enumerate(truth["observation"]["sources"]):
        seen = {key: camera["sources"][number] for key, camera in truth["cameras"].items()}
        sources[source["name"]] = {**source, "cameras": seen}
    known: dict[str, Any] = {"eventlist": dict(zip(recipe.cameras, paths, strict=True)), "source": sources,
                             "truth": truth}  # fmt: skip
    if _asks_for_responses(recipe):
        known |= _responses(recipe, observation, folder)
    return known


def _asks_for_responses(recipe: Recipe) -> bool:
    values = (value for step in recipe.steps for value in step.parameters.values())
    return any(name.partition(".")[0] in ("rmf", "arf") for value in values for name in references.named(value))


def _responses(recipe: Recipe, observation: Observation, folder: Path) -> dict[str, Any]:
    """Write the responses that photons were drawn through: an RMF a camera, an ARF for each source."""
    known: dict[str, Any] = {"rmf": {}, "arf": {}}
    for key in recipe.cameras:
        matrix, *areas = write_responses(observation, folder, observation.camera(key))
        known["rmf"][key] = matrix
        known["arf"][key] = dict(zip((source.name for source in observation.sources), areas, strict=True))
    return known

"""Combined spectra: sums those of each camera that the parts of the job made, and those of both MOS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reduction import parameters, responses, task
from reduction.errors import ReductionError
from reduction.events.fitswrite import Card
from reduction.events.selection import parse_energy
from reduction.spectra import combination
from reduction.spectra.combination import Combined, Key, Pair
from reduction.spectra.groupings import ChannelGrouping
from reduction.spectra.ogip import Files, write_combined
from reduction.spectra.subtraction import BACKGROUND, SOURCE

SPECTRUM = "source_spectrum.fits"


def main(job: task.Task) -> None:
    """Make a combined spectrum for each camera of which there are several, and one for the two MOS."""
    job.stage("Reading the spectra")
    found = pairs_of(job)
    cameras = combination.by_camera(found)
    groups = {**cameras, **combination.of_twins(found)}
    names = names_of(groups)

    job.stage("Combining")
    for key, pairs in groups.items():
        if len(pairs) == 1:
            job.log(f"Note: {names[key]}: one spectrum, nothing to combine")
            continue
        combined = combination.combine(pairs)
        for note in combined.notes:
            job.log(f"Note: {names[key]}: {note}")
        write(job, names[key], combined)
    if len({pair.together for pair in found}) > 1:
        job.log("Note: spectra of different cameras (but the two MOS), or with different channels, are not summed: fit "
                "them together")  # fmt: skip
    job.stage("Writing the provenance")


def pairs_of(job: task.Task) -> list[Pair]:
    """Return the spectra that the parts made, with their backgrounds; one without exposure is left out, and told."""
    made = job.paths("parts")
    found = []
    for path in made:
        if path.name != SPECTRUM:
            continue
        try:
            source = combination.read(path)
            behind = path.with_name(source.background or "none")
            found.append(Pair(source, combination.read(behind) if behind in made else None))
        except ReductionError as error:
            job.log(f"Note: part {int(path.parts[-3])} is left out: {error}")
    return found


def names_of(groups: Iterable[Key]) -> dict[Key, str]:
    """Return what each group is called: by its camera, and by its channels where one camera has several."""
    keys = list(groups)
    cameras = [key[:2] for key in keys]
    return {key: key[1].lower() + (f"_{key[3]}" if cameras.count(key[:2]) > 1 else "") for key in keys}


def write(job: task.Task, name: str, combined: Combined) -> None:
    """Write a combined spectrum, its background and its responses."""
    energies = parse_energy(job.value("energy", "0.2 12.0"))
    given, grouping = parameters.given_regions(job), ChannelGrouping.asked(job.value)
    headers = [pair.source.header for pair in combined.pairs]
    first = headers[0]
    if len({pair.key for pair in combined.pairs}) > 1:
        headers = [{**header, "INSTRUME": combined.pairs[0].together[1]} for header in headers]
    background = combined.background
    behind = f"combined_{name}_background.fits" if background else "NONE"
    files = Files(behind, *response(job, name, combined))
    count: Sequence[Card] = [("NUMSPEC", len(headers), "Number of spectra that were summed")]
    for role, spectrum, what in ((SOURCE, combined.source, "TOTAL"), (BACKGROUND, background, "BKG")):
        if spectrum is None:
            continue
        file = behind if what == "BKG" else f"combined_{name}_spectrum.fits"
        path = job.output(file, f"sum of {len(headers)} spectra of {spectrum.mission.name}",
                          **parameters.columns_of(given.get(role), first, energies),
                          dataproduct_type="spectrum", t_exptime=spectrum.exposure_s)  # fmt: skip
        grouped = grouping.of(spectrum, energies, background if what == "TOTAL" else None)
        write_combined(path, grouped, headers, what, files if what == "TOTAL" else Files(), count)
        job.log(f"{file}: {spectrum.total} counts of {len(headers)} spectra, exposure {spectrum.exposure_s:.1f} s, "
                f"BACKSCAL {spectrum.backscal:.0f}")  # fmt: skip


def response(job: task.Task, name: str, combined: Combined) -> tuple[str, str]:
    """Write the combined response if each spectrum names its files and they are beside it; return their names."""
    spectra = [pair.source for pair in combined.pairs]
    named = [(each, each.path.with_name(each.response), each.path.with_name(each.area))
             for each in spectra if each.response and each.area]  # fmt: skip
    found = [(each, rmf, arf) for each, rmf, arf in named if rmf.is_file() and arf.is_file()]
    if len(found) < len(spectra):
        if named:
            job.log(f"Note: {name}: {len(found)} of {len(spectra)} spectra have a response beside them: there is no "
                    "combined one")  # fmt: skip
        return "NONE", "NONE"
    exposed = [responses.Exposed.of_files(rmf, arf, each.exposure_s, "parts") for each, rmf, arf in found]
    try:
        matrix, area = responses.combine(exposed)
    except ReductionError as error:
        job.log(f"Note: {name}: no response is combined: {error}")
        return "NONE", "NONE"
    rmf, arf = (job.output(f"combined_{name}.{kind}", f"combined response of {name}") for kind in ("rmf", "arf"))
    responses.write_redistribution(rmf, matrix)
    responses.write_effective_area(arf, area)
    return rmf.name, arf.name


if __name__ == "__main__":
    task.run(main, stages=3)

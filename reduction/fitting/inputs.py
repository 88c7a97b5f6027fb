"""The files of a fit: which background, response and area belongs to which spectrum, by the names in the headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from provenance.fits import FitsError, gzipped
from provenance.fits.headers import Cards
from provenance.fits.pha import FileReference, is_spectrum
from reduction.errors import ReductionError
from reduction.events.fitsfile import inflate, is_gzip, scan
from reduction.fitting.data import NO_FILE, read_spectrum
from reduction.fitting.many import SpectrumFiles
from reduction.fitting.spectrum import SpectralData

SPECTRUM: Final = "spectrum"
COMPANIONS: Final[Mapping[str, str]] = {"background": "BACKFILE", "response": "RESPFILE", "area": "ANCRFILE"}
"""The parameters of the files that go with a spectrum, and the keywords of the header that name them."""


@dataclass(frozen=True)
class GivenFile:
    """A file that somebody gave: its name, and where it lies. It may be gzipped.

    `folder` is where the files that its header names may lie; None for nowhere. Links there are followed below `root`
    alone, which is the folder of an archive; None for that folder itself.
    """

    name: str
    path: Path
    folder: Path | None = None
    root: Path | None = None


Plain = Callable[[Path], Path]
"""Returns a plain file of one that may be gzipped."""


class Inflated:
    """Plain files of gzipped ones, in a folder; each is inflated once, to at most so many bytes if that is said."""

    def __init__(self, folder: Path, most: int | None = None) -> None:
        self._folder, self._most = folder, most
        self._found: dict[Path, Path] = {}

    def __call__(self, path: Path) -> Path:
        """Return a plain file of one that may be gzipped. Raises ReductionError for one that cannot be inflated."""
        if not path.is_file() or not is_gzip(path):
            return path
        if path not in self._found:
            target = self._folder / f"{len(self._found)}-{re.sub(r'(?i)[.](gz|ftz)$', '', path.name)}"
            if self._most is None:
                inflate(path, target, SPECTRUM)
            else:
                _inflate_up_to(self._most, path, target)
            self._found[path] = target
        return self._found[path]


def _inflate_up_to(most: int, path: Path, target: Path) -> None:
    """Inflate a file. Raises ReductionError if it is broken, or longer than so many bytes."""
    try:
        with path.open("rb") as stream, gzipped.inflated(stream, path) as content:
            data = content.read(most + 1)
    except FitsError as error:
        raise ReductionError(str(error).replace(str(path), path.name), SPECTRUM) from error
    if len(data) > most:
        raise ReductionError(f"{path.name} has more than {most / 1e6:,.0f} MB when it is inflated", SPECTRUM)
    target.write_bytes(data)


NO_BACKGROUND: Final = GivenFile("none", NO_FILE)
"""What is given for the background of spectra that are fitted without one, whatever their headers name."""


def read_spectra(given: Mapping[str, Sequence[GivenFile]], plain: Plain = Path) -> tuple[SpectralData, ...]:
    """Read spectra with the files that belong to them.

    A file is taken for the spectrum whose header names it, those of equal names in their order; else one is for all,
    and as many as there are spectra are in their order. What is not given is looked for beside the spectrum, under the
    name in its header.

    Parameters
    ----------
    given
        The files by parameter: spectrum, and those of `COMPANIONS`. NO_BACKGROUND among the backgrounds is none for
        all spectra.
    plain
        Makes plain files of gzipped ones: `Inflated`. Without it none may be gzipped.

    Returns
    -------
    tuple of SpectralData
        The spectra, in the order in which they were given.

    Raises
    ------
    ReductionError
        No spectrum is given, a file is missing, none of its kind or of no spectrum, or files do not belong together.
    """
    matched = match(given, plain)
    everything = [file for name in (SPECTRUM, *COMPANIONS) for file in given.get(name, ())]
    names = {plain(file.path).name: file.name for file in everything}
    return tuple(_read(name, files, names) for name, files in matched)


def labels(spectra: Sequence[SpectralData]) -> list[str]:
    """Return what spectra are called in products: by camera and observation, where the headers say them, else by file.

    A file that was renamed gives the same product. Of several of one camera and observation each has its number.
    """
    words = [" ".join(Cards(each.header).text(key) for key in ("INSTRUME", "OBS_ID")).strip() for each in spectra]
    found = [word or each.name for word, each in zip(words, spectra, strict=True)]
    return [f"{name} ({found[: i + 1].count(name)})" if found.count(name) > 1 else name for i, name in enumerate(found)]


def match(given: Mapping[str, Sequence[GivenFile]], plain: Plain = Path) -> tuple[tuple[str, SpectrumFiles], ...]:
    """Return the files of each spectrum.

    Parameters
    ----------
    given
        The files by parameter, as for `read_spectra`.
    plain
        Makes plain files of gzipped ones.

    Returns
    -------
    tuple
        Of each spectrum the name that was given, and its files.

    Raises
    ------
    ReductionError
        No spectrum is given, one cannot be read, or a file is of none of them.
    """
    spectra = given.get(SPECTRUM, ())
    if not spectra:
        raise ReductionError("no spectrum is given", SPECTRUM)
    opened = [replace(file, path=_plain(file, plain)) for file in spectra]
    headers = [_header(file) for file in opened]
    found = {name: _matched(name, given.get(name, ()), opened, headers) for name in COMPANIONS}
    paths = {name: [path if path is None else plain(path) for path in of_one] for name, of_one in found.items()}
    return tuple(
        (file.name, SpectrumFiles(file.path, *(paths[name][number] for name in COMPANIONS)))
        for number, file in enumerate(opened)
    )


def _read(name: str, files: SpectrumFiles, names: Mapping[str, str]) -> SpectralData:
    """Read one spectrum; what goes wrong is told with the names that were given, which `names` has by those on disk."""

    def named(text: str) -> str:
        for on_disk, better in names.items():
            text = text.replace(on_disk, better)
        return text

    try:
        data = read_spectrum(files.spectrum, background=files.background, response=files.response, area=files.area)
    except ReductionError as error:
        raise ReductionError(named(str(error)), error.parameter) from error
    behind = None if data.background is None else replace(data.background, name=named(data.background.name))
    messages = tuple(named(text) for text in data.messages)
    return replace(data, name=name, background=behind, messages=messages)


def _matched(
    parameter: str, files: Sequence[GivenFile], spectra: Sequence[GivenFile], headers: Sequence[Cards]
) -> list[Path | None]:
    """Return the file of a parameter for each spectrum; None for one that neither came nor lies beside it."""
    names = [FileReference.of(cards.text(COMPANIONS[parameter])).name for cards in headers]
    found = _by_names(parameter, files, names)
    rest = [file for file in files if file.path not in found]
    missing = [number for number, path in enumerate(found) if path is None]
    if not rest:
        return [_beside(file, name) if path is None else path
                for file, name, path in zip(spectra, names, found, strict=True)]  # fmt: skip
    if not missing:
        raise ReductionError(f"{rest[0].name} belongs to none of the spectra: they name {', '.join(names)}",
                             parameter)  # fmt: skip
    if len(rest) not in (1, len(missing)):
        of = ", ".join(spectra[number].name for number in missing)
        raise ReductionError(f"{len(rest)} files came for {len(missing)} spectra ({of}) whose headers name others; "
                             "give one for all, or one for each in their order", parameter)  # fmt: skip
    for place, number in enumerate(missing):
        found[number] = rest[min(place, len(rest) - 1)].path
    return found


def _by_names(parameter: str, files: Sequence[GivenFile], names: Sequence[str]) -> list[Path | None]:
    """Return the file of each name; None for a name that no file has. Files of equal names are taken in their order."""
    found: list[Path | None] = [None] * len(names)
    for name in {name.lower() for name in names if name}:
        places = [number for number, each in enumerate(names) if each.lower() == name]
        called = [file for file in files if file.name.lower() == name]
        if len(called) > 1 and len(called) != len(places):
            raise ReductionError(f"{len(called)} files are called {called[0].name}, which {len(places)} of the spectra "
                                 "name; give one for all of these, or one for each in their order", parameter
                                 )  # fmt: skip
        for place, number in enumerate(places if called else ()):
            found[number] = called[min(place, len(called) - 1)].path
    return found


def _beside(file: GivenFile, name: str) -> Path | None:
    """Return the file of a name where those lie that a spectrum names, also a gzipped one; None if there is none.

    Raises ReductionError if it is a link that leads out of where they may lie.
    """
    if file.folder is None or not name:
        return None
    bare = re.sub(r"(?i)[.](gz|ftz)$", "", name)
    places = (file.folder / each for each in (name, f"{name}.gz", bare, f"{bare}.gz", f"{bare}.FTZ"))
    found = next((path for path in places if path.is_file()), None)
    if found is not None and not found.resolve().is_relative_to((file.root or file.folder).resolve()):
        raise ReductionError(
            f"{file.name} names {name}, which is a link that leads out of the archive; give that file itself", SPECTRUM
        )
    return found


def _plain(file: GivenFile, plain: Plain) -> Path:
    """Return a plain file of one that was given. Raise ReductionError with its name for one that cannot be inflated."""
    try:
        return plain(file.path)
    except ReductionError as error:
        raise ReductionError(str(error).replace(file.path.name, file.name), error.parameter) from error


def _header(file: GivenFile) -> Cards:
    """Return the header of a spectrum. Raises ReductionError if the file holds none."""
    try:
        hdus = scan(file.path, SPECTRUM).hdus
    except ReductionError as error:
        raise ReductionError(str(error).replace(file.path.name, file.name), error.parameter) from error
    except (FitsError, OSError) as error:
        raise ReductionError(f"{file.name} cannot be read: {error}", SPECTRUM) from error
    hdu = next((hdu for hdu in hdus if is_spectrum(hdu)), None)
    if hdu is None:
        held = ", ".join(hdu.name for hdu in hdus if hdu.name) or "no table"
        raise ReductionError(f"{file.name} holds no spectrum (table SPECTRUM); it has {held}", SPECTRUM)
    return Cards(hdu.cards)

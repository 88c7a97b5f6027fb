"""Writes the names of responses into a spectrum, so that a program which fits it finds them."""

from __future__ import annotations

from pathlib import Path

from astropy.io import fits

from reduction.errors import ReductionError

_STALE = ("CHECKSUM", "DATASUM")


def name_responses(
    spectrum: Path, target: Path, matrix: str, area: str, channels: int, parameter: str = "spectrum"
) -> None:
    """Copy a spectrum with other names of its responses.

    Parameters
    ----------
    spectrum
        An OGIP PHA file.
    target
        The copy; an existing file is replaced. It may be the spectrum itself.
    matrix
        RESPFILE, the name of a file in the folder of the copy.
    area
        ANCRFILE, likewise.
    channels
        Number of channels of the responses.
    parameter
        Job parameter named in errors.

    Raises
    ------
    ReductionError
        The file is no spectrum, or one of another number of channels.
    """
    try:
        with fits.open(spectrum, memmap=False) as file:
            tables = [hdu for hdu in file if _is_spectrum(hdu.header)]
            if not tables:
                raise ReductionError(f"{spectrum.name} has no table SPECTRUM", parameter)
            for hdu in tables:
                hdu.header["RESPFILE"] = (matrix, "redistribution matrix")
                hdu.header["ANCRFILE"] = (area, "ancillary response")
                for keyword in _STALE:
                    hdu.header.remove(keyword, ignore_missing=True)
                own = int(hdu.header.get("DETCHANS") or channels)
                if own != channels:
                    raise ReductionError(f"the spectrum has {own} channels, the response {channels}; choose the other "
                                         "channel width", "channel_width")  # fmt: skip
            file.writeto(target, overwrite=True, output_verify="silentfix")
    except (OSError, ValueError, TypeError, fits.VerifyError) as error:
        if isinstance(error, ReductionError):
            raise
        raise ReductionError(f"{spectrum.name} cannot be read as a spectrum: {error}", parameter) from error


def _is_spectrum(header: fits.Header) -> bool:
    named = str(header.get("EXTNAME", "")).strip().upper() == "SPECTRUM"
    return named or str(header.get("HDUCLAS1", "")).strip().upper() == "SPECTRUM"

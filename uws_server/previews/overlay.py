"""Two spectra in one plot, to be compared. Imports the plots."""

from __future__ import annotations

from dataclasses import replace

from uws_server.previews.plot import Plot
from uws_server.previews.spectra import NoPreview


def overlay(first: Plot, second: Plot, labels: tuple[str, str]) -> Plot:
    """Return one plot of the sources of two, under labels of their own; their backgrounds are left out.

    Raises NoPreview where the axes have other units.
    """
    if (first.x_label, first.y_label) != (second.x_label, second.y_label):
        raise NoPreview("the two spectra have axes of other units")
    if first.empty or second.empty:
        raise NoPreview("one of the two spectra has no counts in channels of good quality")
    pairs = tuple(zip((first, second), labels, strict=True))
    notes = [f"{label}: {note}" for plot, label in pairs for note in plot.notes[:2]]
    return replace(
        first,
        series=tuple(replace(plot.series[0], label=label) for plot, label in pairs),
        facts=tuple(replace(plot.facts[0], label=label) for plot, label in pairs),
        notes=tuple(dict.fromkeys(notes)),
    )

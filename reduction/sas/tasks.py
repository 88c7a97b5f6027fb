"""The tasks of the SAS that jobs call: which of their parameters name files that they read or write.

Names are those of the tasks' own documentation (SAS 22, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from reduction.errors import ReductionError


@dataclass(frozen=True)
class SasTask:
    """A task: the parameters that name what it reads and what it writes, and the others that jobs give it.

    `changes` name files that it changes in place: they are read and written.
    """

    name: str
    reads: frozenset[str]
    writes: frozenset[str]
    others: frozenset[str]
    changes: frozenset[str] = frozenset()
    needs_odf: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """All parameters."""
        return self.reads | self.writes | self.changes | self.others

    def require(self, given: Mapping[str, str]) -> None:
        """Raise ReductionError if a parameter is given that the task does not have."""
        for name in given:
            if name not in self.parameters:
                close = difflib.get_close_matches(name, self.parameters, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ReductionError(f"{self.name} has no parameter {name}{hint}")


def _task(
    name: str, reads: str, writes: str, others: str = "", changes: str = "", needs_odf: bool = False
) -> SasTask:
    sets = (frozenset(words.split()) for words in (reads, writes, others, changes))
    read, written, other, changed = sets
    return SasTask(name, read, written, other, changed, needs_odf)


_BINNED = "energycolumn expression filtertype filterexposure updateexposure writedss keepfilteroutput destruct"
_IMAGE = "withimageset xcolumn ycolumn imagebinning ximagebinsize yimagebinsize withimagedatatype imagedatatype"
_SPECTRUM = "withspectrumset spectralbinsize withspecranges specchannelmin specchannelmax"
_RATE = (
    "withrateset timecolumn timebinsize timemin timemax withtimeranges maketimecolumn makeratecolumn withfilteredset"
)

TASKS = {
    task.name: task
    for task in (
        _task("evselect", "table", "spectrumset rateset imageset filteredset",
              f"{_BINNED} {_IMAGE} {_SPECTRUM} {_RATE}"),
        _task("backscale", "badpixlocation", "", "withbadpixcorr useodfatt", changes="spectrumset"),
        _task("rmfgen", "spectrumset", "rmfset",
              "extendedsource detmaptype withenergybins energymin energymax nenergybins"),
        _task("arfgen", "spectrumset rmfset badpixlocation", "arfset",
              "withrmfset detmaptype extendedsource withsourcepos sourcecoords sourcex sourcey setbackscale"),
        _task("specgroup", "spectrumset rmfset arfset backgndset", "groupedset", "mincounts minSN oversample units"),
        _task("epiclccorr", "srctslist eventset bkgtslist", "outset", "withbkgset applyabsolutecorrections"),
        _task("barycen", "", "", "timecolumn withsrccoordinates srcra srcdec processgtis ephemeris", changes="table",
              needs_odf=True),
        _task("cifbuild", "", "calindexset", "withccfpath analysisdate category fullpath"),
        _task("odfingest", "", "", "odfdir withodfdir outdir writepath oalcheck"),
        _task("atthkgen", "", "atthkset", "timestep", needs_odf=True),
        _task("edetect_chain", "imagesets eventsets attitudeset",
              "eboxl_list eboxm_list eml_list",
              "pimin pimax ecf likemin witheexpmap esp_nsplinenodes esp_excesssigma esen_mlmin"),
        _task("epproc", "", "", "withoutoftime burst", needs_odf=True),
        _task("emproc", "", "", "withmos selectmodes", needs_odf=True),
    )
}  # fmt: skip
"""The tasks by name."""


def task_named(name: str) -> SasTask:
    """Return the task of that name. Raise ReductionError if no job calls one."""
    try:
        return TASKS[name]
    except KeyError:
        known = ", ".join(TASKS)
        raise ReductionError(f"{name} is not among the tasks of the SAS that are known here: {known}") from None

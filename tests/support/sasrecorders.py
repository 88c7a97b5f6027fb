"""A folder that looks like an installation of the SAS, whose programs are recorders: they note calls and write files.

No SAS can be installed by the tests. What is shown with this is which command lines a job makes, and what it does with
what tasks print and leave; not that the tasks do what they are asked for.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
from astropy.io import fits

from reduction.sas.tasks import TASKS

RELEASE = "xmmsas_20230412_1735-21.0.0"
_RECORDER = """\
#!/bin/bash
# A recorder: no task of the SAS.
printf '%s\\n' "$(basename "$0")" "$@" | python3 -c '
import json, sys
print(json.dumps(sys.stdin.read().splitlines()))' >> "$SAS_DIR/calls"
echo "$(basename "$0"):- Executing (routine): $(basename "$0") $*"
[ "${SAS_PREPARED:-}" = yes ] || exit 99
if [ -e "$SAS_DIR/fails.$(basename "$0")" ]; then cat "$SAS_DIR/fails.$(basename "$0")"; exit 1; fi
made() { for name in "$@"; do cp "$SAS_DIR/blank.fits" "$name"; done; }
case $(basename "$0") in  # files under names of their own
    epproc) made 0123_0123456789_EPN_S003_{Imaging,Timing}Evts.ds 0123_0123456789_EPN_S003_01_Badpixels.ds ;;
    emproc) made 0123_0123456789_EMOS{1_S001,2_S002}_ImagingEvts.ds ;;
    odfingest) made 0123_0123456789_SCX00000SUM.SAS ;;
esac
for argument in "$@"; do
    case $argument in WRITES) cp "$SAS_DIR/blank.fits" "${argument#*=}" ;; esac
done
"""


class Recorders:
    """The folder, and what its programs were asked for."""

    def __init__(self, root: Path) -> None:
        self.folder = root / RELEASE
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "setsas.sh").write_text("export SAS_PREPARED=yes\necho prepared\n", encoding="utf-8")
        (self.folder / "ccf").mkdir()
        for name in ("ccf.cif", "odf.SAS"):
            (self.folder / name).write_text("not really one", encoding="utf-8")
        table = fits.BinTableHDU.from_columns([fits.Column("CHANNEL", "J", array=np.arange(3))], name="SPECTRUM")
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.folder / "blank.fits")
        for task in TASKS.values():
            patterns = "|".join(f"{name}=*" for name in sorted(task.writes)) or "'no file'"
            program = self.folder / "bin" / task.name
            program.write_text(_RECORDER.replace("WRITES", patterns), encoding="utf-8")
            program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point at it."""
        return {
            "SAS_DIR": str(self.folder),
            "SAS_CCFPATH": str(self.folder / "ccf"),
            "SAS_CCF": str(self.folder / "ccf.cif"),
            "SAS_ODF": str(self.folder / "odf.SAS"),
        }

    def fail(self, task: str, printed: str) -> None:
        """Have a task print something and end with status 1."""
        (self.folder / f"fails.{task}").write_text(printed, encoding="utf-8")

    def calls(self) -> list[tuple[str, dict[str, str]]]:
        """The tasks that were called, with their parameters."""
        lines = (self.folder / "calls").read_text(encoding="utf-8").splitlines()
        return [(name, dict(word.split("=", 1) for word in words)) for name, *words in map(json.loads, lines)]

    def text(self) -> str:
        """The calls as a person would type them."""
        return "\n".join(shlex.join([name, *map("=".join, values.items())]) for name, values in self.calls())

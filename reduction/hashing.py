"""The hashes of the files that a job opens: what the server knows of them, else computed beside the script's work."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from provenance.fits.digests import Digests, KnownDigests, digests, digests_of_gzipped
from reduction.arguments import Argument


class Hashing:
    """The hashes of files, each asked for once and computed in a thread; they are named by their paths in the job."""

    def __init__(self) -> None:
        self._found: dict[str, Digests | Future[Digests]] = {}
        self._worker = ThreadPoolExecutor(max_workers=1)

    def begin(self, argument: Argument, path: Path, plain: Path) -> None:
        """Begin to hash a file of the job, unless the server told its hashes and it is as it was when they were taken.

        Parameters
        ----------
        argument
            The parameter, of one file.
        path
            Where the file is.
        plain
            Its inflated copy; the path itself for one that is not gzipped.
        """
        key = str(argument.value)
        if key in self._found:
            return
        known = KnownDigests.read(argument.hashes)
        if known is not None and (found := known.of(path)) is not None:
            self._found[key] = found
        elif plain == path:
            self._found[key] = self._worker.submit(digests, path)
        else:
            self._found[key] = self._worker.submit(digests_of_gzipped, path, plain)

    def of(self, argument: Argument) -> Digests | None:
        """Return the hashes of a file, once they are there; None for one that was not begun. Raise OSError."""
        found = self._found.get(str(argument.value))
        return found.result() if isinstance(found, Future) else found

    def stop(self) -> None:
        """Drop what was not begun and wait for the rest."""
        self._worker.shutdown(cancel_futures=True)

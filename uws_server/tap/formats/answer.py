"""What a query answers, as the formats write it: the columns, then batches of rows. Imports the columns of tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from uws_server.errors import ServerError
from uws_server.tap.tables import ColumnDescription

LOG = logging.getLogger(__name__)
Row = tuple[Any, ...]
Batch = Sequence[Row]
DID_UTYPE: Final = "obscore:Curation.publisherDID"
"""The utype of the column whose values DataLink takes."""


@dataclass
class Answer:
    """The rows that a query found, which can be gone through once.

    `source` gives them in batches, at least one more than `maxrec` where there are more: `overflowed` tells that, and
    `failed` what ended them early, once they were gone through. `datalink` is the address of the service that takes the
    identifiers of ObsCore, `release` gives back what the rows come from.
    """

    columns: Sequence[ColumnDescription]
    source: Iterable[Batch]
    maxrec: int
    query: str = ""
    datalink: str = ""
    overflowed: bool = False
    failed: str = ""
    release: Callable[[], None] = field(default=lambda: None)
    _is_closed: bool = False

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, at most `maxrec`. A failure is not raised, but told by `failed`."""
        left = self.maxrec
        try:
            for batch in self.source:
                if len(batch) > left:
                    self.overflowed = True
                    if left:
                        yield batch[:left]
                    return
                left -= len(batch)
                if batch:
                    yield batch
        except ServerError as error:
            self.failed = str(error)
        except Exception:  # the document must end whatever it is
            LOG.exception("the rows of a query could not be read to their end")
            self.failed = "the server failed while it read the rows; its log tells more"
        finally:
            self.close()

    def close(self) -> None:
        """Release what the rows come from, whether they were gone through or not."""
        if not self._is_closed:
            self._is_closed = True
            self.release()

    @property
    def links(self) -> bool:
        """Whether there is a column whose values DataLink takes."""
        return bool(self.datalink) and any(column.utype == DID_UTYPE for column in self.columns)

"""lxml.etree, loaded when something of it is first used: a server at rest need not hold its 5 MB. Imports it.

What a server loads at its start has `etree` from here; the names are those that we use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import Element as Element
    from lxml.etree import QName as QName
    from lxml.etree import SubElement as SubElement
    from lxml.etree import XMLParser as XMLParser
    from lxml.etree import XMLSyntaxError as XMLSyntaxError
    from lxml.etree import _Element as _Element
    from lxml.etree import fromstring as fromstring
    from lxml.etree import tostring as tostring
else:

    def __getattr__(name: str) -> object:
        """Return something of lxml.etree, which is an attribute of this module from then on."""
        from lxml import etree

        found = globals()[name] = getattr(etree, name)
        return found

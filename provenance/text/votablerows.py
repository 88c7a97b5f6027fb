"""Whether a VOTable from outside may be read by astropy. Imports nothing of ours.

astropy opens whatever address the `href` of a STREAM names, a file of this machine as well as a URL.
"""

from __future__ import annotations

from pathlib import Path

from lxml import etree


def elsewhere(path: Path) -> str:
    """Return why a VOTable may not be read: rows that lie elsewhere, or entities; '' if it may, or is no XML."""
    with path.open("rb") as stream:
        every = etree.iterparse(
            stream, ("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
        )
        try:
            for event, element in every:
                word = str(element.tag).rpartition("}")[2].rpartition(":")[2]
                if event == "end":
                    element.clear()
                elif word == "STREAM" and any(str(key).lower().endswith("href") for key in element.attrib):
                    return "the rows of this VOTable lie elsewhere (href of its STREAM); send one that holds its rows"
                elif element.getparent() is None and element.getroottree().docinfo.internalDTD is not None:
                    return "this VOTable has a DOCTYPE; send one without"
        except etree.XMLSyntaxError:
            return ""
    return ""

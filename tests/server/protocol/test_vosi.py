"""VOSI against its schemas, with a downtime announced while the server runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from lxml import etree

from checkout import ROOT
from serving import running_server
from uws_server.protocol.vosi import Downtime, read_downtime

SCHEMAS = {
    "http://www.ivoa.net/xml/VOResource/v1.0": "VOResource-v1.1.xsd",
    "http://www.ivoa.net/xml/VODataService/v1.1": "VODataService-v1.2.xsd",
    "http://www.ivoa.net/xml/STC/stc-v1.30.xsd": "stc-v1.30.xsd",
    "http://www.w3.org/1999/xlink": "xlink.xsd",
    "http://www.w3.org/2001/xml.xsd": "xmlnamespace.xsd",
}


@pytest.fixture(scope="module")
def downtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downtime") / "downtime.toml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, downtime: Path) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("vosi"), downtime=downtime) as served:
        yield served.url


def schema(folder: Path, name: str, *also: str) -> etree.XMLSchema:
    """A schema of the folder, with others imported beside it; nothing is fetched."""

    class Offline(etree.Resolver):
        def resolve(self, url: str, _public: str, context: object) -> object:
            local = SCHEMAS.get(url) or SCHEMAS.get(url.rpartition("/")[2]) or url.rpartition("/")[2]
            found = folder / local
            if not found.is_file():
                found = next(path for path in folder.iterdir() if path.name.startswith(local.partition("-")[0]))
            return self.resolve_filename(str(found), context)

    parser = etree.XMLParser()
    parser.resolvers.add(Offline())
    namespaces = {file: etree.parse(str(folder / file)).getroot().get("targetNamespace") for file in (name, *also)}
    imports = "".join(
        f'<xs:import namespace="{space}" schemaLocation="{folder / file}"/>' for file, space in namespaces.items()
    )
    wrapper = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(wrapper, parser))


def availability(server: str, shared: Path) -> etree._Element:
    document = etree.fromstring(requests.get(f"{server}/availability", timeout=300).content)
    schema(shared / "schemas", "VOSIAvailability-v1.0.xsd").assertValid(document)
    return document


def said(document: etree._Element, name: str) -> str | None:
    return document.findtext(f"{{*}}{name}")


def test_availability_tells_a_downtime_as_soon_as_it_is_announced(server: str, shared: Path, downtime: Path) -> None:
    document = availability(server, shared)
    assert said(document, "available") == "true"
    assert said(document, "downAt") is None
    now = datetime.now(UTC).replace(microsecond=0)
    down, back = now + timedelta(hours=1), now + timedelta(hours=2)
    downtime.write_text(f'down_at = {down.isoformat()}\nback_at = {back.isoformat()}\nnote = "new <disks>"\n')
    document = availability(server, shared)
    assert said(document, "available") == "true"
    assert datetime.fromisoformat(str(said(document, "downAt"))) == down
    assert datetime.fromisoformat(str(said(document, "backAt"))) == back
    assert said(document, "note") == "new <disks>"
    downtime.write_text(f"down_at = {(now - timedelta(hours=1)).isoformat()}\n")
    assert said(availability(server, shared), "available") == "false"
    downtime.write_text("down_at = soon\n")
    assert said(availability(server, shared), "available") == "true"
    downtime.unlink()


def test_capabilities_are_valid_and_name_every_job_list(server: str, shared: Path) -> None:
    document = etree.fromstring(requests.get(f"{server}/capabilities", timeout=300).content)
    schema(shared / "schemas", "VOSICapabilities-v1.0.xsd", "VODataService-v1.2.xsd").assertValid(document)
    found = {
        (capability.get("standardID"), capability.findtext("interface/accessURL"))
        for capability in document.iterfind("capability")
    }
    names = sorted(path.parent.name for path in (ROOT / "job_definitions").glob("*/job.json"))
    assert found == {
        ("ivo://ivoa.net/std/VOSI#capabilities", f"{server}/capabilities"),
        ("ivo://ivoa.net/std/VOSI#availability", f"{server}/availability"),
        ("ivo://ivoa.net/std/DataLink#links-1.1", f"{server}/datalink"),
        ("ivo://ivoa.net/std/SIA#query-2.0", f"{server}/sia2"),
        ("ivo://ivoa.net/std/TAP", f"{server}/tap"),
        ("ivo://ivoa.net/std/ConeSearch", f"{server}/scs?"),
        ("ivo://ivoa.net/std/SSA", f"{server}/ssap?"),
        ("ivo://ivoa.net/std/SODA#sync-1.0", f"{server}/soda/sync"),
        ("ivo://ivoa.net/std/SODA#async-1.0", f"{server}/soda/async"),
        *(("ivo://ivoa.net/std/UWS#rest-1.1", f"{server}/rest/{name}") for name in names),
    }
    for interface in document.iterfind("capability/interface"):  # on a loopback address nobody needs an account
        methods = [method.get("standardID") for method in interface.iterfind("securityMethod")]
        assert methods in ([], [None, "ivo://ivoa.net/sso#BasicAA"])
    links = requests.get(f"{server}/datalink", timeout=300)
    assert links.headers["Content-Type"] == "application/x-votable+xml;content=datalink"


def test_capabilities_of_a_server_for_accounts_say_so(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="refused") as served:
        document = etree.fromstring(requests.get(f"{served.url}/capabilities", timeout=300).content)
    methods = {method.get("standardID") for method in document.iterfind("capability/interface/securityMethod")}
    assert methods == {"ivo://ivoa.net/sso#BasicAA"}


def test_a_downtime_without_offset_is_utc(tmp_path: Path) -> None:
    path = tmp_path / "downtime.toml"
    path.write_text("down_at = 2026-11-20T12:00:00\n")
    assert read_downtime(path) == Downtime(datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert read_downtime(tmp_path / "none.toml") == Downtime()

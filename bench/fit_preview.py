"""The folded curve of the form of a fit: from a changed number to the answer with its picture, over HTTP, warm.

    python bench/fit_preview.py SPECTRUM [BACKGROUND RESPONSE AREA] [--rounds 100] [--model powerlaw] [--grouping file]

Without files a small spectrum of ours (120 channels) is taken; give those of a real pn spectrum for its 4096 channels.
The first request sends the files; each further one changes a parameter, and takes the key of the spectra. Printed are
the first answer, and of the further ones the median, the 95th percentile and the longest, in ms, with what the server's
process spent of it (CPU, median of all), and the length of an answer.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

import requests
from _serving import own_server

NAMES = ("spectrum", "background", "response", "area")
OURS = Path(__file__).resolve().parents[1] / "job_definitions" / "fit"
JSON = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="spectrum, background, response, area")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--model", default="powerlaw")
    parser.add_argument("--grouping", default="file")
    parser.add_argument("--parameter", default="powerlaw.PhoIndex", help="the one that is changed")
    options = parser.parse_args()
    files = options.files or [
        OURS / name for name in ("test_spectrum.fits", "test_background.fits", "test_response.fits", "test_area.fits")
    ]
    with tempfile.TemporaryDirectory() as name, own_server(Path(name)) as served:
        session = requests.Session()
        page = session.get(f"{served.url}/new/fit", timeout=60).text
        token = re.search(r'name="_token" value="([^"]+)"', page)
        assert token is not None, "the form has no token"
        asked = {"_token": token[1], "model": options.model, "grouping": options.grouping}

        def ask(**more: object) -> tuple[float, requests.Response]:
            begun = time.perf_counter()
            answer = session.post(f"{served.url}/new/fit/preview", headers=JSON, timeout=60, **more)  # type: ignore[arg-type]
            assert answer.status_code == 200, answer.text
            return 1000 * (time.perf_counter() - begun), answer

        sent = {key: (path.name, path.read_bytes()) for key, path in zip(NAMES, files, strict=False)}
        first, answer = ask(data=asked, files=sent)
        asked["_data"] = answer.json()["data"]
        times, spent = [], served.cpu_s()
        for number in range(options.rounds):
            changed = {**asked, "parameters": f"{options.parameter} = {1.5 + 0.003 * number:.4f}"}
            times.append(ask(data=changed)[0])
        cpu = 1000 * (served.cpu_s() - spent) / options.rounds
        times.sort()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {answer.json()['statistic']}")
        print(f"first, with the files: {first:.0f} ms; answer of {len(answer.content) / 1000:.0f} kB")
        print(f"then: median {statistics.median(times):.1f} ms, 95 % {times[int(0.95 * len(times))]:.1f} ms, longest "
              f"{times[-1]:.1f} ms; CPU {cpu:.1f} ms each")  # fmt: skip


if __name__ == "__main__":
    main()

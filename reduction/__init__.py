"""Reduction of X-ray photon lists: event list in, OGIP products out. Knows nothing of the server.

``regions.parse(text)``                             regions from DS9 text, STC-S or JSON; ``.on(wcs)`` places them
``events.eventlist.open_eventlist(path)``           an event list of any known mission; its rows come in chunks
``events.gti.read_file(path, clock)``               good time intervals, on the clock of an event list
``events.selection.choose(events, energy, ...)``    which events are wanted: energies (keV), patterns, flags, good times
``spectra.spectrum.extract(events, ...)``           counts, exposure and BACKSCAL of each region, in one pass
``spectra.ogip.write_spectrum(path, ...)``          a spectrum as an OGIP PHA file
``task.Task``                                       what the script of a job gets: parameters, stages, products
``simulate.simulate(observation, folder)``          event lists like those of EPIC, and the truth beside them

What is wrong with an input is a `ReductionError`, whose sentence names the parameter.

>>> import tempfile
>>> from pathlib import Path
>>> from reduction import regions
>>> from reduction.events.eventlist import open_eventlist
>>> from reduction.events.selection import choose
>>> from reduction.simulate import simulate, small
>>> from reduction.spectra.spectrum import extract
>>> pn = simulate(small(), Path(tempfile.mkdtemp()), cameras=("EPN",))[0]
>>> circle = regions.parse('icrs; circle(148.974, 69.6512, 40")')
>>> with open_eventlist(pn) as events:
...     spectra = extract(events, choose(events, "0.2 12.0"), {"source": circle.on(events.wcs)})
>>> int(spectra["source"].counts.sum()), round(spectra["source"].exposure_s)
(16391, 10997)
"""

from __future__ import annotations

from provenance.former_names import know_former_names

know_former_names()

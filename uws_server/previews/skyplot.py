"""Draws a picture of the sky as SVG: the sky in colour with its coordinates, regions, a scale and a colour bar."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from uws_server.previews import svg
from uws_server.previews.axes import Linear, round_step
from uws_server.previews.marks import Mark, Role
from uws_server.previews.raster import Floats, colour_bar
from uws_server.previews.sky import SkyView

SIDES = (440, 250)
"""The longer side of the picture in the frame, in units of the drawing: of the usual one and of the narrow one."""

_LEFTS, _TOP, _RIGHTS, _BOTTOM = (96, 78), 20, (110, 108), 78
_SAMPLES = 400
_STYLE = """
.m{fill:none;stroke-linejoin:round;vector-effect:non-scaling-stroke}
.case{stroke:#05070f;stroke-opacity:.75;stroke-width:4}
.source,.region{stroke:#7df3c1;stroke-width:2}.background{stroke:#fff;stroke-width:2;stroke-dasharray:7 4}
.cut{stroke-dasharray:2 3}
.scale{stroke:#fff;stroke-width:2.5;fill:none}.onsky{fill:#fff;paint-order:stroke;stroke:#05070f;stroke-width:3px}
.void{fill:#3a4150}.swatch{fill:#1c2340}
"""
_ON_PAPER = """
.case{stroke:#fff}.scale{stroke:#1c2340}.onsky{fill:#1c2340;stroke:#fff}.void{fill:#e3e7ea}.swatch{fill:#fff}
.source,.region{stroke:#00734f}.background{stroke:#7a3c00}
"""
"""What differs where the sky is white."""
_NAMES = {
    "RA": "Right ascension", "DEC": "Declination", "GLON": "Galactic longitude", "GLAT": "Galactic latitude",
    "ELON": "Ecliptic longitude", "ELAT": "Ecliptic latitude",
}  # fmt: skip
_ROLES: dict[Role, str] = {"source": "source region", "background": "background region", "region": "region"}


@dataclass(frozen=True)
class Frame:
    """Where the picture lies in the drawing, and how the pixels of its plane become units of it."""

    view: SkyView
    width: float
    height: float

    @classmethod
    def of(cls, view: SkyView) -> Frame:
        """Return the frame of a picture."""
        across, up = view.size
        side = SIDES[view.narrow]
        return cls(view, side * across / max(across, up), side * up / max(across, up))

    @property
    def left(self) -> float:
        """The left edge of the picture."""
        return _LEFTS[self.view.narrow]

    @property
    def top(self) -> float:
        """The upper edge of the picture."""
        return _TOP

    @property
    def right(self) -> float:
        """The right edge of the picture."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge of the picture."""
        return _TOP + self.height

    @property
    def drawing(self) -> tuple[int, int]:
        """Width and height of the whole drawing."""
        return round(self.right + _RIGHTS[self.view.narrow]), round(self.bottom + _BOTTOM)

    def place(self, x: Floats | float, y: Floats | float) -> tuple[Floats, Floats]:
        """Return the place of pixels of the plane."""
        across, up = self.view.size
        return (
            np.asarray(self.left + (np.asarray(x) - self.view.low[0]) / across * self.width),
            np.asarray(self.bottom - (np.asarray(y) - self.view.low[1]) / up * self.height),
        )


def draw(view: SkyView) -> str:
    """Draw a picture of the sky."""
    frame = Frame.of(view)
    width, height = frame.drawing
    style = _STYLE + (_ON_PAPER if view.raster.look.is_light else "")
    parts = [
        _box("void", frame.left, _TOP, frame.width, frame.height),
        _image(view.raster.png(), frame.left, _TOP, frame.width, frame.height),
        f'<clipPath id="sky">{_box("", frame.left, _TOP, frame.width, frame.height)}</clipPath>',
        f'<g clip-path="url(#sky)">{"".join(_mark(frame, mark) for mark in view.marks)}</g>',
        *_scale(frame),
        *_compass(frame),
        _box("frame", frame.left, _TOP, frame.width, frame.height),
        *_axis(frame, 0),
        *_axis(frame, 1),
        *_bar(frame),
        *_key(frame),
    ]
    return svg.document(width, height, f"Sky in {view.title}", describe(view), parts, style)


def describe(view: SkyView) -> str:
    """Return what the picture shows, in words."""
    values = view.raster.values
    where = f" from {view.words}"
    parts = [f"{view.measure}{where}, up to {_short(float(np.nanmax(np.nan_to_num(values))))}."]
    if view.wcs is not None:
        x, y = (low + size / 2 for low, size in zip(view.low, view.size, strict=True))
        lon, lat = (float(value) for value in view.wcs.wcs_pix2world([[x, y]], 0)[0])
        across, up = (size * 60 * scale for size, scale in zip(view.size, _degrees(view.wcs), strict=True))
        parts.append(f"Centre: {coordinate(view.wcs, 0)} {lon:.4f}, {coordinate(view.wcs, 1)} {lat:+.4f} deg"
                     f"{system(view.wcs)}; {across:.2g} by {up:.2g} arcmin.")  # fmt: skip
    roles = dict.fromkeys(_ROLES[mark.role] for mark in view.marks)
    if roles:
        parts.append(f"Drawn: {' and '.join(roles)}.")
    return " ".join(parts)


def _image(png: bytes, x: float, y: float, width: float, height: float) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _mark(frame: Frame, mark: Mark) -> str:
    x, y = frame.place(*mark.corners)
    line = "M" + "L".join(f"{at_x:.1f} {at_y:.1f}" for at_x, at_y in zip(x, y, strict=True)) + "z"
    kind = f"m {mark.role}{' cut' if mark.cuts_out else ''}"
    return f'<path class="m case" d="{line}"/><path class="{kind}" d="{line}"/>'


def _scale(frame: Frame) -> Iterator[str]:
    """Draw a line of a round length in arcmin or arcsec, about a quarter of the picture, or in pixels."""
    across = frame.view.size[0]
    if frame.view.wcs is None:
        length, text = round_step(across / 6), "pixels"
        text = f"{length:g} {text}"
    else:
        arcsec = across * _degrees(frame.view.wcs)[0] * 3600
        wanted = round_step(arcsec / 6 / (60 if arcsec / 6 > 45 else 1)) * (60 if arcsec / 6 > 45 else 1)
        length = across * wanted / arcsec
        text = f"{wanted / 60:g}′" if wanted >= 60 else f"{wanted:g}″"
    long, left, at = length / across * frame.width, frame.left + 14, frame.bottom - 14
    yield f'<path class="m case" d="M{left} {at:.1f}h{long:.1f}"/><path class="scale" d="M{left} {at:.1f}h{long:.1f}"/>'
    yield f'<text class="onsky" x="{left + long / 2:.1f}" y="{at - 7:.1f}" text-anchor="middle">{escape(text)}</text>'


def _compass(frame: Frame) -> Iterator[str]:
    """Draw where north and east are, in the upper left corner; nothing where the directions are not known."""
    wcs = frame.view.wcs
    if wcs is None or not str(wcs.wcs.ctype[0]).startswith("RA"):
        return
    middle = [low + size / 2 for low, size in zip(frame.view.low, frame.view.size, strict=True)]
    lon, lat = wcs.wcs_pix2world([middle], 0)[0]
    step = 1e-3 if abs(lat) < 89.9 else 0.0
    ahead = wcs.wcs_world2pix([[lon, lat + step], [lon + step / max(np.cos(np.radians(lat)), 1e-3), lat]], 0)
    at_x, at_y = frame.left + 46.0, _TOP + 50.0
    for (x, y), name in zip(ahead - middle, "NE", strict=True):
        length = float(np.hypot(x, y))
        if not (np.isfinite(length) and length > 0):
            return
        dx, dy = 24 * float(x) / length, -24 * float(y) / length
        line = f"M{at_x:.1f} {at_y:.1f}l{dx:.1f} {dy:.1f}"
        yield f'<path class="m case" d="{line}"/><path class="scale" d="{line}"/>'
        yield (f'<text class="onsky" x="{at_x + 1.5 * dx:.1f}" y="{at_y + 1.5 * dy + 4.5:.1f}" '
               f'text-anchor="middle">{name}</text>')  # fmt: skip


def _axis(frame: Frame, axis: int) -> Iterator[str]:
    """Draw ticks, numbers and the name of the lower (0) or the left (1) axis."""
    name, ticks = _ticks(frame, axis)
    for share, text in ticks:
        if axis == 0:
            at = frame.left + share * frame.width
            yield f'<path class="minor" d="M{at:.1f} {frame.bottom:.1f}v6"/>'
            yield f'<text x="{at:.1f}" y="{frame.bottom + 22:.1f}" text-anchor="middle">{text}</text>'
        else:
            at = frame.bottom - share * frame.height
            yield f'<path class="minor" d="M{frame.left} {at:.1f}h-6"/>'
            yield f'<text x="{frame.left - 11}" y="{at + 4.5:.1f}" text-anchor="end">{text}</text>'
    if axis == 0:
        yield (f'<text x="{frame.left + frame.width / 2:.1f}" y="{frame.bottom + 44:.1f}" text-anchor="middle">'
               f"{escape(name)}</text>")  # fmt: skip
    else:
        middle = _TOP + frame.height / 2
        yield f'<text transform="translate(20 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(name)}</text>'


def _ticks(frame: Frame, axis: int) -> tuple[str, list[tuple[float, str]]]:
    """Return the name of an axis and its ticks with their shares of the side: the sky's, else those of the pixels."""
    view = frame.view
    share = np.linspace(0, 1, _SAMPLES)
    x = view.low[0] + (share if axis == 0 else 0 * share) * view.size[0]
    y = view.low[1] + (share if axis == 1 else 0 * share) * view.size[1]
    about = max(2, round((frame.width if axis == 0 else frame.height) / 100))
    if view.wcs is not None:
        along = view.wcs.wcs_pix2world(np.stack((x, y), axis=1), 0)[:, axis]
        along = np.unwrap(along, period=360.0)
        rising = along if along[-1] > along[0] else along[::-1]
        if np.isfinite(along).all() and np.all(np.diff(rising) > 0):
            at = share if along[-1] > along[0] else share[::-1]
            ticks = _enough(Linear(float(rising[0]), float(rising[-1]), 0, 1), about)
            name = f"{coordinate(view.wcs, axis)} (deg{system(view.wcs)})"
            return name, [(float(np.interp(value, rising, at)), _on_circle(view.wcs, axis, value, text))
                          for value, text in ticks]  # fmt: skip
    low, size = view.low[axis], view.size[axis]
    name = f"{'XY'[axis]} (pixels)"
    if view.axes is not None and view.axes[axis].step > 0:
        named = view.axes[axis]
        name, low, size = named.name, named.zero + low * named.step, size * named.step
    ticks = _enough(Linear(low, low + size, 0, 1), about)
    return name, [((value - low) / size, text) for value, text in ticks]


def _enough(axis: Linear, about: int) -> list[tuple[float, str]]:
    """Return the ticks of an axis, about so many; twice as many where that would be one or two."""
    ticks = list(axis.ticks(about))
    return ticks if len(ticks) > 2 else list(axis.ticks(2 * about))


def _on_circle(wcs: WCS, axis: int, value: float, text: str) -> str:
    """Return the text of a longitude within 0 to 360."""
    if axis == wcs.wcs.lng and not 0 <= value < 360:
        places = len(text.partition(".")[2])
        return f"{value % 360:.{places}f}"
    return text


def _bar(frame: Frame) -> Iterator[str]:
    """Draw the bar of colours with its numbers and what they are."""
    left, stretch = frame.right + 16, frame.view.raster.stretch
    yield _image(colour_bar(frame.view.raster.look), left, _TOP, 14, frame.height)
    yield _box("frame", left, _TOP, 14, frame.height)
    for value in stretch.ticks(max(3, round(frame.height / 60))):
        at = frame.bottom - float(stretch.share(np.array([value]))[0]) * frame.height
        yield f'<path class="minor" d="M{left + 14:.1f} {at:.1f}h5"/>'
        yield f'<text x="{left + 23:.1f}" y="{at + 4.5:.1f}">{_short(value)}</text>'
    x, y = frame.drawing[0] - 10, _TOP + frame.height / 2
    yield (f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" text-anchor="middle">'
           f"{escape(frame.view.measure)}</text>")  # fmt: skip


def _key(frame: Frame) -> Iterator[str]:
    """Draw what the lines of the regions are."""
    left, at = frame.left, frame.bottom + 66
    for role in dict.fromkeys(mark.role for mark in frame.view.marks):
        yield f'<rect x="{left:.1f}" y="{at - 11:.1f}" width="34" height="14" rx="2" class="swatch"/>'
        yield f'<path class="m {role}" d="M{left + 4:.1f} {at - 4:.1f}h26"/>'
        yield f'<text x="{left + 41:.1f}" y="{at:.1f}">{_ROLES[role]}</text>'
        left += 55 + 7.2 * len(_ROLES[role])


def _degrees(wcs: WCS) -> tuple[float, float]:
    """Return the size of a pixel in degrees, along X and along Y."""
    across, up = proj_plane_pixel_scales(wcs)
    return float(across), float(up)


def coordinate(wcs: WCS, axis: int) -> str:
    """Return the name of a coordinate."""
    kind = str(wcs.wcs.ctype[axis]).partition("-")[0]
    return _NAMES.get(kind, kind or "XY"[axis])


def system(wcs: WCS) -> str:
    """Return the system of the coordinates, for equatorial ones."""
    return f", {wcs.wcs.radesys}" if str(wcs.wcs.ctype[0]).startswith(("RA", "DEC")) and wcs.wcs.radesys else ""


def _short(value: float) -> str:
    """Return a value of a cell as text."""
    return f"{value:,.0f}" if value >= 10 and value < 1e6 else f"{value:.3g}"

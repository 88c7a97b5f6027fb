"""Queries of numbers, text, groups and joins, each with what its rows are by brute force: numpy and Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skyqueries import Case, Rows, areas, cells, cones, directions, inside, mocs, separation, where
from starfield import Field


def known(field: Field) -> np.ndarray:
    return ~np.isnan(field.mag)


def conditions() -> Iterator[Case]:
    yield where("mag < 5", lambda f: f.mag < 5)
    yield where("mag <> 5 AND NOT mag < 5", lambda f: f.mag >= 5)
    yield where("mag IS NULL", lambda f: np.isnan(f.mag))
    yield where("mag IS NOT NULL OR n = 3", lambda f: known(f) | (f.n == 3))
    yield where("n BETWEEN -3 AND 4", lambda f: (f.n >= -3) & (f.n <= 4))
    yield where("n NOT BETWEEN -3 AND 4", lambda f: (f.n < -3) | (f.n > 4))
    yield where("n IN (1, 2, 3, -7)", lambda f: np.isin(f.n, (1, 2, 3, -7)))
    yield where(
        "n NOT IN (1, 2) AND name IN ('Vega', 'JUNO')",
        lambda f: ~np.isin(f.n, (1, 2)) & np.isin(f.name, ("Vega", "JUNO")),
    )
    yield where("name LIKE 'V%'", lambda f: f.name == "Vega")
    yield where("name ILIKE 'v%'", lambda f: np.isin(f.name, ("Vega", "vesta")))
    yield where("name NOT ILIKE '%A%'", lambda f: ~np.char.count(np.char.lower(f.name), "a").astype(bool))
    yield where("name LIKE '100%'", lambda f: f.name == "100%")
    yield where("name LIKE 'a_b'", lambda f: f.name == "a_b")
    yield where("name LIKE '_e_a'", lambda f: f.name == "Vega")
    yield where("name LIKE LOWER('V') || '%'", lambda f: f.name == "vesta")
    yield where("name NOT LIKE '%e%' AND name <> 'it''s'", lambda f: ~np.char.count(f.name, "e").astype(bool))
    yield where("UPPER(name) = 'RIGEL' OR LOWER(name) = 'juno'", lambda f: np.isin(f.name, ("Rigel", "JUNO")))
    yield where("name >= 'a' AND name < 'b'", lambda f: f.name == "a_b")
    yield where("bright = TRUE", lambda f: f.bright)
    yield where("bright = 0 AND n > 5", lambda f: ~f.bright & (f.n > 5))
    yield where(
        "(n > 5 OR n < -5) AND (mag > 3 OR mag < 1) AND NOT (ra > 180)",
        lambda f: (np.abs(f.n) > 5) & ((f.mag > 3) | (f.mag < 1)) & ~(f.ra > 180),
    )
    yield where("n & 3 = 2 AND n > 0", lambda f: ((f.n & 3) == 2) & (f.n > 0))
    yield where("(n | 4) = 7", lambda f: (f.n | 4) == 7)
    yield where("n ^ 5 = 3", lambda f: (f.n ^ 5) == 3)
    yield where("~n = 4", lambda f: f.n == -5)
    yield where("0xF & id = 0x3", lambda f: (f.id & 15) == 3)
    yield where('"Mixed Case" = 2 * n AND "Mixed Case" > 10', lambda f: 2 * f.n > 10)
    yield where(
        "1 = IVO_INTERVAL_OVERLAPS(start, start + 5, 55020, 55025)", lambda f: (f.start >= 55015) & (f.start <= 55025)
    )
    yield where("1 = IVO_HASWORD(tags, 'hard')", lambda f: np.isin(f.tags, ("x-ray#hard", "the hard X-ray sky")))
    yield where("1 = IVO_HASWORD(tags, 'Ray soft')", lambda f: f.tags == "X-ray#soft source")
    yield where("1 = IVO_HASHLIST_HAS(tags, 'X-RAY')", lambda f: np.isin(f.tags, ("x-ray#hard", "X-ray#soft source")))
    yield where("1 = IVO_NOCASEMATCH(tags, 'the hard%')", lambda f: f.tags == "the hard X-ray sky")
    yield where("id IN (SELECT id FROM lab.plain WHERE n = 4)", lambda f: f.n == 4)
    yield where(
        "EXISTS (SELECT 1 FROM lab.plain AS p WHERE p.id = stars.n AND p.bright = 1)",
        lambda f: (f.n >= 0) & f.bright[np.clip(f.n, 0, None)],
    )
    yield where("mag > (SELECT AVG(mag) FROM lab.plain)", lambda f: f.mag > np.nanmean(f.mag))
    yield where("COALESCE(mag, 99) > 14", lambda f: np.nan_to_num(f.mag, nan=99) > 14)
    yield where("CASE WHEN n > 0 THEN 'up' WHEN n = 0 THEN 'no' ELSE 'down' END = 'down'", lambda f: f.n < 0)


def number(expression: str, value: Callable[[Field], np.ndarray]) -> Case:
    def expected(field: Field) -> Rows:
        values = np.asarray(value(field)).tolist()
        return [
            (one, None if isinstance(other, float) and math.isnan(other) else other)
            for one, other in zip(field.id.tolist(), values, strict=True)
        ]

    return Case(f"SELECT id, {expression} FROM lab.stars", expected)


def in_box_at(ra: float, dec: float, *box: float) -> bool:
    """Whether a place is in a BOX: its corners are found on the tangent plane, and it is as a polygon."""
    centre = directions(np.array([box[0], box[1]]))
    east = np.array([-math.sin(math.radians(box[0])), math.cos(math.radians(box[0])), 0.0])
    there = directions(np.array([ra, dec]))
    depth = there @ centre
    x, y = there @ east / depth, there @ np.cross(centre, east) / depth
    return bool(
        depth > 0 and abs(x) <= math.tan(math.radians(box[2] / 2)) and abs(y) <= math.tan(math.radians(box[3] / 2))
    )


def in_triangle(ra: float, dec: float) -> float:
    """1 or 0, whether a place is in the triangle that begins at another, or NaN if that reaches past the pole."""
    if dec + 1 > 90:
        return math.nan
    if dec == -90:
        return 0.0  # two of its corners are the pole
    corners = np.array([(ra, dec), (ra + 1, dec), (ra, dec + 1)])
    return float(inside(corners, np.array([[10.0, 20.01]]))[0])


def half_up(values: np.ndarray, digits: int) -> np.ndarray:
    return np.sign(values) * np.floor(np.abs(values) * 10.0**digits + 0.5) / 10.0**digits


def numbers() -> Iterator[Case]:
    with np.errstate(all="ignore"):
        yield number("n + 2 * n - 3", lambda f: 3 * f.n - 3)
        yield number("n - (n - 3) - 1", lambda f: f.n * 0 + 2)
        yield number("n * 1000000000 * 1000", lambda f: f.n.astype(int) * 10**12)
        yield number("n / 7", lambda f: np.trunc(f.n / 7).astype(int))
        yield number("n / 7.0", lambda f: f.n / 7)
        yield number(
            "100 / n / 2", lambda f: np.where(f.n == 0, np.nan, np.trunc(np.trunc(100 / np.where(f.n, f.n, 1)) / 2))
        )
        yield number("-n * -2.5e0", lambda f: 2.5 * f.n)
        yield number("MOD(n, 5)", lambda f: np.fmod(f.n, 5).astype(int))
        yield number("MOD(ra, 7.5)", lambda f: np.fmod(f.ra, 7.5))
        yield number("ABS(n)", lambda f: np.abs(f.n))
        yield number("ROUND(ra, 1)", lambda f: half_up(f.ra, 1))
        yield number("ROUND(dec, -1)", lambda f: half_up(f.dec, -1))
        yield number("ROUND(dec)", lambda f: half_up(f.dec, 0))
        yield number("TRUNCATE(dec, 2)", lambda f: np.trunc(f.dec * 100) / 100)
        yield number("CEILING(dec) - FLOOR(dec)", lambda f: np.ceil(f.dec) - np.floor(f.dec))
        yield number(
            "SIN(RADIANS(ra)) + COS(RADIANS(dec)) * TAN(0.3)",
            lambda f: np.sin(np.radians(f.ra)) + np.cos(np.radians(f.dec)) * np.tan(0.3),
        )
        yield number("ATAN2(dec, ra) + ATAN(dec) + PI()", lambda f: np.arctan2(f.dec, f.ra) + np.arctan(f.dec) + np.pi)
        yield number(
            "ASIN(dec / 90) + ACOS(n / 10.0)",
            lambda f: np.arcsin(f.dec / 90) + np.arccos(np.where(np.abs(f.n) <= 10, f.n / 10, np.nan)),
        )
        yield number("DEGREES(COT(ra))", lambda f: np.degrees(1 / np.tan(f.ra)))
        yield number("SQRT(n)", lambda f: np.sqrt(np.where(f.n < 0, np.nan, f.n)))
        yield number(
            "LOG(n) + LOG10(n)",
            lambda f: np.log(np.where(f.n <= 0, np.nan, f.n)) + np.log10(np.where(f.n <= 0, np.nan, f.n)),
        )
        yield number("POWER(n, 2) + EXP(n / 10.0)", lambda f: f.n.astype(float) ** 2 + np.exp(f.n / 10))
        yield number("POWER(n, 0.5)", lambda f: np.sqrt(np.where(f.n < 0, np.nan, f.n)))
        yield number("mag + 1", lambda f: f.mag + 1)
        yield number("flux * 2 + 0.5", lambda f: f.flux.astype(float) * 2 + 0.5)
        yield number("CAST(dec AS INTEGER)", lambda f: np.trunc(f.dec).astype(int))
        yield number("CAST(n AS DOUBLE PRECISION) / 4", lambda f: f.n / 4)
        yield number("CAST(n AS VARCHAR(2))", lambda f: np.array([str(one)[:2] for one in f.n]))
        yield number("name || '-' || tags", lambda f: np.char.add(np.char.add(f.name, "-"), f.tags))
        yield number("IN_UNIT(ra, 'arcmin')", lambda f: f.ra * 60)
        yield number("IN_UNIT(flux, 'W.m**-2')", lambda f: f.flux.astype(float) / 1000)
        yield number(
            "CASE n WHEN 1 THEN 10 WHEN 2 THEN 20 END", lambda f: np.where(f.n == 1, 10, np.where(f.n == 2, 20, np.nan))
        )
        yield number(
            "CONTAINS(POINT(10, 20), BOX(ra, dec, 1, 2))",
            lambda f: np.array([int(in_box_at(10, 20, ra, dec, 1, 2)) for ra, dec in zip(f.ra, f.dec, strict=True)]),
        )
        yield number(
            "CONTAINS(POINT(10, 20.01), POLYGON(ra, dec, ra + 1, dec, ra, dec + 1))",
            lambda f: np.array([in_triangle(ra, dec) for ra, dec in zip(f.ra, f.dec, strict=True)]),
        )
        yield number("AREA(POLYGON(0, 0, 90, 0, 0, 90)) + n", lambda f: np.degrees(1) ** 2 * np.pi / 2 + f.n)
        yield number("COALESCE(mag, 0.0)", lambda f: np.nan_to_num(f.mag))
        yield number("DISTANCE(POINT(ra, dec), POINT(83.6, 22.0))", lambda f: separation(f, 83.6, 22))
        yield number("COORD1(POINT(ra, dec)) + COORD2(CENTROID(CIRCLE(ra, dec, 1)))", lambda f: f.ra + f.dec)
        yield number("CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 2))", lambda f: (separation(f, 10, 20) <= 2).astype(int))
        yield number("COORD1(IVO_APPLY_PM(ra, dec, 0.01, -0.02, 20.0))", lambda f: moved(f)[0])
        yield number("COORD2(IVO_APPLY_PM(ra, dec, 0.01, -0.02, 20.0))", lambda f: moved(f)[1])
        yield number(
            "CASE WHEN MOD(n, 2) = 0 THEN AREA(field) END",
            lambda f: np.where(
                f.n % 2 == 0, 2 * np.pi * (1 - np.cos(np.radians(f.radius))) * np.degrees(1) ** 2, np.nan
            ),
        )


def moved(field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Positions after twenty years: along the tangent, by vectors."""
    ra, dec = np.radians(field.ra), np.radians(field.dec)
    zero = np.zeros_like(ra)
    east = np.stack([-np.sin(ra), np.cos(ra), zero], axis=1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=1)
    there = directions(np.stack([field.ra, field.dec], axis=1)) + np.radians(0.2) * east - np.radians(0.4) * north
    lon = np.degrees(np.arctan2(there[:, 1], there[:, 0])) % 360
    return lon, np.degrees(np.arctan2(there[:, 2], np.hypot(there[:, 0], there[:, 1])))


def groups(field: Field, value: Callable[[np.ndarray], Any]) -> Rows:
    return [(name, value(field.name == name)) for name in sorted(set(field.name.tolist()))]


def summaries() -> Iterator[Case]:
    yield Case(
        "SELECT COUNT(*), COUNT(mag), COUNT(DISTINCT name) FROM lab.stars",
        lambda f: [(len(f.id), int(known(f).sum()), len(set(f.name.tolist())))],
    )
    yield Case(
        "SELECT MIN(mag), MAX(ra), AVG(n), SUM(n), SUM(flux) FROM lab.stars",
        lambda f: [(np.nanmin(f.mag), f.ra.max(), f.n.mean(), int(f.n.sum()), f.flux.astype(float).sum())],
    )
    yield Case(
        "SELECT name, COUNT(*) AS many FROM lab.stars GROUP BY name", lambda f: groups(f, lambda m: int(m.sum()))
    )
    yield Case(
        "SELECT name, AVG(mag) FROM lab.stars GROUP BY name HAVING COUNT(*) > 50",
        lambda f: [row for row in groups(f, lambda m: np.nanmean(f.mag[m])) if (f.name == row[0]).sum() > 50],
    )
    yield Case(
        "SELECT MOD(n, 3) AS kind, MAX(id) FROM lab.stars WHERE n >= 0 GROUP BY kind",
        lambda f: [(k, int(f.id[(f.n >= 0) & (f.n % 3 == k)].max())) for k in range(3)],
    )
    yield Case(
        "SELECT name || '!' AS loud, MIN(n) + 1 FROM lab.stars GROUP BY name || '!'",
        lambda f: [(f"{name}!", n + 1) for name, n in groups(f, lambda m: int(f.n[m].min()))],
    )
    yield Case(
        "SELECT IVO_HISTOGRAM(ra, 90, 270, 6) FROM lab.stars",
        lambda f: [
            (
                " ".join(
                    map(
                        str,
                        [
                            int((f.ra < 90).sum()),
                            *np.histogram(f.ra, 6, (90, 270))[0].tolist(),
                            int((f.ra >= 270).sum()),
                        ],
                    )
                ),
            )
        ],
    )
    yield Case("SELECT IVO_STRING_AGG(name, ',') FROM lab.stars WHERE id = 3", lambda f: [(f.name[3],)])
    yield Case(
        "SELECT DISTINCT bright, n FROM lab.stars WHERE n > 15",
        lambda f: sorted({(bool(b), int(n)) for b, n in zip(f.bright, f.n, strict=True) if n > 15}),
    )
    yield Case(
        "SELECT TOP 7 id, mag FROM lab.stars WHERE mag IS NOT NULL ORDER BY mag DESC, id",
        lambda f: [(int(i), f.mag[i]) for i in np.argsort(-f.mag)[:7]],
    )
    yield Case("SELECT TOP 5 id FROM lab.stars ORDER BY id OFFSET 12", lambda f: [(i,) for i in range(12, 17)])
    yield Case("SELECT id FROM lab.stars ORDER BY 1 DESC OFFSET 490", lambda f: [(i,) for i in range(9, -1, -1)])
    yield Case(
        "SELECT id AS k, n * n AS sq FROM lab.stars WHERE id < 9 ORDER BY sq, k",
        lambda f: sorted(((i, int(f.n[i]) ** 2) for i in range(9)), key=lambda row: (row[1], row[0])),
    )
    yield Case(
        "SELECT name FROM lab.stars WHERE n > 15 UNION SELECT tags FROM lab.plain WHERE n > 15",
        lambda f: [(one,) for one in set(f.name[f.n > 15].tolist()) | set(f.tags[f.n > 15].tolist())],
    )
    yield Case("SELECT n FROM lab.stars UNION ALL SELECT n FROM lab.plain", lambda f: [(int(n),) for n in f.n] * 2)
    yield Case(
        "SELECT n FROM lab.stars WHERE id < 100 INTERSECT SELECT n FROM lab.plain WHERE id >= 400",
        lambda f: [(n,) for n in set(f.n[:100].tolist()) & set(f.n[400:].tolist())],
    )
    yield Case(
        "SELECT n FROM lab.stars EXCEPT SELECT n FROM lab.plain WHERE n > 0 UNION SELECT n FROM lab.stars WHERE n = 5",
        lambda f: [(n,) for n in {*(n for n in f.n.tolist() if n <= 0), 5}],
    )
    yield Case(
        "SELECT n FROM lab.stars WHERE n = 3 UNION "
        "SELECT n FROM lab.stars WHERE n > 0 INTERSECT SELECT n FROM lab.stars WHERE n < 2",
        lambda f: [(1,), (3,)],
    )
    yield Case(
        "SELECT TOP 2 x.n FROM (SELECT TOP 3 n, id FROM lab.stars ORDER BY id) AS x ORDER BY x.id DESC",
        lambda f: [(int(f.n[2]),), (int(f.n[1]),)],
    )
    yield Case(
        "WITH a AS (SELECT id, n FROM lab.stars WHERE n > 10), b AS (SELECT id FROM a WHERE n < 13) "
        "SELECT COUNT(*) FROM b",
        lambda f: [(int(((f.n > 10) & (f.n < 13)).sum()),)],
    )
    yield Case(
        "SELECT s.name, (SELECT MAX(p.n) FROM lab.plain AS p WHERE p.name = s.name) "
        "FROM lab.stars AS s GROUP BY s.name",
        lambda f: groups(f, lambda m: int(f.n[m].max())),
    )
    yield Case("WITH a (k) AS (SELECT id FROM lab.stars) SELECT MAX(k) FROM a", lambda f: [(len(f.id) - 1,)])


def joins() -> Iterator[Case]:
    same = "a.id, b.id FROM lab.stars AS a"
    yield Case(
        f"SELECT {same} JOIN lab.plain AS b ON a.n = b.id",
        lambda f: [(i, n) for i, n in enumerate(f.n.tolist()) if n >= 0],
    )
    yield Case(
        f"SELECT {same} LEFT OUTER JOIN lab.plain AS b ON a.n = b.id WHERE a.id < 60",
        lambda f: [(i, n if n >= 0 else None) for i, n in enumerate(f.n.tolist()[:60])],
    )
    yield Case(
        "SELECT id, stars.n FROM lab.stars JOIN lab.plain USING (id) WHERE plain.n = 4",
        lambda f: [(int(i), 4) for i in f.id[f.n == 4]],
    )
    yield Case(
        f"SELECT {same}, lab.plain AS b WHERE a.id = b.id AND b.n = 4",
        lambda f: [(int(i), int(i)) for i in f.id[f.n == 4]],
    )
    yield Case(
        "SELECT id, k FROM (SELECT id FROM lab.stars WHERE id < 5) AS a FULL JOIN "
        "(SELECT id, n AS k FROM lab.plain WHERE id BETWEEN 3 AND 6) AS b USING (id)",
        lambda f: [(i, int(f.n[i]) if i >= 3 else None) for i in range(7)],
    )
    yield Case(
        "SELECT id FROM (SELECT id FROM lab.stars WHERE id < 5) AS a NATURAL JOIN "
        "(SELECT id FROM lab.plain WHERE id > 2) AS b",
        lambda f: [(3,), (4,)],
    )
    yield Case(
        "SELECT x.id, y.id, z.id FROM (SELECT id FROM lab.stars WHERE id < 2) AS x, "
        "(SELECT id FROM lab.stars WHERE id IN (5, 6)) AS y "
        "RIGHT JOIN (SELECT id FROM lab.plain WHERE id IN (6, 7)) AS z ON y.id = z.id",
        lambda f: [(0, 6, 6), (1, 6, 6), (0, None, 7), (1, None, 7)],
    )
    yield Case(
        "SELECT x.id, y.n, z.k FROM (SELECT id FROM lab.stars WHERE id = 2) AS x "
        "LEFT JOIN ((SELECT id, n FROM lab.stars WHERE id = 3) AS y "
        "JOIN (SELECT id AS k FROM lab.plain) AS z ON y.id = z.k) ON x.id + 1 = y.id",
        lambda f: [(2, int(f.n[3]), 3)],
    )
    for condition in (
        "DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.1",
        "1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(b.ra, b.dec, 0.1))",
    ):
        yield Case(f"SELECT {same} JOIN lab.plain AS b ON {condition}", near_pairs)

    same = "lab.stars AS a JOIN lab.stars AS b ON MOD(a.n, 2) = 0 AND a.id < b.id"
    yield Case(
        f"SELECT a.id, b.id FROM {same} AND MOD(b.n, 2) = 0 AND 1 = INTERSECTS(a.field, b.field)",
        lambda f: overlaps(f, f.radius),
    )
    yield Case(
        f"SELECT a.id, b.id FROM {same} AND MOD(b.n, 2) = 0 AND 1 = CONTAINS(POINT(b.ra, b.dec), a.field)",
        lambda f: overlaps(f, np.zeros_like(f.radius)),
    )
    yield Case(
        f"SELECT a.id, b.id FROM {same} AND MOD(b.n, 2) = 0 AND 1 = INTERSECTS(CIRCLE(b.ra, b.dec, 0.2), a.field)",
        lambda f: overlaps(f, np.full_like(f.radius, 0.2)),
    )
    yield Case(
        f"SELECT a.id, b.id FROM {same} AND MOD(b.n, 2) = 0 AND 1 = CONTAINS(CIRCLE(b.ra, b.dec, 0.2), a.field)",
        lambda f: overlaps(f, np.full_like(f.radius, -0.2)),
    )


def overlaps(field: Field, more: np.ndarray) -> Rows:
    """Pairs of rows with round fields, the later of which is within the field of the earlier, by so much more."""
    places = directions(np.stack([field.ra, field.dec], axis=1))
    apart = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(places[:, None] - places[None], axis=2) / 2, 0, 1)))
    even = field.n % 2 == 0
    near = (apart <= field.radius[:, None] + more[None]) & even[:, None] & even[None]
    one, other = np.nonzero(np.triu(near, 1))
    return list(zip(one.tolist(), other.tolist(), strict=True))


def near_pairs(field: Field) -> Rows:
    places = directions(np.stack([field.ra, field.dec], axis=1))
    chords = np.linalg.norm(places[:, None] - places[None], axis=2)
    one, other = np.nonzero(chords <= 2 * math.sin(math.radians(0.05)))
    return list(zip(one.tolist(), other.tolist(), strict=True))


CASES = [*cones(), *areas(), *cells(), *mocs(), *conditions(), *numbers(), *summaries(), *joins()]

"""What PostgreSQL lacks for ADQL, as functions of the session: the same as `sqlite` and `sphere` have, in PL/pgSQL.

They lie in pg_temp, so that nothing is installed and no right on the database is needed; they go with the session. A
region is an array: 0, a direction and a radius of a circle; 1 and the directions of the vertices of a polygon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uws_server.tap.adql.postgresql_mocs import MOCS

if TYPE_CHECKING:
    import psycopg


def register(connection: psycopg.Connection[Any]) -> None:
    """Give a session the functions that translated queries call; once for each connection, before it is read-only."""
    connection.execute(_FUNCTIONS.encode())


_SIMPLE: Final = """
CREATE OR REPLACE FUNCTION pg_temp.adql_power(x float8, y float8) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN (x < 0 AND y <> trunc(y)) OR (x = 0 AND y < 0) THEN NULL ELSE power(x, y) END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_modulo(x float8, y float8) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT x - y * trunc(x / NULLIF(y, 0)) $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_round(x float8, n bigint) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT round(x::numeric, greatest(-300, least(300, n))::int)::float8 $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_truncate(x float8, n bigint) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT trunc(x::numeric, greatest(-300, least(300, n))::int)::float8 $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_has_word(hay text, needle text) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN btrim(n) <> '' AND strpos(h, n) > 0 THEN 1 ELSE 0 END FROM (SELECT
    ' ' || btrim(regexp_replace(lower(hay), '[^[:alnum:]_]+', ' ', 'g')) || ' ' AS h,
    ' ' || btrim(regexp_replace(lower(needle), '[^[:alnum:]_]+', ' ', 'g')) || ' ' AS n) AS words $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_count_in_bins(counts int[], x float8, low float8, high float8, bins int)
RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE n int;
BEGIN
  IF counts IS NULL THEN counts := array_fill(0, ARRAY[bins + 2]); END IF;
  IF x IS NULL OR low IS NULL OR high IS NULL OR NOT low < high THEN RETURN counts; END IF;
  n := greatest(1, least(bins + 2, floor((x - low) / (high - low) * bins) + 2));
  counts[n] := counts[n] + 1;
  RETURN counts;
END $$;
DROP AGGREGATE IF EXISTS pg_temp.adql_histogram(float8, float8, float8, int);
CREATE AGGREGATE pg_temp.adql_histogram(float8, float8, float8, int) (
  SFUNC = pg_temp.adql_count_in_bins, STYPE = int[]);
"""

_VECTORS: Final = """
CREATE OR REPLACE FUNCTION pg_temp.adql_vector(a float8, d float8) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT ARRAY[cos(radians(d)) * cos(radians(a)), cos(radians(d)) * sin(radians(a)), sin(radians(d))] $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_dot(a float8[], b float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT a[1] * b[1] + a[2] * b[2] + a[3] * b[3] $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_cross(a float8[], b float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT ARRAY[a[2] * b[3] - a[3] * b[2], a[3] * b[1] - a[1] * b[3], a[1] * b[2] - a[2] * b[1]] $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_unit(a float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN l < 1e-12 THEN NULL ELSE ARRAY[a[1] / l, a[2] / l, a[3] / l] END
  FROM (SELECT sqrt(pg_temp.adql_dot(a, a)) AS l) AS length $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_angle(a float8[], b float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT atan2(sqrt(pg_temp.adql_dot(n, n)), pg_temp.adql_dot(a, b))
  FROM (SELECT pg_temp.adql_cross(a, b) AS n) AS x $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_east(c float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN l < 1e-30 THEN ARRAY[0, 1, 0]::float8[] ELSE ARRAY[-c[2] / l, c[1] / l, 0] END
  FROM (SELECT sqrt(c[1] * c[1] + c[2] * c[2]) AS l) AS across $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_north(c float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN l < 1e-30 THEN ARRAY[-c[3], 0, 0] ELSE ARRAY[-c[3] * c[1] / l, -c[3] * c[2] / l, l] END
  FROM (SELECT sqrt(c[1] * c[1] + c[2] * c[2]) AS l) AS across $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_written(v float8[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT 'Position ICRS ' || (a - 360 * floor(a / 360)) || ' ' || degrees(atan2(v[3], sqrt(v[1] * v[1] + v[2] * v[2])))
  FROM (SELECT degrees(atan2(v[2], v[1])) AS a) AS x $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_moved(a float8, d float8, x float8, y float8, years float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT pg_temp.adql_written(ARRAY(
    SELECT v[i] + radians(x * years) * (pg_temp.adql_east(v))[i] + radians(y * years) * (pg_temp.adql_north(v))[i]
    FROM generate_series(1, 3) AS i ORDER BY i))
  FROM (SELECT pg_temp.adql_vector(a, d) AS v) AS start $$;
"""

_REGIONS: Final = """
CREATE OR REPLACE FUNCTION pg_temp.adql_shape(name text, n float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
  many int := coalesce(array_length(n, 1), 0); result float8[] := ARRAY[1]; c float8[]; e float8[]; u float8[];
  x float8; y float8; middle float8[];
BEGIN
  IF array_position(n, NULL) IS NOT NULL OR array_position(n, 'NaN') IS NOT NULL
     OR array_position(n, 'Infinity') IS NOT NULL OR array_position(n, '-Infinity') IS NOT NULL THEN
    RETURN NULL;
  END IF;
  IF name IN ('POINT', 'CIRCLE', 'BOX') AND NOT coalesce(n[2] BETWEEN -90 AND 90, FALSE) THEN RETURN NULL; END IF;
  IF name = 'POINT' AND many = 2 THEN RETURN ARRAY[0] || pg_temp.adql_vector(n[1], n[2]) || 0::float8; END IF;
  IF name = 'CIRCLE' AND many = 3 AND n[3] BETWEEN 0 AND 180 THEN
    RETURN ARRAY[0] || pg_temp.adql_vector(n[1], n[2]) || radians(n[3]);
  END IF;
  IF name = 'BOX' AND many = 4 AND n[3] > 0 AND n[3] < 180 AND n[4] > 0 AND n[4] < 180 THEN
    c := pg_temp.adql_vector(n[1], n[2]); e := pg_temp.adql_east(c); u := pg_temp.adql_north(c);
    FOR i IN 1..4 LOOP
      x := tan(radians(n[3]) / 2) * (ARRAY[-1, -1, 1, 1])[i]; y := tan(radians(n[4]) / 2) * (ARRAY[-1, 1, 1, -1])[i];
      result := result || pg_temp.adql_unit(
        ARRAY[c[1] + x * e[1] + y * u[1], c[2] + x * e[2] + y * u[2], c[3] + x * e[3] + y * u[3]]);
    END LOOP;
  ELSIF name = 'POLYGON' AND many % 2 = 0 AND many >= 6 THEN
    FOR i IN 1..many / 2 LOOP
      IF NOT n[2 * i] BETWEEN -90 AND 90 THEN RETURN NULL; END IF;
      result := result || pg_temp.adql_vector(n[2 * i - 1], n[2 * i]);
    END LOOP;
  ELSE
    RETURN NULL;
  END IF;
  middle := pg_temp.adql_middle(result);
  IF middle IS NULL THEN RETURN NULL; END IF;
  FOR i IN 1..array_length(result, 1) / 3 LOOP
    IF pg_temp.adql_dot(result[3 * i - 1:3 * i + 1], middle) < 1e-9 THEN RETURN NULL; END IF;
  END LOOP;
  RETURN result;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_middle(r float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE s float8[] := ARRAY[0, 0, 0];
BEGIN
  IF r[1] = 0 THEN RETURN r[2:4]; END IF;
  FOR i IN 0..array_length(r, 1) / 3 - 1 LOOP
    s := ARRAY[s[1] + r[3 * i + 2], s[2] + r[3 * i + 3], s[3] + r[3 * i + 4]];
  END LOOP;
  RETURN pg_temp.adql_unit(s);
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_numbers(t text, OUT name text, OUT numbers float8[]) LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE words text[] := regexp_split_to_array(btrim(t, E' \\t\\n\\r,()'), '[[:space:],()]+'); word text;
BEGIN
  numbers := ARRAY[]::float8[];
  FOREACH word IN ARRAY words LOOP
    IF word ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$' THEN
      numbers := numbers || word::float8;
    ELSIF name IS NULL AND numbers = '{}' THEN
      name := upper(word);
    ELSIF numbers <> '{}' OR NOT upper(word) = ANY (ARRAY['ICRS', 'FK5', 'J2000', 'UNKNOWNFRAME', 'GEOCENTER',
        'BARYCENTER', 'HELIOCENTER', 'TOPOCENTER', 'UNKNOWNREFPOS', 'SPHERICAL2']) THEN
      name := 'NOTHING'; numbers := NULL; RETURN;
    END IF;
  END LOOP;
  name := CASE WHEN name = 'POSITION' THEN 'POINT' WHEN name IS NOT NULL THEN name
    WHEN array_length(numbers, 1) = 2 THEN 'POINT' WHEN array_length(numbers, 1) = 3 THEN 'CIRCLE' ELSE 'POLYGON' END;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_region(t text) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT pg_temp.adql_shape(name, numbers) FROM pg_temp.adql_numbers(t) $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_text(name text, n float8[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN pg_temp.adql_shape(CASE WHEN name = 'Position' THEN 'POINT' ELSE upper(name) END, n) IS NOT NULL
    THEN name || ' ICRS ' || array_to_string(n, ' ') END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_coordinate(t text, which int) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN name = 'POINT' AND array_length(numbers, 1) = 2 THEN numbers[which] END
  FROM pg_temp.adql_numbers(t) $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_centroid(t text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT pg_temp.adql_written(pg_temp.adql_middle(pg_temp.adql_region(t))) $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_area(t text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  r float8[] := pg_temp.adql_region(t); c float8[]; a float8[]; b float8[]; many int; total float8 := 0;
BEGIN
  IF r[1] = 0 THEN RETURN 4 * pi() * sin(r[5] / 2) ^ 2 * degrees(1) ^ 2; END IF;
  c := pg_temp.adql_middle(r); many := array_length(r, 1) / 3;
  FOR i IN 0..many - 1 LOOP
    a := r[3 * i + 2:3 * i + 4]; b := r[3 * ((i + 1) % many) + 2:3 * ((i + 1) % many) + 4];
    total := total + 2 * atan2(pg_temp.adql_dot(c, pg_temp.adql_cross(a, b)),
      1 + pg_temp.adql_dot(a, b) + pg_temp.adql_dot(c, a) + pg_temp.adql_dot(c, b));
  END LOOP;
  RETURN abs(total) * degrees(1) ^ 2;
END $$;
"""

_TESTS: Final = """
CREATE OR REPLACE FUNCTION pg_temp.adql_holds(r float8[], v float8[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
  c float8[]; e float8[]; u float8[]; depth float8; x float8; y float8; x1 float8; y1 float8; x2 float8; y2 float8;
  p float8[]; many int; inside boolean := FALSE;
BEGIN
  IF r[1] = 0 THEN RETURN pg_temp.adql_angle(r[2:4], v) <= r[5] + 1e-15; END IF;
  c := pg_temp.adql_middle(r); depth := pg_temp.adql_dot(v, c);
  IF depth < 1e-9 THEN RETURN FALSE; END IF;
  e := pg_temp.adql_east(c); u := pg_temp.adql_north(c); many := array_length(r, 1) / 3;
  x := pg_temp.adql_dot(v, e) / depth; y := pg_temp.adql_dot(v, u) / depth;
  FOR i IN 0..many LOOP
    p := r[3 * (i % many) + 2:3 * (i % many) + 4]; depth := pg_temp.adql_dot(p, c);
    x2 := pg_temp.adql_dot(p, e) / depth; y2 := pg_temp.adql_dot(p, u) / depth;
    IF i > 0 AND (y1 > y) <> (y2 > y) AND x < (x2 - x1) * (y - y1) / (y2 - y1) + x1 THEN inside := NOT inside; END IF;
    x1 := x2; y1 := y2;
  END LOOP;
  RETURN inside;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_to_edge(v float8[], a float8[], b float8[]) RETURNS float8 LANGUAGE plpgsql
IMMUTABLE STRICT AS $$
DECLARE n float8[] := pg_temp.adql_cross(a, b);
BEGIN
  IF pg_temp.adql_dot(pg_temp.adql_cross(n, a), v) > 0 AND pg_temp.adql_dot(pg_temp.adql_cross(n, b), v) < 0 THEN
    RETURN abs(asin(greatest(-1, least(1, pg_temp.adql_dot(pg_temp.adql_unit(n), v)))));
  END IF;
  RETURN least(pg_temp.adql_angle(v, a), pg_temp.adql_angle(v, b));
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_nearest_edge(r float8[], v float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE
STRICT AS $$ SELECT min(pg_temp.adql_to_edge(v, r[3 * i + 2:3 * i + 4], r[3 * ((i + 1) % m) + 2:3 * ((i + 1) % m) + 4]))
  FROM (SELECT array_length(r, 1) / 3 AS m) AS n, generate_series(0, m - 1) AS i $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_meet(a float8[], b float8[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
  m int := array_length(a, 1) / 3; k int := array_length(b, 1) / 3; f float8[]; g float8[]; p1 float8[]; p2 float8[];
  q1 float8[]; q2 float8[]; across float8; back float8;
BEGIN
  FOR i IN 0..m - 1 LOOP
    p1 := a[3 * i + 2:3 * i + 4]; p2 := a[3 * ((i + 1) % m) + 2:3 * ((i + 1) % m) + 4]; f := pg_temp.adql_cross(p1, p2);
    FOR j IN 0..k - 1 LOOP
      q1 := b[3 * j + 2:3 * j + 4]; q2 := b[3 * ((j + 1) % k) + 2:3 * ((j + 1) % k) + 4];
      g := pg_temp.adql_cross(q1, q2); across := pg_temp.adql_dot(f, q1); back := pg_temp.adql_dot(g, p1);
      IF across * pg_temp.adql_dot(f, q2) < 0 AND back * pg_temp.adql_dot(g, p2) < 0 AND across * back < 0 THEN
        RETURN TRUE;
      END IF;
    END LOOP;
  END LOOP;
  RETURN FALSE;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_in_region(a float8, d float8, t text) RETURNS int LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT pg_temp.adql_holds(pg_temp.adql_region(t), pg_temp.adql_vector(a, d))::int $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_touch(a float8[], b float8[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE c float8[];
BEGIN
  IF a[1] = 0 AND b[1] = 0 THEN RETURN pg_temp.adql_angle(a[2:4], b[2:4]) <= a[5] + b[5] + 1e-15; END IF;
  IF a[1] = 0 THEN c := a; a := b; b := c; END IF;
  IF b[1] = 0 THEN RETURN pg_temp.adql_holds(a, b[2:4]) OR pg_temp.adql_nearest_edge(a, b[2:4]) <= b[5]; END IF;
  RETURN pg_temp.adql_holds(a, b[2:4]) OR pg_temp.adql_holds(b, a[2:4]) OR pg_temp.adql_meet(a, b);
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_encloses(a float8[], b float8[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
STRICT AS $$
BEGIN
  IF b[1] = 0 THEN
    IF a[1] = 0 THEN RETURN pg_temp.adql_angle(a[2:4], b[2:4]) + b[5] <= a[5] + 1e-15; END IF;
    RETURN pg_temp.adql_holds(a, b[2:4]) AND (b[5] = 0 OR pg_temp.adql_nearest_edge(a, b[2:4]) >= b[5]);
  END IF;
  FOR i IN 0..array_length(b, 1) / 3 - 1 LOOP
    IF NOT pg_temp.adql_holds(a, b[3 * i + 2:3 * i + 4]) THEN RETURN FALSE; END IF;
  END LOOP;
  RETURN a[1] = 0 OR NOT pg_temp.adql_meet(a, b);
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_intersects(s text, t text) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT pg_temp.adql_touch(pg_temp.adql_region(s), pg_temp.adql_region(t))::int $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_contains(s text, t text) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT pg_temp.adql_encloses(pg_temp.adql_region(s), pg_temp.adql_region(t))::int $$;
"""

_CELLS: Final = """
CREATE OR REPLACE FUNCTION pg_temp.adql_spread(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT (d | (d << 1)) & 6148914691236517205 FROM (SELECT (c | (c << 2)) & 3689348814741910323 AS d FROM (
    SELECT (b | (b << 4)) & 1085102592571150095 AS c FROM (SELECT (a | (a << 8)) & 71777214294589695 AS b FROM (
      SELECT (n | (n << 16)) & 281470681808895 AS a) AS p) AS q) AS r) AS s $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_gather(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT (e | (e >> 16)) & 4294967295 FROM (SELECT (d | (d >> 8)) & 281470681808895 AS e FROM (
    SELECT (c | (c >> 4)) & 71777214294589695 AS d FROM (SELECT (b | (b >> 2)) & 1085102592571150095 AS c FROM (
      SELECT (a | (a >> 1)) & 3689348814741910323 AS b FROM (
        SELECT n & 6148914691236517205 AS a) AS o) AS p) AS q) AS r) AS s $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_cell(o bigint, ra float8, de float8) RETURNS bigint LANGUAGE plpgsql
IMMUTABLE STRICT AS $$
DECLARE
  n int := o::int; side bigint; quarter float8 := (ra - 360 * floor(ra / 360)) / 90; z float8; face bigint; x bigint;
  y bigint; up bigint; down bigint; sector bigint; width float8; k bigint; j bigint;
BEGIN
  IF n NOT BETWEEN 0 AND 29 OR NOT de BETWEEN -90 AND 90 OR ra IN ('NaN', 'Infinity', '-Infinity') THEN
    RETURN NULL;
  END IF;
  side := 1::bigint << n; z := sin(radians(de));
  IF abs(z) <= 2 / 3.0::float8 THEN
    up := trunc(side * (0.5 + quarter - z * 0.75)); down := trunc(side * (0.5 + quarter + z * 0.75));
    k := up >> n; j := down >> n;
    face := CASE WHEN k = j THEN (k & 3) | 4 WHEN k < j THEN k ELSE j + 8 END;
    x := down & (side - 1); y := side - (up & (side - 1)) - 1;
  ELSE
    sector := least(trunc(quarter), 3); width := side * cos(radians(de)) / sqrt((1 + abs(z)) / 3);
    up := least(trunc((quarter - sector) * width), side - 1);
    down := least(trunc((1 - quarter + sector) * width), side - 1);
    IF z > 0 THEN face := sector; x := side - down - 1; y := side - up - 1;
    ELSE face := sector + 8; x := up; y := down; END IF;
  END IF;
  RETURN (face << (2 * n)) | pg_temp.adql_spread(x) | (pg_temp.adql_spread(y) << 1);
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_cell_place(o bigint, i bigint) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE
STRICT AS $$
DECLARE
  side float8; face int; rest bigint; x bigint; y bigint; ring float8; width float8; z float8; turn float8;
BEGIN
  IF o NOT BETWEEN 0 AND 29 OR i < 0 OR i >= 12::bigint << (2 * o)::int THEN RETURN NULL; END IF;
  side := 1::bigint << o::int; face := i >> (2 * o)::int; rest := i & ((1::bigint << (2 * o)::int) - 1);
  x := pg_temp.adql_gather(rest); y := pg_temp.adql_gather(rest >> 1);
  ring := (ARRAY[2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])[face + 1] * side - x - y - 1;
  IF ring < side THEN width := ring; z := 1 - ring * ring / (3 * side * side);
  ELSIF ring > 3 * side THEN width := 4 * side - ring; z := (4 * side - ring) ^ 2 / (3 * side * side) - 1;
  ELSE width := side; z := (2 * side - ring) * 2 / (3 * side); END IF;
  turn := (ARRAY[1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])[face + 1] * width + x - y;
  turn := (turn - 8 * width * floor(turn / (8 * width))) / (8 * width) * 360;
  RETURN ARRAY[turn, degrees(asin(z))];
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_cell_centre(o bigint, i bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT 'Position ICRS ' || place[1] || ' ' || place[2] FROM (SELECT pg_temp.adql_cell_place(o, i) AS place) AS x $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_in_moc(c bigint, moc text) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE part text; pieces text[]; o int := -1; k bigint; inside int := 0;
BEGIN
  FOREACH part IN ARRAY regexp_split_to_array(btrim(moc, E' \\t\\n\\r,'), '[[:space:],]+') LOOP
    pieces := regexp_match(part, '^(?:([0-9]{1,2})/)?(?:([0-9]{1,19})(?:-([0-9]{1,19}))?)?$');
    o := coalesce(pieces[1]::int, o);
    IF pieces IS NULL OR o NOT BETWEEN 0 AND 29 THEN RETURN NULL; END IF;
    k := c >> (2 * (29 - o));
    IF k BETWEEN pieces[2]::numeric AND coalesce(pieces[3], pieces[2])::numeric THEN inside := 1; END IF;
  END LOOP;
  RETURN inside;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_in_ranges(c bigint, r bigint[]) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE low int := 0; high int := array_length(r, 1) / 2; middle int;
BEGIN
  WHILE low < high LOOP
    middle := (low + high) / 2;
    IF r[2 * middle + 1] <= c THEN low := middle + 1; ELSE high := middle; END IF;
  END LOOP;
  RETURN (low > 0 AND c <= r[2 * low])::int;
END $$;
"""
_FUNCTIONS: Final = _SIMPLE + _VECTORS + _REGIONS + _TESTS + _CELLS + MOCS

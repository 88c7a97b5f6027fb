"""Regions and MOCs in PostgreSQL: what `overlap` does, in PL/pgSQL.

A MOC is an array of ranges of cells of order 29: first and last one of each, in order.
"""

from __future__ import annotations

from typing import Final

MOCS: Final = """
CREATE OR REPLACE FUNCTION pg_temp.adql_ranges(moc text) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  part text; pieces text[]; o int := -1; low numeric; high numeric; firsts bigint[] := '{}'; lasts bigint[] := '{}';
  found bigint[] := '{}'; f bigint; l bigint; n int;
BEGIN
  FOREACH part IN ARRAY regexp_split_to_array(btrim(moc, E' \\t\\n\\r,'), '[[:space:],]+') LOOP
    pieces := regexp_match(part, '^(?:([0-9]{1,2})/)?(?:([0-9]{1,19})(?:-([0-9]{1,19}))?)?$');
    o := coalesce(pieces[1]::int, o);
    IF pieces IS NULL OR part = '' OR o NOT BETWEEN 0 AND 29 THEN RETURN NULL; END IF;
    IF pieces[2] IS NOT NULL THEN
      low := pieces[2]::numeric; high := coalesce(pieces[3], pieces[2])::numeric;
      IF low > high OR high >= 12::bigint << (2 * o) THEN RETURN NULL; END IF;
      firsts := firsts || (low::bigint << (2 * (29 - o)));
      lasts := lasts || (((high::bigint + 1) << (2 * (29 - o))) - 1);
    END IF;
  END LOOP;
  FOR f, l IN SELECT * FROM unnest(firsts, lasts) ORDER BY 1 LOOP
    n := coalesce(array_length(found, 1), 0);
    IF n > 0 AND f <= found[n] + 1 THEN found[n] := greatest(found[n], l); ELSE found := found || f || l; END IF;
  END LOOP;
  RETURN found;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_share(r bigint[], first bigint, last bigint) RETURNS int LANGUAGE plpgsql
IMMUTABLE STRICT AS $$
DECLARE low int := 0; high int := coalesce(array_length(r, 1), 0) / 2; middle int;
BEGIN
  WHILE low < high LOOP
    middle := (low + high) / 2;
    IF r[2 * middle + 1] <= first THEN low := middle + 1; ELSE high := middle; END IF;
  END LOOP;
  IF low > 0 AND first <= r[2 * low] THEN RETURN CASE WHEN last <= r[2 * low] THEN 2 ELSE 1 END; END IF;
  RETURN CASE WHEN r[2 * low + 1] <= last THEN 1 ELSE 0 END;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_cell_around(o int, i bigint) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
  side float8 := 1::bigint << o; z float8 := 1 - (1 - 1 / side) ^ 2 / 3; a float8 := sqrt(5) / 3; turn float8; x float8;
  place float8[] := pg_temp.adql_cell_place(o, i);
BEGIN
  x := sqrt(greatest(0, 1 - z * z)); turn := pi() / (4 * side);
  RETURN ARRAY[0] || pg_temp.adql_vector(place[1], place[2]) || 2 * (1 + 1e-6)
    * asin(sqrt((a * cos(turn) - x) ^ 2 + (a * sin(turn)) ^ 2 + (z - 2 / 3.0::float8) ^ 2) / 2);
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_places(a float8[]) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN a[1] = 0 THEN 1 ELSE array_length(a, 1) / 3 END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_places_in(a float8[], r bigint[]) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE p float8[]; cell bigint; found int := 0;
BEGIN
  FOR i IN 0..pg_temp.adql_places(a) - 1 LOOP
    p := a[3 * i + 2:3 * i + 4];
    cell := pg_temp.adql_cell(29, degrees(atan2(p[2], p[1])), degrees(atan2(p[3], sqrt(p[1] * p[1] + p[2] * p[2]))));
    IF pg_temp.adql_share(r, cell, cell) > 0 THEN found := found + 1; END IF;
  END LOOP;
  RETURN found;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_complement(r bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE found bigint[] := '{}'; begins bigint := 0; final bigint := (12::bigint << 58) - 1;
BEGIN
  FOR i IN 1..coalesce(array_length(r, 1), 0) / 2 LOOP
    IF r[2 * i - 1] > begins THEN found := found || begins || (r[2 * i - 1] - 1); END IF;
    begins := r[2 * i] + 1;
  END LOOP;
  RETURN CASE WHEN begins <= final THEN found || begins || final ELSE found END;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_meets(a float8[], r bigint[], open boolean) RETURNS boolean LANGUAGE plpgsql
IMMUTABLE STRICT AS $$
DECLARE cells bigint[] := ARRAY[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]; rest bigint[]; c bigint; b float8[]; share int;
BEGIN
  FOR o IN 0..29 LOOP
    rest := '{}';
    FOREACH c IN ARRAY cells LOOP
      share := pg_temp.adql_share(r, c << (2 * (29 - o)), ((c + 1) << (2 * (29 - o))) - 1);
      CONTINUE WHEN share = 0;
      b := pg_temp.adql_cell_around(o, c);
      CONTINUE WHEN NOT pg_temp.adql_touch(a, b);
      IF (share = 2 AND pg_temp.adql_holds(a, b[2:4])) OR pg_temp.adql_encloses(a, b) THEN RETURN TRUE; END IF;
      rest := rest || ARRAY[4 * c, 4 * c + 1, 4 * c + 2, 4 * c + 3];
    END LOOP;
    IF rest = '{}' THEN RETURN FALSE; END IF;
    IF array_length(rest, 1) > 16000 THEN RETURN open; END IF;
    cells := rest;
  END LOOP;
  RETURN open;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_meets_moc(t text, r bigint[]) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE a float8[] := pg_temp.adql_region(t);
BEGIN
  IF a IS NULL THEN RETURN NULL; END IF;
  IF pg_temp.adql_places_in(a, r) > 0 THEN RETURN 1; END IF;
  RETURN pg_temp.adql_meets(a, r, TRUE)::int;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_region_in_moc(t text, r bigint[]) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE a float8[] := pg_temp.adql_region(t);
BEGIN
  IF a IS NULL THEN RETURN NULL; END IF;
  IF pg_temp.adql_places_in(a, r) < pg_temp.adql_places(a) THEN RETURN 0; END IF;
  RETURN (NOT pg_temp.adql_meets(a, pg_temp.adql_complement(r), FALSE))::int;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_moc_in_region(r bigint[], t text) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
  a float8[] := pg_temp.adql_region(t); cells bigint[] := ARRAY[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]; rest bigint[];
  c bigint; b float8[]; share int;
BEGIN
  IF a IS NULL THEN RETURN NULL; END IF;
  IF r = '{}' THEN RETURN 0; END IF;
  FOR o IN 0..29 LOOP
    rest := '{}';
    FOREACH c IN ARRAY cells LOOP
      share := pg_temp.adql_share(r, c << (2 * (29 - o)), ((c + 1) << (2 * (29 - o))) - 1);
      CONTINUE WHEN share = 0;
      b := pg_temp.adql_cell_around(o, c);
      IF (share = 2 AND NOT pg_temp.adql_holds(a, b[2:4])) OR NOT pg_temp.adql_touch(a, b) THEN RETURN 0; END IF;
      CONTINUE WHEN pg_temp.adql_encloses(a, b);
      rest := rest || ARRAY[4 * c, 4 * c + 1, 4 * c + 2, 4 * c + 3];
    END LOOP;
    IF rest = '{}' OR array_length(rest, 1) > 16000 THEN RETURN 1; END IF;
    cells := rest;
  END LOOP;
  RETURN 1;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_mocs_meet(r bigint[], s bigint[]) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
BEGIN
  FOR i IN 1..coalesce(array_length(r, 1), 0) / 2 LOOP
    IF pg_temp.adql_share(s, r[2 * i - 1], r[2 * i]) > 0 THEN RETURN 1; END IF;
  END LOOP;
  RETURN 0;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.adql_moc_in_moc(r bigint[], s bigint[]) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
BEGIN
  FOR i IN 1..coalesce(array_length(r, 1), 0) / 2 LOOP
    IF pg_temp.adql_share(s, r[2 * i - 1], r[2 * i]) < 2 THEN RETURN 0; END IF;
  END LOOP;
  RETURN (r <> '{}')::int;
END $$;
"""

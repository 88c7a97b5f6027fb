#!/usr/bin/env bash
# pyadql reads NATURAL, and LEFT where another join follows, as the alias of the table before: the join becomes an inner one.
#
# They are reserved words of ADQL 2.1 (section 2.1.2) and cannot be an alias without quotes. With an alias of its own the
# table is read rightly. The queries that our parser and this one are given give each table an alias therefore
# (`tests/server/tap/test_adql_second_parser.py`).
set -euo pipefail
python=$(command -v python3.12 || command -v python3.13 || command -v python3)
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || exit 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$python" -m venv venv && venv/bin/pip install --quiet pyadql==1.0.1 || exit 2

venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

from pyadql import parse_adql

print(f"pyadql {version('pyadql')}")
wrong = 0
for words in ("NATURAL JOIN u", "LEFT JOIN u ON t.a = u.a", "LEFT JOIN u ON t.a = u.a RIGHT JOIN v USING (a)"):
    for alias in ("", "AS x "):
        join = parse_adql(f"SELECT a FROM t {alias}{words}").body.from_clause[0]
        while type(join.left).__name__ == "Join":
            join = join.left
        name = join.left.alias.name if join.left.alias else None
        print(f"FROM t {alias}{words}: first join {join.join_type}, natural {join.natural}, alias of t {name}")
        wrong += not alias and name is not None
if wrong:
    print("As when this was written: the word of the join is taken for an alias.")
else:
    sys.exit("This has changed: our queries need no aliases before joins any longer.")
PYTHON

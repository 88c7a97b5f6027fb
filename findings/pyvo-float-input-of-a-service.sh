#!/usr/bin/env bash
# pyvo cannot run a service of DataLink one of whose inputs is a float without a value.
#
# The descriptor of a service (DataLink 1.1, section 4.1) leaves the value of an input empty where the client is to give it.
# astropy reads an empty PARAM of a float as None (of an integer as 0), and pyvo calls a method of it. Our descriptors
# therefore say arraysize="*" of floats, which astropy reads as an empty array (`uws_server/protocol/linktable.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet pyvo==1.9.1 astropy==8.0.2 || exit 2

venv/bin/python -W ignore - <<'PYTHON'
import io
import sys

import astropy
import pyvo
from astropy.io.votable import parse

text = """<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="meta" utype="adhoc:service"><PARAM name="accessURL" datatype="char" arraysize="*" value="http://x.org/s"/>
<GROUP name="inputParams"><PARAM name="width" datatype="double" value=""/></GROUP></RESOURCE></VOTABLE>"""
print(f"pyvo {pyvo.__version__}, astropy {astropy.__version__}")
resource = parse(io.BytesIO(text.encode())).resources[0]
print("the value of the input:", resource.groups[0].entries[0].value)
from pyvo.dal.adhoc import DatalinkQuery

try:
    query = DatalinkQuery.from_resource([], resource, width=2.5)
except AttributeError as error:
    print(f"a query with width=2.5 fails: {error}")
    print("As when this was written: a float without a value makes every query of the service fail.")
else:
    print(f"a query with width=2.5 is {dict(query)}")
    sys.exit("This has changed: arraysize of floats in our descriptors is needed no longer.")
PYTHON

"""`python -m uws_server` is the command `uws-server`. Imports the command."""

import sys

from uws_server.cli import main

if __name__ == "__main__":
    sys.exit(main())

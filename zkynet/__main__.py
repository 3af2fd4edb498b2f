"""``python -m zkynet``: the command line."""

import sys

from zkynet.cli import main

if __name__ == "__main__":
    sys.exit(main())

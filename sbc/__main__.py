"""``python -m sbc``."""

import sys

from sbc.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

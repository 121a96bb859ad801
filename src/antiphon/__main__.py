"""`python -m antiphon` is `antiphon`."""

import sys

from .cli import main

sys.exit(main())

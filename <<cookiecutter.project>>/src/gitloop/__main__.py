"""`python -m gitloop` is the same program as `gitloop`."""

import sys

from gitloop.cli import main

sys.exit(main())

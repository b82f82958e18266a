"""`python benchmarks`: the comparison with peers; see `peers.py`."""

import sys

from peers import main

sys.exit(main())

"""`python -m drybpf` is `drybpf`."""

import sys

from drybpf.cli import main

sys.exit(main())

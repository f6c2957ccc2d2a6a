"""`python -m roman_moe`: the same as `roman-moe`."""

import sys

from roman_moe.cli.main import main

sys.exit(main())

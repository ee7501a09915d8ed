"""Runs the job controller: `python -m engine.control`."""

import sys

from engine.control.service import main

sys.exit(main())

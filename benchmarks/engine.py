#!/usr/bin/env python3
"""How fast the engine is, beside what the database alone does: one JSON line per workload, store.

    python benchmarks/engine.py --workload chain --workload fanout --store sqlite --runs 3

docs/performance.md says what the fields and the workloads are.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command_line import main

if __name__ == "__main__":
    sys.exit(main())

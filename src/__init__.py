"""Find similar paintings in a museum's whole collection."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads sleep instead of spinning. Beside other programs, a thread that spins keeps a
# core from the very thread it waits for: many small operations then take ten times as long. OpenMP
# reads this once, when torch is imported, so it stands before any other import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

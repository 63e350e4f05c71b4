"""Find similar paintings in a museum's whole collection."""

import os

__version__ = "0.1.0"

# Let idle OpenMP threads sleep instead of spin. On a busy machine a spinning thread occupies the
# core that the thread it waits for needs, and many small operations take ten times as long. OpenMP
# reads this once, when torch is imported, so it is set before any other import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

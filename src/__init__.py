"""Find similar paintings in a museum's whole collection."""

__version__ = "0.1.0"

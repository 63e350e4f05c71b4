"""Find similar paintings in a museum's whole collection."""

"""Files that appear whole or not at all, decoded images, CSV tables.

Imports errors only. Imported by everything above.
"""

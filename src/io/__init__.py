"""Files: atomic writes, locks, images as RGB, large CSV tables, the tree below outputs/.

Imports errors. Imported by runtime and above.
"""

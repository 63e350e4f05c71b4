"""A polite HTTP client, and the downloads of tables and images made with it.

Imports runtime and below. Imported by gallery.
"""

"""A polite HTTP client, and the downloads of tables, documents and images made with it.

Imports runtime and below. Imported by gallery.
"""

"""A polite client of one host, and the tables and images fetched with it.

Imports runtime and below. Imported by gallery.
"""

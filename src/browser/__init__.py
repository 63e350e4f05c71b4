"""Pages to look at runs: served on this machine, or written to files that need no server.

A view (gallery_view, painting_view, ...) takes a run and the parameters of an address, and returns
what a template shows. server and export turn views into pages, with equal relative addresses.
Imported by the commands only.
"""

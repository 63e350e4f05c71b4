"""Processes, devices, memory, resumable work and progress bars.

Imports config, io and errors. Imported by everything above.
"""

"""A drawn collection of paintings, served on localhost like the museum's.

Imports io and below. Imported by gallery and by `python -m src.demo`.
"""

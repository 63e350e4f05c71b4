"""A drawn collection of paintings, served on localhost as the museum serves its own.

Imports io and below. Imported by gallery and `python -m src.demo`.
"""

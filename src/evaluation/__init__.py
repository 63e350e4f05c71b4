"""Metrics of neighbors as pure functions, and the table that explains all metrics of a run.

Imports similarity and below. Imported by pipeline and leaderboard.
"""

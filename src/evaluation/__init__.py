"""Metrics of neighbors as pure functions: retrieval, cosine statistics, hubness, bootstrap.

Imports similarity and below. Imported by pipeline and leaderboard.
"""

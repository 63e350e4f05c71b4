"""Output of a run: the files of its folder, contact sheets, plots, experiment trackers.

Imports gallery, similarity and below. Imported by pipeline, leaderboard and the commands.
"""

"""What a run leaves for people: its folder's files, contact sheets, plots, experiment trackers.

Imports gallery, similarity and below. Imported by pipeline, leaderboard and the commands.
"""

"""Runs compared: python -m src.leaderboard, its tables, plots and HTML, and TensorBoard's columns.

Reads run folders through reporting. Imported by cli and the commands. Imports no torch.
"""

"""The command line around Hydra: schema, --help, error messages, exit codes, a sweep's leaderboard.

Imports leaderboard (to compare a sweep's runs) and everything below. Imported by the commands only.
"""

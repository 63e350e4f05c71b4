"""The stages of a run, one file each: collect, embed, rank, evaluate, report.

Each takes the configuration and what the stage before returned. Imported by the commands only.
"""

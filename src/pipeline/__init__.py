"""The stages of a run, one file each: collect, embed, rank, evaluate, report.

The only code that takes the whole configuration. Imported by the commands only.
"""

"""From images to feature rows: models, pooling, transforms, extraction, and the cache on disk.

Imports gallery, runtime and below, but not similarity. Imported by pipeline.
"""

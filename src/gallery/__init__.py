"""Collections of images with their metadata: a folder of files, or a museum's catalog.

Imports downloader, demo and below. Imported by embedding, reporting, pipeline and the commands.
"""

from src.gallery.gallery import Gallery, read_gallery, write_gallery

__all__ = ["Gallery", "read_gallery", "write_gallery"]

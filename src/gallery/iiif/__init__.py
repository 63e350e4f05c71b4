"""Any institution's images, from IIIF collections and manifests: Presentation API 2 and 3.

crawl.py follows collections to manifests, presentation.py reads both versions into one shape,
bodies.py and parts.py the images on a canvas, image_service.py and image_addresses.py find the
address of the wanted size, labels.py makes columns of metadata, and catalog.py the catalog of all.
"""

"""The sources of images, by the value of data=."""

from src.config.data import Data, Demo, Folder, Iiif, Nga
from src.config.features import Features

# Each has its configs/data/<name>.yaml
SOURCES: dict[str, type[Data]] = {
    "nga": Nga,
    "iiif": Iiif,
    "folder": Folder,
    "features": Features,
    "demo": Demo,
}

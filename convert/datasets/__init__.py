"""Sets of images with labels, in the formats in which users have them: `load` looks and reads any of them."""

from convert.datasets.labelled_set import LabelledSet
from convert.datasets.load import load

__all__ = ["LabelledSet", "load"]

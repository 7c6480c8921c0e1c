"""Tables, pictures and pairs: read, describe, encode and decode, split."""

from whichloss.data.captions import Tokens, Vocabulary
from whichloss.data.describe import Description, describe
from whichloss.data.describe_pairs import PairDescription
from whichloss.data.describe_pictures import PictureDescription
from whichloss.data.encode import Encoder
from whichloss.data.pair_read import read_pairs
from whichloss.data.pairs import Captions, Pairs, Vectors
from whichloss.data.picture_read import is_pictures, read_pictures
from whichloss.data.pictures import Pictures, Scale
from whichloss.data.read import read
from whichloss.data.schema import Column, Kind, Schema
from whichloss.data.split import Split, evenly, split
from whichloss.data.table import Table
from whichloss.data.toys import TOYS, Toy, find_toy

__all__ = [
    "TOYS",
    "Captions",
    "Column",
    "Description",
    "Encoder",
    "Kind",
    "PairDescription",
    "Pairs",
    "PictureDescription",
    "Pictures",
    "Scale",
    "Schema",
    "Split",
    "Table",
    "Tokens",
    "Toy",
    "Vectors",
    "Vocabulary",
    "describe",
    "evenly",
    "find_toy",
    "is_pictures",
    "read",
    "read_pairs",
    "read_pictures",
    "split",
]

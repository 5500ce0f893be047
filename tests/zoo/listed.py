"""zoo60.txt, read: what is fixed in advance about every network."""
import dataclasses
import pathlib
import re

LIST = pathlib.Path(__file__).resolve().parent / "zoo60.txt"


@dataclasses.dataclass
class Entry:
    source: str
    name: str           # unique, without spaces
    constructor: str
    inputs: dict        # name -> (dtype, shape)


def entries():
    found = {}
    for line in LIST.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        source, head, options, inputs = re.split(r"  +", line.strip())
        name = head.split()[0]
        # "resnetv2_50 (weight standardised)": the options column has the library's own name
        constructor = options if source == "timm" and re.fullmatch(r"[a-z0-9_]+", options) else name
        shapes = {}
        for name_of, dtype, shape in re.findall(r"(\w+)=(\w+):([\d,]+)", inputs):
            shapes[name_of] = (dtype, tuple(map(int, shape.split(","))))
        found[name] = Entry(source, name, constructor, shapes)
    assert len(found) == 60, f"{LIST}: {len(found)} networks, expected 60"
    return found

"""Which column of a parquet shard holds the images, and which the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.common.errors import InputError, listing
from convert.datasets.tables import Columns, is_label_column

_IMAGE, _LABEL = "image", "label"  # the hub's usual names
_WANTED = (
    "a column of images (struct of bytes and path, or bytes) and one of labels (whole numbers or names) are needed;"
    " --columns image=NAME,label=NAME says which"
)


def choose_columns(file: Path, schema: Any, columns: Columns, labelled: bool) -> tuple[str, str | None]:
    """The columns that were named, else `image` and `label`, else the only ones that can be. schema: pyarrow's.

    labelled: False asks for no labels. InputError: there is none, there are several, or its values are of another type.
    """
    image = _chosen(file, schema.names, columns.image, _IMAGE, [f.name for f in schema if _is_image(f.type)])
    label: str | None = None
    if labelled:
        label = _chosen(file, schema.names, columns.label, _LABEL, [f.name for f in schema if _may_be_label(f)])
    absent = [
        what for what, name in ((_IMAGE, image), (_LABEL, label)) if name is None and (labelled or what == _IMAGE)
    ]
    if absent or image is None:
        raise InputError(
            f"{file}: no column {' and no column '.join(absent)} among {listing(schema.names, 8)}; {_WANTED}"
        )
    if label is not None and not _is_label(schema.field(label).type):
        raise InputError(f"{file}: column {label} is {schema.field(label).type}; {_WANTED}")
    if not _is_image(schema.field(image).type):
        raise InputError(f"{file}: column {image} is {schema.field(image).type}; {_WANTED}")
    return image, label


def _chosen(file: Path, names: Sequence[str], given: str | None, usual: str, possible: Sequence[str]) -> str | None:
    if given is not None:
        if given not in names:
            raise InputError(f"{file}: no column {given} (--columns) among {listing(names, 8)}")
        return given
    if usual in names:
        return usual
    if len(possible) > 1:
        raise InputError(
            f"{file}: which column is the {usual}, {' or '.join(possible)}? say it with --columns {usual}=NAME"
        )
    return possible[0] if possible else None


def _is_image(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_label(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(kind) or _is_text(kind) or (types.is_dictionary(kind) and _is_text(kind.value_type)))


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _may_be_label(field: Any) -> bool:
    return (is_label_column(field.name) or field.name.lower().endswith("label")) and _is_label(field.type)

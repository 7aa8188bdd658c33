"""The faults that are planted: one small change of a module's source each, as people make them by accident."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "//",
}
_SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}
_DROPPED = {"sorted": "list", "abs": "", "round": "", "set": "list", "reversed": "list"}
# Methods without which a text is left as it came.
_CLEANING = {"strip", "lstrip", "rstrip", "lower", "casefold", "normalize", "removesuffix", "removeprefix"}
# Checks of our own code, and what a dataclass shows: nothing that is decided goes by them.
_GUARDS = {"strict", "encoding", "repr", "compare"}
# What stands in a call of these is words for people.
_WORDS = {"InputError", "CheckFailed", "GraphError", "ValueError", "TypeError", "say", "about", "Annotated", "option"}


@dataclass(frozen=True)
class Mutant:
    """A fault. start, end: the bytes of the source that it replaces, by `text`. line: from 1. what: in words. code: the
    line that it stands in."""

    start: int
    end: int
    text: str
    line: int
    what: str
    code: str

    def source(self, original: bytes) -> bytes:
        """The module's source with the fault in it."""
        return original[: self.start] + self.text.encode() + original[self.end :]


def mutants(source: bytes) -> list[Mutant]:
    """Every fault that can be planted into a module, in the order of its lines."""
    found = list(_Planter(source).planted(ast.parse(source)))
    return sorted(dict.fromkeys(found), key=lambda one: (one.line, one.start, one.text))


class _Planter:
    """Walks over a module's code. Annotations, docstrings and messages are left out: nothing is decided there."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def planted(self, node: ast.AST) -> Iterator[Mutant]:
        yield from self._of(node)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _words(child):
                    yield from self.planted(child)

    def _of(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                yield self._between(left, right, f" {_COMPARISONS[type(op)]} ")
            case ast.BoolOp(op=op, values=[first, second, *_]):
                yield self._between(first, second, " or " if isinstance(op, ast.And) else " and ")
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self._replaced(node, self._text(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
                yield self._between(left, right, f" {_ARITHMETIC[type(op)]} ")
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not _told_apart(test):
                yield self._replaced(test, f"(not ({self._text(test)}))")
            case ast.Constant(value=bool(value)):
                yield self._replaced(node, str(not value))
            case ast.Constant(value=int(value)):
                yield self._replaced(node, f"{value + 1}")
            case ast.Constant(value=float(value)):
                yield self._replaced(node, repr(value * 1.5 if value else 1.0))
            case ast.Call(func=ast.Name(id=name), args=[_, *_]) if name in _SWAPPED:
                yield self._replaced(node.func, _SWAPPED[name])
            case ast.Call(func=ast.Name(id=name), args=[argument, *_]) if name in _DROPPED:
                kept = self._text(argument)
                yield self._replaced(node, f"{_DROPPED[name]}({kept})")
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _CLEANING:
                yield self._replaced(node, self._text(value))
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                yield self._replaced(value, "None")
            case ast.Continue():
                yield self._replaced(node, "break")
            case ast.Break():
                yield self._replaced(node, "continue")
            case ast.Raise():
                yield self._replaced(node, "pass")
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg and not _words(keyword) and len(node.keywords) + len(node.args) > 1:
                    yield from self._without(node, keyword)

    def _without(self, call: ast.Call, keyword: ast.keyword) -> Iterator[Mutant]:
        start, end = self._span(keyword)
        tail = self._source[end : self._span(call)[1]]
        comma = len(tail) - len(tail.lstrip(b" \n"))
        if tail[comma : comma + 1] == b",":
            yield self._mutant(start, end + comma + 1, "", keyword.lineno)

    def _between(self, left: ast.expr, right: ast.expr, text: str) -> Mutant:
        """The operator between two operands replaced; brackets around them stay."""
        start, end = self._span(left)[1], self._span(right)[0]
        gap = self._source[start:end].decode()
        opening = len(gap) - len(gap.rstrip("( \n"))
        closing = len(gap) - len(gap.lstrip(") \n"))
        return self._mutant(start, end, gap[:closing] + text + gap[len(gap) - opening :], left.lineno)

    def _replaced(self, node: ast.AST, text: str) -> Mutant:
        start, end = self._span(node)
        return self._mutant(start, end, text, getattr(node, "lineno", 0))

    def _mutant(self, start: int, end: int, text: str, line: int) -> Mutant:
        before = " ".join(self._source[start:end].decode().split())
        after = " ".join(text.split()) or "nothing"
        code = self._source[self._lines[line - 1] : self._lines[line]].decode().strip()
        return Mutant(start, end, text, line, f"`{before}` became `{after}`", code)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        place = node  # every node that is asked for has a place: ast's types do not say so
        start = self._lines[place.lineno - 1] + place.col_offset  # type: ignore[attr-defined]
        return start, self._lines[place.end_lineno - 1] + place.end_col_offset  # type: ignore[attr-defined]

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()


def _words(node: ast.AST) -> bool:
    """Whether a part of the code is read by people only."""
    match node:
        case ast.JoinedStr() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name))) if name in _WORDS:
            return False  # that it is raised matters, but what it says is skipped below
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _WORDS:
            return True
        case ast.Subscript(value=ast.Name(id="Annotated")):
            return True
        case ast.keyword(arg=name) if name in _GUARDS:
            return True
    return False


def _is_text(*operands: ast.expr) -> bool:
    return any(
        isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        for one in operands
    )


def _told_apart(test: ast.expr) -> bool:
    """Whether the test of a branch has a fault of its own already, so that its negation would be the same."""
    return isinstance(test, (ast.Compare, ast.UnaryOp)) and not (isinstance(test, ast.Compare) and len(test.ops) > 1)
